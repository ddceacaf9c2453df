/* SPDX-License-Identifier: MIT */
/* Several CPUs (host threads) write the log while one reads it: every line whole, in order. */
#include "host.h"
#include <quire/console.h>
#include <quire/log.h>
#include <quire/time.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	WRITERS = 3,
	LINES = 4000
};

static bool written; /* atomic */

uint64_t time_ns(void)
{
	return 0;
}

void console_log_changed(void)
{
}

static void *writer(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;

	host_cpu = me;
	for (unsigned i = 0; i < LINES; i++)
		log_write(LOG_INFO, "t", "%u: %u %u %u %u", me, i, i + 1, i + 2, i + 3);
	return NULL;
}

static void check_line(const struct log_line *line, uint64_t next[WRITERS])
{
	unsigned who, n[4];

	assert_int_equal(sscanf(line->text, "%u: %u %u %u %u", &who, &n[0], &n[1], &n[2], &n[3]),
			 5);
	assert_true(who < WRITERS);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(n[i], n[0] + i);
	assert_true(n[0] >= next[who]); /* some were overwritten before they were read */
	next[who] = n[0] + 1;
}

static void *reader(void *argument)
{
	uint64_t next[WRITERS] = {0}, sequence = 0;
	struct log_line line;

	(void)argument;
	host_cpu = WRITERS;
	for (;;) {
		bool last = __atomic_load_n(&written, __ATOMIC_ACQUIRE);

		while (log_read(sequence, &line)) {
			check_line(&line, next);
			assert_true(line.sequence >= sequence);
			sequence = line.sequence + 1;
		}
		if (last)
			break;
	}
	assert_int_equal(sequence, WRITERS * LINES);
	return NULL;
}

static void test_lines_are_whole(void **state)
{
	pthread_t threads[WRITERS], watch;

	(void)state;
	assert_int_equal(pthread_create(&watch, NULL, reader, NULL), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)(uintptr_t)i),
				 0);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	__atomic_store_n(&written, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(watch, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines_are_whole)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
