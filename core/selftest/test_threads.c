/* SPDX-License-Identifier: MIT */
/* Self tests of threads, sleep and queues, under the real timer. */
#include <quire/errno.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/thread.h>

#define MANY 100

static void count_up(void *counter)
{
	__atomic_fetch_add((unsigned *)counter, 1, __ATOMIC_RELAXED);
}

/* Many threads at once; each runs, each can be joined once. */
SELFTEST(threads)
{
	static unsigned ran;
	uint32_t ids[MANY];
	unsigned made = 0;

	ran = 0;
	for (; made < MANY; made++) {
		ids[made] = thread_create("count", count_up, &ran, NULL);
		if (!ids[made])
			break;
	}
	for (unsigned i = 0; i < made; i++)
		expect(thread_join(ids[i], NULL) == 0, "a thread could not be joined");
	expect(made == MANY, "out of memory");
	expect(ran == MANY, "a thread did not run");
	expect(thread_join(ids[0], NULL) == -ESRCH, "a thread was joined twice");
	return NULL;
}

static void spin_until_told(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED) && !thread_should_stop())
		port_relax();
}

/* A thread that only computes does not keep one of equal or higher priority from running. */
SELFTEST(priority)
{
	static bool stop;
	static unsigned ran;
	uint32_t spinner, other;

	stop = false;
	ran = 0;
	spinner = thread_create("spinner", spin_until_told, &stop, NULL);
	other = thread_create("other", count_up, &ran, NULL);
	for (unsigned i = 0; other && i < 100 && !__atomic_load_n(&ran, __ATOMIC_RELAXED); i++)
		if (thread_sleep_ns(10000000))
			break;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	expect(!spinner || !thread_join(spinner, NULL), "the spinner could not be joined");
	expect(!other || !thread_join(other, NULL), "the other could not be joined");
	expect(spinner && other, "out of memory");
	expect(ran == 1, "a computing thread was not preempted");
	return NULL;
}

/* Sleep takes at least as long as asked, and not for ever. */
SELFTEST(sleep)
{
	uint64_t before = port_now_ns(), took;

	expect(thread_sleep_ns(30000000) == 0, "sleep was interrupted");
	took = port_now_ns() - before;
	expect(took >= 30000000, "sleep was too short");
	expect(took < 3000000000ull, "sleep was far too long");
	return NULL;
}

struct meeting {
	struct wait_queue queue;
	bool open;
};

static bool is_open(void *meeting)
{
	return ((struct meeting *)meeting)->open;
}

static void wait_for_opening(void *meeting)
{
	struct meeting *m = meeting;

	thread_exit(wait_queue_wait(&m->queue, is_open, m, 0));
}

/* Waiters sleep until woken; a timeout ends a wait that nobody ends. */
SELFTEST(queue)
{
	struct meeting m = {.open = false};
	const char *error = NULL;
	int32_t code = -1;
	uint32_t id;

	wait_queue_init(&m.queue, "selftest");
	if (wait_queue_wait(&m.queue, is_open, &m, 20000000) != -ETIMEDOUT)
		error = "a wait without a waker did not time out";
	id = thread_create("waiter", wait_for_opening, &m, NULL);
	if (id) {
		if (thread_sleep_ns(20000000))
			error = "sleep was interrupted";
		m.open = true;
		wait_queue_wake(&m.queue, 1);
		if (thread_join(id, &code) || code != 0)
			error = "the waiter was not woken";
	} else {
		error = "out of memory";
	}
	wait_queue_destroy(&m.queue);
	return error;
}

#define TURNS 200

struct shared_count {
	struct mutex lock;
	unsigned value;
};

static void add_slowly(void *shared)
{
	struct shared_count *s = shared;

	for (unsigned i = 0; i < TURNS; i++) {
		unsigned seen;

		mutex_lock(&s->lock);
		seen = s->value;
		thread_yield(); /* whoever ignores the lock gets in here */
		s->value = seen + 1;
		mutex_unlock(&s->lock);
	}
}

/* A read-modify-write that yields in the middle loses nothing under a mutex. */
SELFTEST(mutex)
{
	struct shared_count s = {.value = 0};
	uint32_t a, b;

	mutex_init(&s.lock, "selftest");
	a = thread_create("adder", add_slowly, &s, NULL);
	b = thread_create("adder", add_slowly, &s, NULL);
	if (a && thread_join(a, NULL))
		return "the first adder could not be joined";
	if (b && thread_join(b, NULL))
		return "the second adder could not be joined";
	mutex_destroy(&s.lock);
	expect(a && b, "out of memory");
	expect(s.value == 2 * TURNS, "updates were lost under a mutex");
	return NULL;
}
