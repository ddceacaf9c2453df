/* SPDX-License-Identifier: MIT */
/* The sleep queue against a plain array, and its validator against broken heaps. */
#include "host.h"
#include "sched_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 300
#define STEPS 700000

static struct sleep_queue q;
static struct sleep_node nodes[NODES];
static bool queued[NODES];

static int setup(void **state)
{
	(void)state;
	sleep_queue_init(&q);
	memset(nodes, 0, sizeof nodes);
	memset(queued, 0, sizeof queued);
	return 0;
}

static void add(size_t i, uint64_t wake_ns)
{
	nodes[i].wake_ns = wake_ns;
	sleep_queue_add(&q, &nodes[i]);
}

static void earliest_first(void **state)
{
	static const uint64_t times[] = {5, 3, 9, 3, 0, UINT64_MAX, 7};
	static const uint64_t sorted[] = {0, 3, 3, 5, 7, 9, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < array_len(times); i++)
		add(i, times[i]);
	for (size_t i = 0; i < array_len(sorted); i++) {
		assert_null(sleep_queue_check(&q));
		assert_int_equal(q.root->wake_ns, sorted[i]);
		sleep_queue_remove(&q, q.root);
	}
	assert_null(q.root);
	assert_int_equal(q.count, 0);
}

/* Ascending times make one parent with all as children, descending ones a chain: both extremes. */
static void degenerate_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < NODES; i++)
		add(i, i);
	assert_null(sleep_queue_check(&q));
	for (size_t i = 0; i < NODES; i++) {
		assert_ptr_equal(q.root, &nodes[i]);
		sleep_queue_remove(&q, &nodes[i]);
	}
	for (size_t i = 0; i < NODES; i++)
		add(i, NODES - i);
	assert_null(sleep_queue_check(&q));
	for (size_t i = 0; i < NODES; i++)
		sleep_queue_remove(&q, &nodes[i]); /* from the far end of the chain */
	assert_int_equal(q.count, 0);
	assert_null(q.root);
}

static uint64_t earliest_of_array(void)
{
	uint64_t earliest = UINT64_MAX;

	for (size_t i = 0; i < NODES; i++)
		if (queued[i] && nodes[i].wake_ns < earliest)
			earliest = nodes[i].wake_ns;
	return earliest;
}

static void behaves_like_an_array(void **state)
{
	uint64_t random = host_seed("test_sleep_queue");
	size_t count = 0;

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		/* The number in use swings between few and all. */
		size_t limit = 1 + step / 1000 % NODES;
		size_t i = host_random(&random) % limit;

		if (queued[i]) {
			sleep_queue_remove(&q, &nodes[i]);
			count--;
		} else {
			add(i, host_random(&random) % 1000);
			count++;
		}
		queued[i] = !queued[i];
		assert_int_equal(q.count, count);
		if (count)
			assert_int_equal(q.root->wake_ns, earliest_of_array());
		if (step % 64 == 0)
			assert_null(sleep_queue_check(&q));
	}
}

static void removing_what_is_not_queued_is_caught(void **state)
{
	(void)state;
	add(0, 1);
	if (host_expect_panic()) {
		sleep_queue_remove(&q, &nodes[1]);
		fail();
	}
}

static void check_sees_what_is_wrong(void **state)
{
	(void)state;
	add(0, 1);
	add(1, 2);
	add(2, 3);
	nodes[2].wake_ns = 0;
	assert_non_null(strstr(sleep_queue_check(&q), "wakes before"));
	nodes[2].wake_ns = 3;
	q.count = 2;
	assert_non_null(strstr(sleep_queue_check(&q), "more nodes"));
	q.count = 4;
	assert_non_null(strstr(sleep_queue_check(&q), "fewer nodes"));
	q.count = 3;
	nodes[1].previous = &nodes[0]; /* it is the second child: its previous is node 2 */
	assert_non_null(strstr(sleep_queue_check(&q), "sibling does not"));
	nodes[1].previous = &nodes[2];
	nodes[2].previous = &nodes[1];
	assert_non_null(strstr(sleep_queue_check(&q), "first child"));
	nodes[2].previous = &nodes[0];
	nodes[0].sibling = &nodes[1];
	assert_non_null(strstr(sleep_queue_check(&q), "root"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(earliest_first, setup),
		cmocka_unit_test_setup(degenerate_shapes, setup),
		cmocka_unit_test_setup(behaves_like_an_array, setup),
		cmocka_unit_test_setup(removing_what_is_not_queued_is_caught, setup),
		cmocka_unit_test_setup(check_sees_what_is_wrong, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
