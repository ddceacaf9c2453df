/* SPDX-License-Identifier: MIT */
/* Who runs when: priorities, slices, preemption from interrupts, sleep, idle, the figures. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SLICE_TICKS (THREAD_SLICE_NS / HOST_TICK_NS)

static char trace[256]; /* what happened, a letter an event */
static size_t trace_length;
static bool stop;

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	memset(trace, 0, sizeof trace);
	trace_length = 0;
	stop = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_sched_end();
	return 0;
}

static void note(char what)
{
	assert_true(trace_length < sizeof trace - 1);
	trace[trace_length++] = what;
}

static uint32_t spawn(void (*entry)(void *), const char *letter, uint8_t priority)
{
	const struct thread_options options = {.priority = priority, .detached = true};
	uint32_t id = thread_create(letter, entry, (void *)(uintptr_t)letter, &options);

	assert_int_not_equal(id, 0);
	return id;
}

static void note_once(void *letter)
{
	note(*(const char *)letter);
}

/* Two notes, with a yield between. */
static void note_twice(void *letter)
{
	note(*(const char *)letter);
	thread_yield();
	note(*(const char *)letter);
}

/* Notes once a slice: only when the trace ends in another's letter. */
static void compute(void *letter)
{
	char mine = *(const char *)letter;

	while (!stop) {
		if (!trace_length || trace[trace_length - 1] != mine)
			note(mine);
		host_tick();
	}
}

static void better_ones_run_first(void **state)
{
	(void)state;
	host_irq_on = false; /* as an interrupt handler would: nothing is switched to yet */
	spawn(note_once, "c", 20);
	spawn(note_once, "a", 5);
	spawn(note_once, "b", 10);
	host_irq_on = true;
	assert_string_equal(trace, "");
	thread_sleep_ns(HOST_TICK_NS);
	assert_string_equal(trace, "abc");
}

static void a_better_one_preempts_its_creator(void **state)
{
	(void)state;
	spawn(note_once, "a", THREAD_PRIORITY_DEFAULT - 1);
	assert_string_equal(trace, "a");
	spawn(note_once, "b", THREAD_PRIORITY_DEFAULT);
	assert_string_equal(trace, "a");
	thread_yield();
	assert_string_equal(trace, "ab");
}

static void yield_goes_round_the_equals(void **state)
{
	(void)state;
	spawn(note_twice, "a", 0);
	spawn(note_twice, "b", 0);
	spawn(note_once, "z", 20);
	thread_yield();
	thread_yield();
	assert_string_equal(trace, "abab"); /* yielding does not let a worse one run */
	thread_sleep_ns(HOST_TICK_NS);
	assert_string_equal(trace, "ababz");
}

static void the_tick_shares_between_equals(void **state)
{
	struct sched_stats s;

	(void)state;
	spawn(compute, "a", 20);
	spawn(compute, "b", 20);
	spawn(compute, "c", 20);
	thread_sleep_ns(9 * THREAD_SLICE_NS);
	assert_string_equal(trace, "abcabcabc");
	sched_stats(&s);
	assert_true(s.preemptions >= 8);
	stop = true;
	thread_sleep_ns(HOST_TICK_NS);
}

static void alone_it_keeps_the_cpu(void **state)
{
	struct sched_stats before, after;

	(void)state;
	sched_stats(&before);
	host_ticks(5 * SLICE_TICKS);
	sched_stats(&after);
	assert_int_equal(after.switches, before.switches);
	assert_int_equal(after.ticks, before.ticks + 5 * SLICE_TICKS);
}

/*
 * a computes, b sleeps and is better. When b wakes it ousts a in the middle of its
 * slice; a then goes on before its equal c, for it had slice left.
 */
static void sleep_twice(void *letter)
{
	for (int i = 0; i < 2; i++) {
		thread_sleep_ns(3 * HOST_TICK_NS);
		note(*(const char *)letter);
	}
}

static void an_ousted_thread_keeps_its_turn(void **state)
{
	(void)state;
	spawn(sleep_twice, "b", 10);
	spawn(compute, "a", 20);
	spawn(compute, "c", 20);
	thread_sleep_ns(THREAD_SLICE_NS + 5 * HOST_TICK_NS);
	assert_string_equal(trace, "ababac");
	stop = true;
	thread_sleep_ns(HOST_TICK_NS);
}

static void nothing_is_switched_under_a_lock(void **state)
{
	struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_LOG);
	port_irq_t irq;

	(void)state;
	spawn(note_once, "a", 20);
	irq = spin_lock(&lock);
	host_ticks(100);
	spin_unlock(&lock, irq);
	assert_string_equal(trace, "");
	thread_sleep_ns(HOST_TICK_NS);
	assert_string_equal(trace, "a");
}

static void sleeps_at_least_as_long(void **state)
{
	uint64_t start = host_clock_ns;

	(void)state;
	assert_int_equal(thread_sleep_ns(10 * HOST_TICK_NS + 1), 0);
	assert_int_equal(host_clock_ns - start, 11 * HOST_TICK_NS);
	assert_int_equal(host_idle_rounds, 11);
	start = host_clock_ns;
	assert_int_equal(thread_sleep_ns(0), 0);
	assert_in_range(host_clock_ns - start, 0, HOST_TICK_NS);
}

static void sleep_until(void *ticks)
{
	thread_sleep_ns((uint64_t)(*(const char *)ticks - '0') * HOST_TICK_NS);
	note(*(const char *)ticks);
}

static void sleepers_wake_in_order_of_time(void **state)
{
	(void)state;
	for (const char *t = "5391724"; *t; t++)
		spawn(sleep_until, t, 0);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_string_equal(trace, "1234579");
}

