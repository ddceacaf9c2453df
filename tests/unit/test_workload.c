/* SPDX-License-Identifier: MIT */
/*
 * The demo workloads on the real scheduler: they work, end when told or killed,
 * and leave nothing behind, also when memory runs out at any point.
 */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include "workload_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct host_live idle_system = {.objects = 3, .stacks = 2, .blocks = 0};

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	host_tick_every = 4;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_sched_end();
	return 0;
}

static struct workload_info info_of(const char *name)
{
	struct workload_info info;

	for (size_t i = 0; workload_info_at(i, &info); i++)
		if (!strcmp(info.name, name))
			return info;
	fail_msg("no workload %s", name);
	return info;
}

static size_t thread_count(void)
{
	struct sched_stats s;

	sched_stats(&s);
	return s.threads - 3;
}

static void kill_all(void)
{
	struct thread_info t[64];
	size_t n = thread_list(2, t, 64);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(thread_kill(t[i].id), 0);
}

/* Let the others run for a while; the clock moves with every fourth look at it. */
static void let_run(unsigned ticks)
{
	thread_sleep_ns(ticks * HOST_TICK_NS);
}

static void all_are_described(void **state)
{
	struct workload_info info;
	size_t n = 0;

	(void)state;
	for (; workload_info_at(n, &info); n++) {
		assert_true(strlen(info.name) > 0 && strlen(info.summary) > 0);
		assert_null(strchr(info.summary, '\n'));
	}
	assert_int_equal(n, 8);
	info_of("spin");
	info_of("producer-consumer");
}

static void wrong_arguments(void **state)
{
	(void)state;
	assert_int_equal(workload_spawn("spun", 1, 0, 0, NULL), -ENOENT);
	assert_int_equal(workload_spawn("spi", 1, 0, 0, NULL), -ENOENT);
	assert_int_equal(workload_spawn("spin", 0, 0, 0, NULL), -EINVAL);
	assert_memory_equal(&host_live, &idle_system, sizeof host_live);
}

static void a_thousand_noops(void **state)
{
	uint32_t first;

	(void)state;
	assert_int_equal(workload_spawn("noop", 1000, 0, 0, &first), 0);
	assert_int_equal(first, 3);
	assert_int_equal(thread_count(), 1000);
	thread_yield();
	assert_int_equal(thread_count(), 0);
	assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	assert_int_equal(info_of("noop").iterations, 1000);
	assert_int_equal(info_of("noop").threads_ended, 1000);
}

static void ends_when_killed(void **state)
{
	static const char *const names[] = {"spin",  "sleep", "producer-consumer",
					    "churn", "mixed", "lives"};

	(void)state;
	for (size_t i = 0; i < array_len(names); i++) {
		struct workload_info info;

		assert_int_equal(workload_spawn(names[i], 5, 0, 0, NULL), 0);
		let_run(100);
		assert_null(sched_check());
		assert_true(thread_count() >= 5);
		kill_all();
		let_run(5);
		assert_int_equal(thread_count(), 0);
		assert_memory_equal(&host_live, &idle_system, sizeof host_live);
		info = info_of(names[i]);
		assert_true(info.iterations > 0);
		assert_int_equal(info.errors, 0);
		assert_int_equal(info.threads_started, info.threads_ended);
	}
}

static void ends_after_its_time(void **state)
{
	struct workload_info info;

	(void)state;
	assert_int_equal(workload_spawn("sleep", 3, 2, 0, NULL), 0);
	let_run(1900);
	assert_int_equal(thread_count(), 3);
	let_run(150);
	assert_int_equal(thread_count(), 0);
	assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	info = info_of("sleep");
	assert_in_range(info.iterations, 300, 6000);
}

static void an_endless_time_does_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(workload_spawn("sleep", 1, UINT64_MAX / 2, 0, NULL), 0);
	let_run(100);
	assert_int_equal(thread_count(), 1);
	kill_all();
	let_run(5);
}

/* Kill one of a pair: the other must follow by itself. */
static void one_of_a_pair_takes_the_other(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < 2; which++) {
		struct thread_info t;
		uint32_t first;

		assert_int_equal(workload_spawn("producer-consumer", 1, 0, 0, &first), 0);
		assert_int_equal(thread_list(first - 1, &t, 1), 1);
		assert_string_equal(t.name, info_of("producer-consumer").thread_name);
		let_run(10);
		assert_int_equal(thread_count(), 2);
		assert_int_equal(thread_kill(first + which), 0);
		let_run(5);
		assert_int_equal(thread_count(), 0);
		assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	}
}

