/* SPDX-License-Identifier: MIT */
/* Waiting: order of arrival, timeouts, kills, wakes from interrupts, and what beats what. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct wait_queue queue;
static unsigned tokens; /* what is waited for */
static char trace[64];
static size_t trace_length;

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	wait_queue_init(&queue, "tokens");
	tokens = 0;
	memset(trace, 0, sizeof trace);
	trace_length = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wait_queue_destroy(&queue);
	host_sched_end();
	return 0;
}

static bool has_token(void *unused)
{
	(void)unused;
	assert_false(host_irq_on); /* under the lock */
	return tokens > 0;
}

struct waiter {
	char name;
	uint64_t timeout_ns;
	int result;
	uint64_t ended_ns;
	uint32_t id;
};

/* Take one token. */
static void take_token(void *waiter)
{
	struct waiter *w = waiter;

	w->result = wait_queue_wait(&queue, has_token, NULL, w->timeout_ns);
	w->ended_ns = host_clock_ns;
	if (!w->result)
		tokens--;
	trace[trace_length++] = w->name;
}

static void start(struct waiter *w, uint8_t priority)
{
	const struct thread_options options = {.priority = priority, .detached = true};

	w->id = thread_create("waiter", take_token, w, &options);
	assert_int_not_equal(w->id, 0);
}

static void no_wait_when_it_holds(void **state)
{
	(void)state;
	tokens = 1;
	assert_int_equal(wait_queue_wait(&queue, has_token, NULL, 0), 0);
	assert_int_equal(host_idle_rounds, 0);
}

static void wakes_in_order_of_arrival(void **state)
{
	struct waiter a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

	(void)state;
	start(&a, 0);
	start(&b, 0);
	start(&c, 0);
	thread_yield();
	assert_null(sched_check());
	tokens = 2;
	assert_int_equal(wait_queue_wake(&queue, 2), 2);
	thread_yield();
	assert_string_equal(trace, "ab");
	tokens = 1;
	assert_int_equal(wait_queue_wake(&queue, 5), 1);
	assert_int_equal(wait_queue_wake(&queue, 5), 0);
	thread_yield();
	assert_string_equal(trace, "abc");
	assert_int_equal(a.result | b.result | c.result, 0);
}

static void a_wake_without_cause_is_slept_over(void **state)
{
	struct waiter a = {.name = 'a'};

	(void)state;
	start(&a, 0);
	thread_yield();
	assert_int_equal(wait_queue_wake(&queue, 1), 1);
	thread_yield();
	assert_string_equal(trace, "");
	tokens = 1;
	assert_int_equal(wait_queue_wake(&queue, 1), 1);
	thread_yield();
	assert_string_equal(trace, "a");
}

static void a_better_waiter_preempts_its_waker(void **state)
{
	struct waiter a = {.name = 'a'};

	(void)state;
	start(&a, 2);
	tokens = 1;
	wait_queue_wake(&queue, 1);
	assert_string_equal(trace, "a");
}

/* A handler wakes; the switch comes on the way out of the interrupt. */
static void wake_from_an_interrupt(void **state)
{
	struct waiter a = {.name = 'a'};

	(void)state;
	start(&a, 2);
	host_irq_on = false;
	tokens = 1;
	assert_int_equal(wait_queue_wake(&queue, 1), 1);
	assert_string_equal(trace, "");
	sched_preempt();
	assert_string_equal(trace, "a");
	assert_false(host_irq_on);
	host_irq_on = true;
}

static void timeout_ends_the_wait(void **state)
{
	struct waiter a = {.name = 'a', .timeout_ns = 5 * HOST_TICK_NS};
	struct thread_info t;

	(void)state;
	start(&a, 0);
	thread_yield();
	assert_int_equal(thread_list(a.id - 1, &t, 1), 1);
	assert_string_equal(t.waiting_on, "tokens");
	assert_int_equal(t.wake_in_ns, 5 * HOST_TICK_NS);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_int_equal(a.result, -ETIMEDOUT);
	assert_int_equal(a.ended_ns, 5 * HOST_TICK_NS);
}

static void no_timeout_after_a_wake(void **state)
{
	struct waiter a = {.name = 'a', .timeout_ns = 5 * HOST_TICK_NS};

	(void)state;
	start(&a, 0);
	thread_yield();
	tokens = 1;
	wait_queue_wake(&queue, 1);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_int_equal(a.result, 0);
	assert_int_equal(sched.sleepers.count, 0);
}

