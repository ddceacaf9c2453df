/* SPDX-License-Identifier: MIT */
/* The life of threads: made, ended, joined, reaped, killed; and out of memory at every step. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct thread_options detached = {.detached = true};

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_sched_end();
	return 0;
}

static void add_one(void *counter)
{
	assert_true(host_irq_on);
	++*(int *)counter;
}

static void exit_with_7(void *unused)
{
	(void)unused;
	thread_exit(7);
}

static void sleep_for_ever(void *result)
{
	*(int *)result = thread_sleep_ns(UINT64_MAX);
}

static void runs_and_is_joined(void **state)
{
	int counter = 0;
	int32_t code = -1;
	uint32_t id = thread_create("adder", add_one, &counter, NULL);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(counter, 0); /* an equal does not oust its creator */
	assert_int_equal(thread_join(id, &code), 0);
	assert_int_equal(counter, 1);
	assert_int_equal(code, 0);
	assert_int_equal(thread_join(id, NULL), -ESRCH);
}

static void exit_code_arrives_before_or_after(void **state)
{
	int32_t code = 0;
	uint32_t id = thread_create("seven", exit_with_7, NULL, NULL);
	struct sched_stats s;

	(void)state;
	thread_yield(); /* it is dead before it is joined */
	sched_stats(&s);
	assert_int_equal(s.dead, 1);
	assert_int_equal(thread_kill(id), -ESRCH);
	assert_int_equal(thread_set_priority(id, 3), -ESRCH);
	assert_int_equal(thread_join(id, &code), 0);
	assert_int_equal(code, 7);
}

static void detached_ones_free_themselves(void **state)
{
	struct host_live before = host_live;
	int counter = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_not_equal(thread_create("d", add_one, &counter, &detached), 0);
	assert_int_equal(host_live.stacks, before.stacks + 10);
	thread_yield();
	assert_int_equal(counter, 10);
	/* The reaper ran before we did. */
	assert_memory_equal(&host_live, &before, sizeof before);
}

static void wrong_joins_are_refused(void **state)
{
	int counter = 0;
	uint32_t id = thread_create("d", add_one, &counter, &detached);

	(void)state;
	assert_int_equal(thread_join(id, NULL), -EINVAL);
	assert_int_equal(thread_join(0, NULL), -EDEADLK);
	assert_int_equal(thread_join(1, NULL), -EINVAL); /* idle */
	assert_int_equal(thread_join(12345, NULL), -ESRCH);
	thread_yield();
	assert_int_equal(thread_join(id, NULL), -ESRCH);
}

struct joining {
	uint32_t target;
	int result;
};

static void join_it(void *joining)
{
	struct joining *j = joining;

	j->result = thread_join(j->target, NULL);
}

static void only_one_may_join(void **state)
{
	int slept = 1;
	struct joining first = {.target = thread_create("s", sleep_for_ever, &slept, NULL)};
	uint32_t joiner = thread_create("j", join_it, &first, NULL);

	(void)state;
	thread_yield();
	assert_int_equal(thread_join(first.target, NULL), -EINVAL);
	assert_int_equal(thread_kill(first.target), 0);
	assert_int_equal(thread_join(joiner, NULL), 0);
	assert_int_equal(first.result, 0);
	assert_int_equal(slept, -EINTR);
}

static void killed_joiner_lets_another_join(void **state)
{
	int slept;
	struct joining first = {.target = thread_create("s", sleep_for_ever, &slept, NULL)};
	uint32_t joiner = thread_create("j", join_it, &first, NULL);

	(void)state;
	thread_yield();
	assert_int_equal(thread_kill(joiner), 0);
	assert_int_equal(thread_join(joiner, NULL), 0);
	assert_int_equal(first.result, -EINTR);
	assert_int_equal(thread_kill(first.target), 0);
	assert_int_equal(thread_join(first.target, NULL), 0);
}

/* ---- kill ---- */

static void compute_until_killed(void *rounds)
{
	while (!thread_should_stop()) {
		++*(int *)rounds;
		host_tick();
	}
}

static void kill_ends_a_computing_thread(void **state)
{
	int rounds = 0;
	uint32_t id = thread_create("spin", compute_until_killed, &rounds, &detached);

	(void)state;
	assert_int_equal(thread_sleep_ns(50000000), 0);
	assert_true(rounds > 10);
	assert_int_equal(thread_kill(id), 0);
	assert_int_equal(thread_kill(id), 0); /* asking twice is harmless */
	thread_yield();
	assert_int_equal(thread_kill(id), -ESRCH);
}

static void killed_before_its_start_still_enters(void **state)
{
	int result = 1;
	uint32_t id = thread_create("s", sleep_for_ever, &result, NULL);

	(void)state;
	assert_int_equal(thread_kill(id), 0);
	assert_int_equal(thread_join(id, NULL), 0);
	assert_int_equal(result, -EINTR);
}

static void permanent_ones_cannot_be_killed(void **state)
{
	(void)state;
	for (uint32_t id = 0; id <= 2; id++)
		assert_int_equal(thread_kill(id), -EINVAL);
	assert_int_equal(thread_kill(99), -ESRCH);
	assert_false(thread_should_stop());
}