/* ---- changing priorities ---- */

static void priorities_change(void **state)
{
	uint32_t a, b;

	(void)state;
	a = spawn(note_once, "a", 20);
	b = spawn(note_once, "b", 20);
	assert_int_equal(thread_set_priority(b, 19), 0);
	assert_string_equal(trace, "");
	assert_int_equal(thread_set_priority(a, 3), 0); /* now it is better than we */
	assert_string_equal(trace, "a");
	assert_int_equal(thread_set_priority(0, 30), 0); /* and b is, now */
	assert_string_equal(trace, "ab");
	assert_int_equal(thread_set_priority(0, THREAD_PRIORITY_IDLE), -ERANGE);
	assert_int_equal(thread_set_priority(1, 3), -EINVAL); /* idle */
	assert_int_equal(thread_set_priority(a, 3), -ESRCH);
}

static void a_sleeper_wakes_at_its_new_priority(void **state)
{
	uint32_t b;

	(void)state;
	spawn(sleep_until, "2", 20);
	b = spawn(sleep_until, "2", 21);
	spawn(sleep_until, "1", 22);
	thread_sleep_ns(1);
	assert_int_equal(thread_set_priority(b, 2), 0);
	host_ticks(5); /* b ousts us at its time; the others wait for us */
	assert_string_equal(trace, "2");
	thread_sleep_ns(1);
	assert_string_equal(trace, "221");
}

/* ---- the figures ---- */

static void figures_add_up(void **state)
{
	struct thread_info t[8];
	struct sched_stats s;
	uint32_t id;

	(void)state;
	spawn(compute, "a", 20);
	id = spawn(sleep_until, "9", 10);
	thread_sleep_ns(5 * HOST_TICK_NS);
	assert_int_equal(thread_list(UINT32_MAX, t, 8), 5);
	assert_string_equal(t[0].name, "boot");
	assert_int_equal(t[0].state, THREAD_RUNNING);
	assert_int_equal(t[0].stack_bytes, 0);
	assert_string_equal(t[1].name, "idle");
	assert_string_equal(t[2].name, "reaper");
	assert_string_equal(t[2].waiting_on, "reaper");
	assert_int_equal(t[3].run_ns, 5 * HOST_TICK_NS);
	assert_int_equal(t[3].state, THREAD_READY);
	assert_int_equal(t[4].id, id);
	assert_int_equal(t[4].state, THREAD_SLEEPING);
	assert_int_equal(t[4].wake_in_ns, 4 * HOST_TICK_NS);
	assert_int_equal(t[4].stack_bytes, THREAD_STACK_BYTES);
	assert_in_range(t[4].stack_used, 100, THREAD_STACK_BYTES - 1024);
	assert_int_equal(thread_list(2, t, 8), 2);
	assert_int_equal(t[0].priority, 20);
	assert_int_equal(thread_list(UINT32_MAX, t, 2), 2);
	assert_int_equal(thread_list(id, t, 8), 0);
	sched_stats(&s);
	assert_int_equal(s.threads, 5);
	assert_int_equal(s.running + s.ready + s.sleeping + s.waiting + s.dead, s.threads);
	assert_int_equal(s.sleeping, 1);
	assert_int_equal(s.waiting, 1);
	assert_int_equal(s.ready_by_priority[20], 1);
	assert_int_equal(s.ready_by_priority[THREAD_PRIORITY_IDLE], 1);
	stop = true;
	thread_sleep_ns(10 * HOST_TICK_NS);
	sched_stats(&s);
	assert_int_equal(s.idle_ns, 10 * HOST_TICK_NS);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(thread_state_name(THREAD_READY), "ready");
	assert_string_equal(thread_state_name(THREAD_RUNNING), "running");
	assert_string_equal(thread_state_name(THREAD_SLEEPING), "sleeping");
	assert_string_equal(thread_state_name(THREAD_WAITING), "waiting");
	assert_string_equal(thread_state_name(THREAD_DEAD), "dead");
	assert_string_equal(thread_state_name((enum thread_state)9), "?");
}

/* Interrupts may come, and questions be asked, before there is a scheduler. */
static void harmless_before_the_start(void **state)
{
	struct thread_info t;
	struct sched_stats s;
	struct wait_queue q;

	(void)state;
	assert_null(thread_current());
	host_irq_on = false;
	sched_tick();
	sched_preempt();
	host_irq_on = true;
	wait_queue_init(&q, "early");
	assert_int_equal(wait_queue_wake(&q, 1), 0);
	wait_queue_destroy(&q);
	assert_null(sched_check());
	sched_stats(&s);
	assert_int_equal(s.threads, 0);
	assert_int_equal(thread_list(UINT32_MAX, &t, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harmless_before_the_start), /* stays the first */
		cmocka_unit_test_setup_teardown(better_ones_run_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_better_one_preempts_its_creator, setup, teardown),
		cmocka_unit_test_setup_teardown(yield_goes_round_the_equals, setup, teardown),
		cmocka_unit_test_setup_teardown(the_tick_shares_between_equals, setup, teardown),
		cmocka_unit_test_setup_teardown(alone_it_keeps_the_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(an_ousted_thread_keeps_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_switched_under_a_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(sleeps_at_least_as_long, setup, teardown),
		cmocka_unit_test_setup_teardown(sleepers_wake_in_order_of_time, setup, teardown),
		cmocka_unit_test_setup_teardown(priorities_change, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeper_wakes_at_its_new_priority, setup,
						teardown),
		cmocka_unit_test_setup_teardown(figures_add_up, setup, teardown),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
