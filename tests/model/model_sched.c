/* SPDX-License-Identifier: MIT */
/*
 * The real scheduler against a naive model.
 *
 * A few dozen threads do random things to themselves and to each other. The
 * model is an array that says for every thread whether it could run, sleeps until when, or waits
 * in which place of which line. After every operation: nobody who could run is
 * better than the one who does run; nobody woke early; lines are served in
 * order. Every so often all states are compared and the validator runs; in the end
 * the CPU time of all threads adds up to the clock.
 */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS       40
#define STEPS       1000000
#define CHECK_EVERY 64

enum where {
	GONE,
	RUNNABLE,
	ASLEEP,
	IN_TOKEN_LINE,
	IN_MUTEX_LINE,
};

struct slot {
	uint32_t id;
	unsigned priority;
	enum where where;
	uint64_t wake_ns; /* ASLEEP, IN_TOKEN_LINE */
	bool killed;
	bool granted; /* a token was given to it */
};

/* First come, first served, in the most naive way. */
struct line {
	struct slot *slots[SLOTS];
	size_t length;
};

static struct slot slots[SLOTS];
static struct line token_line, mutex_line;
static struct slot *mutex_owner;
static struct wait_queue tokens, all_gone;
static struct mutex mutex;
static uint64_t seed, ended_run_ns;
static unsigned steps, alive, deaths, timeouts, kills;

static uint64_t any(uint64_t limit)
{
	return host_random(&seed) % limit;
}

static void line_remove(struct line *l, const struct slot *s)
{
	size_t i = 0;

	while (l->slots[i] != s)
		assert_true(++i < l->length);
	memmove(&l->slots[i], &l->slots[i + 1], (--l->length - i) * sizeof l->slots[0]);
}

static void line_add(struct line *l, struct slot *s)
{
	l->slots[l->length++] = s;
}

/* Whose time has come by the clock? */
static void settle(void)
{
	for (struct slot *s = slots; s < slots + SLOTS; s++) {
		if ((s->where != ASLEEP && s->where != IN_TOKEN_LINE) || s->wake_ns > host_clock_ns)
			continue;
		if (s->where == IN_TOKEN_LINE)
			line_remove(&token_line, s);
		s->where = RUNNABLE;
	}
}

/* ---- what must hold when `me` runs ---- */

static enum thread_state expected_state(const struct slot *s, const struct slot *me)
{
	switch (s->where) {
	case RUNNABLE:
		return s == me ? THREAD_RUNNING : THREAD_READY;
	case ASLEEP:
		return THREAD_SLEEPING;
	default:
		return THREAD_WAITING;
	}
}

static void compare_all(const struct slot *me)
{
	const char *wrong = sched_check();

	if (wrong)
		fail_msg("%s", wrong);
	for (const struct slot *s = slots; s < slots + SLOTS; s++) {
		const struct thread *t = s->where == GONE ? NULL : thread_find_locked(s->id);

		if (!t)
			continue;
		assert_int_equal(t->state, expected_state(s, me));
		assert_int_equal(t->priority, s->priority);
	}
}

static void check_running(const struct slot *me)
{
	settle();
	assert_int_equal(thread_current()->id, me->id);
	assert_int_equal(me->where, RUNNABLE); /* or it woke too early */
	for (const struct slot *s = slots; s < slots + SLOTS; s++)
		if (s->where == RUNNABLE && s->priority < me->priority)
			fail_msg("thread %u at %u runs, but %u at %u could", me->id, me->priority,
				 s->id, s->priority);
	if (steps % CHECK_EVERY == 0)
		compare_all(me);
}

/* ---- operations ---- */

static void do_sleep(struct slot *me)
{
	uint64_t ns = any(20 * HOST_TICK_NS);
	int result;

	if (!me->killed) {
		me->where = ASLEEP;
		me->wake_ns = host_clock_ns + ns;
	}
	result = thread_sleep_ns(ns);
	assert_int_equal(result, me->killed ? -EINTR : 0);
}

static bool was_granted(void *slot)
{
	const struct slot *s = slot;

	return s->granted;
}

static void do_wait(struct slot *me)
{
	uint64_t timeout = any(2) ? 1 + any(10 * HOST_TICK_NS) : 0;
	int result;

	if (!me->killed) {
		me->where = IN_TOKEN_LINE;
		me->wake_ns = timeout ? host_clock_ns + timeout : WAKE_NEVER;
		line_add(&token_line, me);
	}
	result = wait_queue_wait(&tokens, was_granted, me, timeout);
	if (me->granted) {
		assert_int_equal(result, 0);
	} else if (me->killed) {
		assert_int_equal(result, -EINTR);
	} else {
		assert_int_equal(result, -ETIMEDOUT);
		timeouts++;
	}
	me->granted = false;
}

