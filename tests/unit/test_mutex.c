/* SPDX-License-Identifier: MIT */
/* Mutexes: exclusion, hand-over in order of arrival, kills that must wait, misuse. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct thread_options detached = {.detached = true};
static struct mutex mutex;
static char trace[64];
static size_t trace_length;

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	mutex_init(&mutex, "test mutex");
	memset(trace, 0, sizeof trace);
	trace_length = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mutex_destroy(&mutex);
	host_sched_end();
	return 0;
}

static void lock_and_note(void *letter)
{
	mutex_lock(&mutex);
	trace[trace_length++] = *(const char *)letter;
	mutex_unlock(&mutex);
}

static uint32_t start(const char *letter)
{
	uint32_t id = thread_create(letter, lock_and_note, (void *)(uintptr_t)letter, &detached);

	assert_int_not_equal(id, 0);
	return id;
}

static void free_mutex_costs_no_switch(void **state)
{
	struct sched_stats before, after;

	(void)state;
	sched_stats(&before);
	mutex_lock(&mutex);
	assert_ptr_equal(mutex.owner, thread_current());
	mutex_unlock(&mutex);
	assert_null(mutex.owner);
	sched_stats(&after);
	assert_int_equal(after.switches, before.switches);
}

static void handed_over_in_order(void **state)
{
	struct wait_queue_info info;

	(void)state;
	mutex_lock(&mutex);
	start("a");
	start("b");
	start("c");
	thread_yield();
	assert_string_equal(trace, "");
	assert_int_equal(wait_queue_list(&info, 1), 1);
	assert_int_equal(info.waiters, 3);
	mutex_unlock(&mutex);
	/* a owns it already, though it has not run: we queue up behind c. */
	mutex_lock(&mutex);
	assert_string_equal(trace, "abc");
	mutex_unlock(&mutex);
}

static void a_kill_does_not_interrupt_it(void **state)
{
	uint32_t id;

	(void)state;
	mutex_lock(&mutex);
	id = start("a");
	thread_yield();
	assert_int_equal(thread_kill(id), 0);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_string_equal(trace, "");
	mutex_unlock(&mutex);
	thread_yield();
	assert_string_equal(trace, "a");
}

/* Killed while it slept: what it locks on its way out it still gets in turn. */
static void sleep_and_lock(void *unused)
{
	assert_int_equal(thread_sleep_ns(1000 * HOST_TICK_NS), -EINTR);
	lock_and_note((void *)(uintptr_t) "k");
	(void)unused;
}

static void a_killed_thread_still_waits_for_it(void **state)
{
	uint32_t id = thread_create("killed", sleep_and_lock, NULL, &detached);

	(void)state;
	thread_yield();
	mutex_lock(&mutex);
	assert_int_equal(thread_kill(id), 0);
	thread_sleep_ns(10 * HOST_TICK_NS);
	assert_string_equal(trace, "");
	mutex_unlock(&mutex);
	thread_yield();
	assert_string_equal(trace, "k");
}

/* A counter changed in two steps with an interrupt between them. */
static unsigned shared;

static void add_slowly(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		unsigned seen;

		mutex_lock(&mutex);
		seen = shared;
		host_ticks(7);
		shared = seen + 1;
		mutex_unlock(&mutex);
		assert_null(sched_check());
	}
}

static void it_excludes(void **state)
{
	uint32_t ids[4];

	(void)state;
	shared = 0;
	for (size_t i = 0; i < array_len(ids); i++)
		ids[i] = thread_create("adder", add_slowly, NULL, NULL);
	for (size_t i = 0; i < array_len(ids); i++)
		assert_int_equal(thread_join(ids[i], NULL), 0);
	assert_int_equal(shared, 400);
}

static void not_the_owner(void *unused)
{
	(void)unused;
	if (host_expect_panic()) {
		mutex_unlock(&mutex);
		fail();
	}
	sched.lock.held = 0;
}

static void misuse_is_caught(void **state)
{
	(void)state;
	mutex_lock(&mutex);
	if (host_expect_panic()) {
		mutex_lock(&mutex);
		fail();
	}
	sched.lock.held = 0; /* the panic came under it */
	if (host_expect_panic()) {
		mutex_destroy(&mutex);
		fail();
	}
	assert_int_not_equal(thread_create("thief", not_the_owner, NULL, &detached), 0);
	thread_yield();
	mutex_unlock(&mutex);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(free_mutex_costs_no_switch),
		TEST(handed_over_in_order),
		TEST(a_kill_does_not_interrupt_it),
		TEST(a_killed_thread_still_waits_for_it),
		TEST(it_excludes),
		TEST(misuse_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
