/* SPDX-License-Identifier: MIT */
/* The scheduler's validator: each rule is broken once, seen, and mended. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct wait_queue queue;
static struct thread *boot, *idle, *ready, *sleeper, *waiter, *dead;

static bool killed(void *unused)
{
	(void)unused;
	return false;
}

static void sleep_for_ever(void *unused)
{
	(void)unused;
	(void)thread_sleep_ns(UINT64_MAX - 1000000);
}

static void wait_for_ever(void *unused)
{
	(void)unused;
	(void)wait_queue_wait(&queue, killed, NULL, 0);
}

static void nothing(void *unused)
{
	(void)unused;
}

static struct thread *start(void (*entry)(void *))
{
	return thread_find_locked(thread_create("t", entry, NULL, NULL));
}

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	wait_queue_init(&queue, "never");
	sleeper = start(sleep_for_ever);
	waiter = start(wait_for_ever);
	dead = start(nothing);
	thread_yield();
	ready = start(nothing);
	boot = thread_current();
	idle = sched.cpus[0]->idle;
	assert_null(sched_check());
	return 0;
}

static int teardown(void **state)
{
	uint32_t ids[] = {sleeper->id, waiter->id, dead->id, ready->id};

	(void)state;
	assert_null(sched_check());
	(void)thread_kill(sleeper->id);
	(void)thread_kill(waiter->id);
	for (size_t i = 0; i < array_len(ids); i++)
		assert_int_equal(thread_join(ids[i], NULL), 0);
	wait_queue_destroy(&queue);
	host_sched_end();
	return 0;
}

static void sees(const char *what)
{
	const char *wrong = sched_check();

	assert_non_null(wrong);
	if (!strstr(wrong, what))
		fail_msg("expected '%s', got '%s'", what, wrong);
}

static void sees_a_wrong_state(void **state)
{
	(void)state;
	ready->state = THREAD_SLEEPING;
	sees("a sleeper has no alarm");
	ready->state = THREAD_RUNNING;
	sees("not its CPU's current");
	ready->state = THREAD_DEAD;
	sees("a dead thread is queued");
	ready->state = (enum thread_state)77;
	sees("none of the states");
	ready->state = THREAD_READY;
	sleeper->state = THREAD_READY;
	sees("not on a run queue");
	sleeper->state = THREAD_SLEEPING;
	waiter->state = THREAD_READY;
	sees("waiting_on disagrees");
	waiter->state = THREAD_WAITING;
	boot->state = THREAD_DEAD;
	sees("not given to the reaper");
	boot->state = THREAD_RUNNING;
	idle->state = THREAD_SLEEPING;
	sees("a sleeper has no alarm");
	idle->state = THREAD_READY;
}

static void sees_a_wrong_place(void **state)
{
	struct wait_queue other;

	(void)state;
	wait_queue_init(&other, "other");
	waiter->waiting_on = &other;
	sees("not on its wait queue");
	waiter->waiting_on = NULL;
	sees("waiting_on disagrees");
	waiter->waiting_on = &queue;
	wait_queue_destroy(&other);

	list_push_back(&queue.waiters, &boot->link);
	sees("the running thread is queued");
	list_remove(&boot->link);

	list_push_back(&queue.waiters, &sleeper->link);
	sees("a sleeper has no alarm or is queued");
	list_remove(&sleeper->link);

	list_remove(&ready->link);
	sees("not on a run queue");
	list_push_back(&sched.cpus[0]->ready.ready[ready->priority], &ready->link);

	sched.cpus[0]->current = ready;
	sees("not its CPU's current");
	sched.cpus[0]->current = boot;
}

static void sees_wrong_sums(void **state)
{
	uint8_t priority = ready->priority;

	(void)state;
	sched.created++;
	sees("created minus ended");
	sched.created--;
	waiter->in_sleep_heap = true;
	sees("with an alarm");
	waiter->in_sleep_heap = false;
	sched.sleepers.count++;
	sees("sleep queue: fewer nodes");
	sched.sleepers.count--;
	sched.doomed_count++;
	sees("reaper's list differs");
	sched.doomed_count--;
	run_queue_remove(&sched.cpus[0]->ready, ready);
	list_push_back(&queue.waiters, &ready->link);
	sees("other threads than the ready ones");
	list_remove(&ready->link);
	run_queue_add_back(&sched.cpus[0]->ready, ready);
	ready->priority = 40;
	sees("out of range");
	ready->priority = 3;
	sees("another priority");
	ready->priority = priority;
}

static void sees_a_wrong_order(void **state)
{
	(void)state;
	list_remove(&dead->all);
	list_push_back(&sched.threads, &dead->all);
	sees("id order");
	list_remove(&dead->all);
	list_insert_after(&waiter->all, &dead->all);
	ready->id += THREAD_BUCKETS / 2;
	sees("not found by its id");
	ready->id -= THREAD_BUCKETS / 2;
}

static void sees_a_wrong_doomed_thread(void **state)
{
	struct thread stranger = {.state = THREAD_DEAD, .detached = true};

	(void)state;
	list_init(&stranger.all);
	list_push_back(&sched.doomed, &stranger.link);
	sched.doomed_count++;
	assert_null(sched_check());
	stranger.detached = false;
	sees("not dead and detached");
	stranger.detached = true;
	stranger.state = THREAD_READY;
	sees("not dead and detached");
	list_remove(&stranger.link);
	sched.doomed_count--;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sees_a_wrong_state), TEST(sees_a_wrong_place),         TEST(sees_wrong_sums),
		TEST(sees_a_wrong_order), TEST(sees_a_wrong_doomed_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