static void do_post(void)
{
	struct slot *head;

	settle();
	if (!token_line.length) {
		assert_int_equal(wait_queue_wake(&tokens, 1), 0);
		return;
	}
	head = token_line.slots[0];
	assert_int_equal(list_entry(list_first(&tokens.waiters), struct thread, link)->id,
			 head->id);
	line_remove(&token_line, head);
	head->granted = true;
	head->where = RUNNABLE;
	assert_int_equal(wait_queue_wake(&tokens, 1), 1);
}

static void do_mutex(struct slot *me)
{
	if (mutex_owner) {
		me->where = IN_MUTEX_LINE;
		line_add(&mutex_line, me);
	} else {
		mutex_owner = me;
	}
	mutex_lock(&mutex);
	assert_ptr_equal(mutex_owner, me);
	check_running(me);
	if (any(2))
		host_ticks(1 + (unsigned)any(12));
	if (any(2))
		thread_yield();
	assert_ptr_equal(mutex_owner, me);
	mutex_owner = mutex_line.length ? mutex_line.slots[0] : NULL;
	if (mutex_owner) {
		line_remove(&mutex_line, mutex_owner);
		mutex_owner->where = RUNNABLE;
	}
	mutex_unlock(&mutex);
}

static void do_priority(void)
{
	struct slot *s = &slots[any(SLOTS)];
	unsigned priority = (unsigned)any(8) * 3;

	if (s->where == GONE)
		return;
	s->priority = priority;
	assert_int_equal(thread_set_priority(s->id, priority), 0);
}

static void do_kill(struct slot *s)
{
	if (s->where == GONE)
		return;
	settle();
	kills++;
	s->killed = true;
	if (s->where == IN_TOKEN_LINE)
		line_remove(&token_line, s);
	if (s->where == IN_TOKEN_LINE || s->where == ASLEEP)
		s->where = RUNNABLE;
	assert_int_equal(thread_kill(s->id), 0);
}

static void operate(struct slot *me)
{
	switch (any(12)) {
	case 0:
	case 1:
		do_sleep(me);
		break;
	case 2:
		do_wait(me);
		break;
	case 3:
	case 4:
		do_post();
		break;
	case 5:
		do_mutex(me);
		break;
	case 6:
		do_priority();
		break;
	case 7:
	case 8:
		thread_yield();
		break;
	case 9:
		if (any(20) == 0)
			do_kill(&slots[any(SLOTS)]);
		break;
	default:
		host_tick();
	}
}

/* ---- the threads ---- */

static void slot_main(void *slot);

static void slot_start(struct slot *s)
{
	const struct thread_options options = {
		.priority = (uint8_t)(1 + any(20)),
		.detached = true,
	};
	uint32_t id;

	*s = (struct slot){.priority = options.priority, .where = RUNNABLE};
	alive++;
	/* It may run, end and be replaced before thread_create() returns. */
	id = s->id = sched.next_id;
	assert_int_equal(thread_create("model", slot_main, s, &options), id);
}

static bool none_alive(void *unused)
{
	(void)unused;
	return alive == 0;
}

static void slot_main(void *slot)
{
	struct slot *me = slot;
	struct thread_info info;

	assert_int_equal(thread_current()->id, me->id);
	check_running(me);
	while (!thread_should_stop() && steps < STEPS && any(300)) {
		steps++;
		operate(me);
		check_running(me);
	}
	assert_int_equal(thread_should_stop(), me->killed);
	me->where = GONE;
	alive--;
	deaths++;
	if (steps < STEPS)
		slot_start(&slots[me - slots]);
	wait_queue_wake(&all_gone, 1);
	assert_int_equal(thread_list(thread_current()->id - 1, &info, 1), 1);
	ended_run_ns += info.run_ns;
}

static void random_life(void **state)
{
	struct thread_info permanent[4];

	(void)state;
	seed = host_seed("model_sched");
	host_sched_begin();
	wait_queue_init(&tokens, "tokens");
	wait_queue_init(&all_gone, "all gone");
	mutex_init(&mutex, "mutex");
	for (size_t i = 0; i < SLOTS; i++)
		slot_start(&slots[i]);
	while (steps < STEPS)
		thread_sleep_ns(100 * HOST_TICK_NS);
	for (size_t i = 0; i < SLOTS; i++)
		do_kill(&slots[i]);
	assert_int_equal(wait_queue_wait(&all_gone, none_alive, NULL, 0), 0);
	thread_sleep_ns(HOST_TICK_NS); /* the last one sits between its count and its end */

	assert_int_equal(thread_list(UINT32_MAX, permanent, 4), 3);
	for (size_t i = 0; i < 3; i++)
		ended_run_ns += permanent[i].run_ns;
	assert_int_equal(ended_run_ns, host_clock_ns);
	assert_true(deaths > 500 && timeouts > 500 && kills > 500);
	print_message("%u steps, %u threads, %u timeouts, %u kills\n", steps, deaths, timeouts,
		      kills);
	mutex_destroy(&mutex);
	wait_queue_destroy(&tokens);
	wait_queue_destroy(&all_gone);
	host_sched_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_life)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