/* ---- out of memory ---- */

static void no_memory_leaves_nothing(void **state)
{
	struct host_live before = host_live;
	int counter = 0;
	uint32_t id = 0;
	long steps = 0;

	(void)state;
	for (; !id; steps++) {
		host_fail_after = steps;
		id = thread_create("oom", add_one, &counter, NULL);
		if (!id)
			assert_memory_equal(&host_live, &before, sizeof before);
		assert_null(sched_check());
	}
	host_fail_after = -1;
	assert_int_equal(steps, 3); /* the struct failed, the stack failed, neither */
	assert_int_equal(thread_join(id, NULL), 0);
	assert_int_equal(counter, 1);
}

static void no_memory_at_the_start(void **state)
{
	const struct host_live nothing = {0, 0, 0};
	int error;
	long steps = 0;

	(void)state;
	do {
		host_fail_after = steps++;
		error = sched_init();
		if (error) {
			assert_int_equal(error, -ENOMEM);
			assert_memory_equal(&host_live, &nothing, sizeof nothing);
		}
	} while (error);
	assert_int_equal(steps, 6);
	host_fail_after = -1;
	host_sched_end();
}

/* ---- many ---- */

static void thousands_come_and_go(void **state)
{
	struct host_live before = host_live;
	struct sched_stats s;
	uint32_t last = 0;
	int counter = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++) {
			uint32_t id = thread_create("one of 1000", add_one, &counter, &detached);

			assert_true(id > last);
			last = id;
		}
		sched_stats(&s);
		assert_int_equal(s.ready_by_priority[THREAD_PRIORITY_DEFAULT], 1000);
		assert_null(sched_check());
		thread_yield();
		assert_int_equal(counter, (round + 1) * 1000);
		assert_memory_equal(&host_live, &before, sizeof before);
	}
	sched_stats(&s);
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.created, 3003);
	assert_int_equal(s.ended, 3000);
}

/* More threads than buckets, ended in another order than made. */
static void many_are_found_by_their_ids(void **state)
{
	uint32_t ids[600];
	struct thread_info t[700];
	int slept;

	(void)state;
	for (size_t i = 0; i < array_len(ids); i++)
		ids[i] = thread_create("many", sleep_for_ever, &slept, NULL);
	for (size_t i = 0; i < array_len(ids); i += 2) {
		assert_int_equal(thread_kill(ids[i]), 0);
		assert_int_equal(thread_join(ids[i], NULL), 0);
	}
	assert_null(sched_check());
	assert_int_equal(thread_kill(ids[0]), -ESRCH);
	assert_int_equal(thread_list(UINT32_MAX, t, 700), 303);
	assert_int_equal(thread_list(ids[100], t, 2), 2); /* ended: from the next one on */
	assert_int_equal(t[0].id, ids[101]);
	assert_int_equal(t[1].id, ids[103]);
	for (size_t i = array_len(ids); i-- > 1; i--) {
		assert_int_equal(thread_kill(ids[i]), 0);
		assert_int_equal(thread_join(ids[i], NULL), 0);
	}
}

static void ids_wrap_around_the_living(void **state)
{
	int slept;
	uint32_t low = thread_create("3", sleep_for_ever, &slept, NULL), last, wrapped;
	struct thread_info list[8];

	(void)state;
	assert_int_equal(low, 3);
	sched.next_id = UINT32_MAX - 1;
	last = thread_create("last", sleep_for_ever, &slept, NULL);
	wrapped = thread_create("4", sleep_for_ever, &slept, NULL);
	assert_int_equal(last, UINT32_MAX - 1);
	assert_int_equal(wrapped, 4); /* 0, UINT32_MAX and the living 1, 2 and 3 are passed over */
	assert_null(sched_check());
	assert_int_equal(thread_list(UINT32_MAX, list, 8), 6);
	assert_int_equal(list[5].id, last);
	assert_int_equal(list[4].id, wrapped);
	assert_int_equal(thread_kill(low) | thread_kill(last) | thread_kill(wrapped), 0);
	assert_int_equal(thread_join(low, NULL) | thread_join(last, NULL), 0);
	assert_int_equal(thread_join(wrapped, NULL), 0);
}

static void exit_with_a_mutex_is_caught(void **state)
{
	struct mutex m;

	(void)state;
	mutex_init(&m, "kept");
	mutex_lock(&m);
	if (host_expect_panic()) {
		thread_exit(0);
		fail();
	}
	sched.lock.held = 0; /* the panic came under it */
	mutex_unlock(&m);
	mutex_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_and_is_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_code_arrives_before_or_after, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_ones_free_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_joins_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(only_one_may_join, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_joiner_lets_another_join, setup, teardown),
		cmocka_unit_test_setup_teardown(kill_ends_a_computing_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_before_its_start_still_enters, setup,
						teardown),
		cmocka_unit_test_setup_teardown(permanent_ones_cannot_be_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_leaves_nothing, setup, teardown),
		cmocka_unit_test(no_memory_at_the_start),
		cmocka_unit_test_setup_teardown(thousands_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(many_are_found_by_their_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_wrap_around_the_living, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_with_a_mutex_is_caught, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