/* The condition came true without a wake: the timeout finds it. */
static void the_condition_beats_the_timeout(void **state)
{
	struct waiter a = {.name = 'a', .timeout_ns = 5 * HOST_TICK_NS};

	(void)state;
	start(&a, 0);
	thread_yield();
	tokens = 1;
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_int_equal(a.result, 0);
}

/* A wake in vain does not prolong the wait. */
static void the_deadline_stays_put(void **state)
{
	struct waiter a = {.name = 'a', .timeout_ns = 5 * HOST_TICK_NS};

	(void)state;
	start(&a, 0);
	thread_sleep_ns(3 * HOST_TICK_NS);
	wait_queue_wake(&queue, 1);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_int_equal(a.result, -ETIMEDOUT);
	assert_int_equal(a.ended_ns, 5 * HOST_TICK_NS);
}

static void a_timeout_past_the_end_of_time_is_none(void **state)
{
	struct waiter a = {.name = 'a', .timeout_ns = UINT64_MAX};

	(void)state;
	host_tick();
	start(&a, 0);
	thread_yield();
	assert_int_equal(sched.sleepers.count, 0);
	assert_int_equal(thread_kill(a.id), 0);
	thread_yield();
	assert_int_equal(a.result, -EINTR);
}

static void kill_ends_the_wait(void **state)
{
	struct waiter a = {.name = 'a'}, b = {.name = 'b', .timeout_ns = 5 * HOST_TICK_NS};

	(void)state;
	start(&a, 0);
	start(&b, 0);
	thread_yield();
	assert_int_equal(thread_kill(b.id), 0);
	assert_int_equal(thread_kill(a.id), 0);
	assert_null(sched_check());
	thread_yield();
	assert_string_equal(trace, "ba");
	assert_int_equal(a.result, -EINTR);
	assert_int_equal(b.result, -EINTR);
	assert_int_equal(sched.sleepers.count, 0);
}

static void the_condition_beats_the_kill(void **state)
{
	struct waiter a = {.name = 'a'};

	(void)state;
	start(&a, 0);
	thread_yield();
	thread_kill(a.id);
	tokens = 1;
	thread_yield();
	assert_int_equal(a.result, 0);
}

static void registered_queues_are_listed(void **state)
{
	struct waiter a = {.name = 'a'};
	struct wait_queue other;
	struct wait_queue_info info[4];

	(void)state;
	start(&a, 0);
	thread_yield();
	wait_queue_init(&other, "other");
	assert_int_equal(wait_queue_list(info, 4), 2);
	assert_string_equal(info[0].name, "tokens");
	assert_int_equal(info[0].waiters, 1);
	assert_string_equal(info[1].name, "other");
	assert_int_equal(info[1].waiters, 0);
	assert_int_equal(wait_queue_list(info, 1), 1);
	wait_queue_destroy(&other);
	assert_int_equal(wait_queue_list(info, 4), 1);
	thread_kill(a.id);
	thread_yield();
}

static void destroying_a_busy_queue_is_caught(void **state)
{
	struct waiter a = {.name = 'a'};

	(void)state;
	start(&a, 0);
	thread_yield();
	if (host_expect_panic()) {
		wait_queue_destroy(&queue);
		fail();
	}
	sched.lock.held = 0; /* the panic came under it */
	thread_kill(a.id);
	thread_yield();
}

static void waiting_with_interrupts_off_is_caught(void **state)
{
	(void)state;
	host_irq_on = false;
	if (host_expect_panic()) {
		(void)wait_queue_wait(&queue, has_token, NULL, 0);
		fail();
	}
	host_irq_on = false;
	if (host_expect_panic()) {
		(void)thread_sleep_ns(1);
		fail();
	}
	host_irq_on = true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_wait_when_it_holds),
		TEST(wakes_in_order_of_arrival),
		TEST(a_wake_without_cause_is_slept_over),
		TEST(a_better_waiter_preempts_its_waker),
		TEST(wake_from_an_interrupt),
		TEST(timeout_ends_the_wait),
		TEST(no_timeout_after_a_wake),
		TEST(the_condition_beats_the_timeout),
		TEST(the_deadline_stays_put),
		TEST(a_timeout_past_the_end_of_time_is_none),
		TEST(kill_ends_the_wait),
		TEST(the_condition_beats_the_kill),
		TEST(registered_queues_are_listed),
		TEST(destroying_a_busy_queue_is_caught),
		TEST(waiting_with_interrupts_off_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