/* The n-th allocation from the spawn on fails, for every n below `steps_min` and on to a success. */
static void fail_every_step(const char *name, long steps_min)
{
	long steps = 0;
	int error;

	do {
		host_fail_after = steps++;
		error = workload_spawn(name, 3, 1, 0, NULL);
		host_fail_after = -1;
		if (error)
			assert_int_equal(error, -ENOMEM);
		let_run(error ? 30 : 1100); /* those that had started end */
		assert_int_equal(thread_count(), 0);
		assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	} while (error || steps < steps_min);
}

/* The spawned threads run after the spawn, or, better than it, in the middle of it. */
static void out_of_memory_while_spawning(void **state)
{
	static const char *const names[] = {"noop",  "sleep", "producer-consumer",
					    "churn", "mixed", "lives"};

	(void)state;
	for (size_t i = 0; i < array_len(names); i++)
		fail_every_step(names[i], 7);
	assert_int_equal(thread_set_priority(0, THREAD_PRIORITY_DEFAULT + 1), 0);
	fail_every_step("sleep", 7);
	fail_every_step("producer-consumer", 66);
}

/* Allocations fail while they run: they count the refusals and go on. */
static void out_of_memory_while_running(void **state)
{
	static const char *const names[] = {"producer-consumer", "churn", "mixed", "lives"};
	uint64_t random = host_seed("test_workload");

	(void)state;
	for (size_t i = 0; i < array_len(names); i++) {
		assert_int_equal(workload_spawn(names[i], 2, 2, 0, NULL), 0);
		while (thread_count()) {
			if (host_fail_after < 0)
				host_fail_after = (long)(host_random(&random) % 50);
			let_run(1);
		}
		host_fail_after = -1;
		assert_true(info_of(names[i]).refusals > 10);
		assert_int_equal(info_of(names[i]).errors, 0);
		assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	}
}

/* Somebody overwrites what churn holds: it must say so. */
static void churn_sees_a_changed_byte(void **state)
{
	struct workload_info before = info_of("churn");

	(void)state;
	assert_int_equal(workload_spawn("churn", 1, 0, 0, NULL), 0);
	do {
		let_run(1);
	} while (host_live.blocks == 0);
	for (uint64_t p = 0; p < 64; p++)
		++*(char *)port_phys_to_virt(pfn_to_paddr(pfn(p)));
	kill_all();
	let_run(5);
	assert_true(info_of("churn").errors > before.errors);
}

static void mixed_sees_a_changed_byte(void **state)
{
	struct workload_info before = info_of("mixed");

	(void)state;
	assert_int_equal(workload_spawn("mixed", 1, 0, 0, NULL), 0);
	do {
		let_run(1);
	} while (host_live.blocks < 8);
	/* The first word is the address of the piece itself. */
	for (uint64_t p = 0; p < 512; p++)
		++*(char *)port_phys_to_virt(pfn_to_paddr(pfn(p)));
	assert_int_equal(workload_end_all(UINT64_MAX), 0);
	assert_true(info_of("mixed").errors > before.errors);
	/* What was damaged was left alone. */
	assert_true(host_live.blocks > 0);
	host_pages_forget();
}

static void all_can_be_ended(void **state)
{
	static const char *const names[] = {"spin",  "sleep", "producer-consumer",
					    "churn", "mixed", "lives"};

	(void)state;
	for (size_t i = 0; i < array_len(names); i++)
		assert_int_equal(workload_spawn(names[i], 2, 0, 0, NULL), 0);
	let_run(20);
	assert_int_equal(workload_end_all(UINT64_MAX), 0);
	let_run(5);
	assert_int_equal(thread_count(), 0);
	assert_memory_equal(&host_live, &idle_system, sizeof host_live);
	/* And new ones may be started. */
	assert_int_equal(workload_spawn("noop", 1, 0, 0, NULL), 0);
	assert_int_equal(workload_spawn("sleep", 1, 0, 0, NULL), 0);
	let_run(20);
	assert_int_equal(thread_count(), 1);
	assert_int_equal(workload_end_all(0), -ETIMEDOUT);
	assert_int_equal(workload_end_all(UINT64_MAX), 0);
	let_run(5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_are_described),
		TEST(wrong_arguments),
		TEST(a_thousand_noops),
		TEST(ends_when_killed),
		TEST(ends_after_its_time),
		TEST(an_endless_time_does_not_overflow),
		TEST(one_of_a_pair_takes_the_other),
		TEST(out_of_memory_while_spawning),
		TEST(out_of_memory_while_running),
		TEST(churn_sees_a_changed_byte),
		TEST(mixed_sees_a_changed_byte),
		TEST(all_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
