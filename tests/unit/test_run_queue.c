/* SPDX-License-Identifier: MIT */
/* The run queue: order, bitmap, and a validator that sees each thing it should. */
#include "host.h"
#include "sched_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct run_queue q;
static struct thread threads[4];

static int setup(void **state)
{
	(void)state;
	run_queue_init(&q);
	memset(threads, 0, sizeof threads);
	for (size_t i = 0; i < array_len(threads); i++) {
		list_init(&threads[i].link);
		threads[i].state = THREAD_READY;
		threads[i].priority = 16;
	}
	return 0;
}

static void empty_has_nothing(void **state)
{
	(void)state;
	assert_null(run_queue_first(&q));
	assert_null(run_queue_take(&q));
	assert_int_equal(run_queue_best(&q), THREAD_PRIORITIES);
	assert_null(run_queue_check(&q));
}

static void equals_come_in_order(void **state)
{
	(void)state;
	run_queue_add_back(&q, &threads[0]);
	run_queue_add_back(&q, &threads[1]);
	run_queue_add_front(&q, &threads[2]);
	assert_int_equal(run_queue_total(&q), 3);
	assert_null(run_queue_check(&q));
	assert_ptr_equal(run_queue_take(&q), &threads[2]);
	assert_ptr_equal(run_queue_take(&q), &threads[0]);
	assert_ptr_equal(run_queue_take(&q), &threads[1]);
	assert_null(run_queue_take(&q));
	assert_int_equal(q.nonempty, 0);
}

static void better_priority_comes_first(void **state)
{
	(void)state;
	threads[0].priority = 31;
	threads[1].priority = 0;
	threads[2].priority = 5;
	for (size_t i = 0; i < 3; i++)
		run_queue_add_back(&q, &threads[i]);
	assert_int_equal(q.nonempty, 0x80000021);
	assert_ptr_equal(run_queue_first(&q), &threads[1]);
	assert_ptr_equal(run_queue_take(&q), &threads[1]);
	assert_ptr_equal(run_queue_take(&q), &threads[2]);
	assert_ptr_equal(run_queue_take(&q), &threads[0]);
}

static void removal_from_the_middle(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		run_queue_add_back(&q, &threads[i]);
	run_queue_remove(&q, &threads[1]);
	assert_null(run_queue_check(&q));
	assert_ptr_equal(run_queue_take(&q), &threads[0]);
	assert_ptr_equal(run_queue_take(&q), &threads[2]);
}

static void wrong_use_is_caught(void **state)
{
	(void)state;
	run_queue_add_back(&q, &threads[0]);
	if (host_expect_panic()) {
		run_queue_add_back(&q, &threads[0]);
		fail();
	}
	if (host_expect_panic()) {
		run_queue_remove(&q, &threads[1]);
		fail();
	}
}

static void check_sees_what_is_wrong(void **state)
{
	(void)state;
	run_queue_add_back(&q, &threads[0]);
	threads[0].priority = 3;
	assert_non_null(strstr(run_queue_check(&q), "another priority"));
	threads[0].priority = 16;
	threads[0].state = THREAD_SLEEPING;
	assert_non_null(strstr(run_queue_check(&q), "not ready"));
	threads[0].state = THREAD_READY;
	q.count[16]++;
	assert_non_null(strstr(run_queue_check(&q), "count"));
	q.count[16]--;
	q.nonempty ^= 1u << 16;
	assert_non_null(strstr(run_queue_check(&q), "bitmap"));
	q.nonempty ^= 1u << 16 | 1u << 2;
	assert_non_null(strstr(run_queue_check(&q), "bitmap"));
	q.nonempty ^= 1u << 2;
	threads[0].link.next = &threads[1].link;
	assert_non_null(strstr(run_queue_check(&q), "links"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_has_nothing, setup),
		cmocka_unit_test_setup(equals_come_in_order, setup),
		cmocka_unit_test_setup(better_priority_comes_first, setup),
		cmocka_unit_test_setup(removal_from_the_middle, setup),
		cmocka_unit_test_setup(wrong_use_is_caught, setup),
		cmocka_unit_test_setup(check_sees_what_is_wrong, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
