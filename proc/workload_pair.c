/* SPDX-License-Identifier: MIT */
/*
 * The producer-consumer workload.
 *
 *   producer ──► message queue, at most 16 ──► consumer
 *       └────────────── pair ──────────────────────┘
 *
 * Whichever ends first, killed or not, closes the queue; the other then ends by
 * itself: a send fails at once, a receive when the queue is drained. Messages are
 * numbered and filled by their number, and the consumer checks both.
 *
 * Invariant: pair.references = its threads that have not ended.
 * Lock: the message queue's own; the reference count is atomic.
 */
#include "workload_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/message_queue.h>

#define QUEUE_CAPACITY 16
#define WORDS_MAX      64

struct pair {
	struct workload_run *run;
	uint32_t references; /* atomic */
	struct message_queue queue;
};

static void pair_put(struct pair *pair)
{
	if (__atomic_sub_fetch(&pair->references, 1, __ATOMIC_ACQ_REL))
		return;
	message_queue_destroy(&pair->queue);
	kfree(pair);
}

/* The end of either thread. */
static void leave(struct pair *pair)
{
	struct workload_run *run = pair->run;

	message_queue_close(&pair->queue);
	pair_put(pair);
	workload_thread_ends(run);
}

/* Message n is 1..WORDS_MAX words long: n, n + 1, n + 2, ... */
static size_t message_words(uint64_t n)
{
	return (size_t)(workload_random(&n) % WORDS_MAX) + 1;
}

static void produce(struct pair *pair)
{
	struct workload_info *info = &pair->run->kind->info;
	uint64_t words[WORDS_MAX];

	for (uint64_t n = 0; workload_goes_on(pair->run); n++) {
		size_t count = message_words(n);
		int error;

		for (size_t i = 0; i < count; i++)
			words[i] = n + i;
		error = message_queue_send(&pair->queue, words, count * sizeof words[0]);
		if (error == -ENOMEM) {
			workload_count(&info->refusals, 1);
			n--; /* the consumer counts on every number */
			thread_yield();
			continue;
		}
		if (error)
			return;
		workload_count(&info->messages, 1);
		workload_count(&info->bytes, count * sizeof words[0]);
	}
}

static bool message_is(const struct message *m, uint64_t n)
{
	size_t count = message_words(n);
	uint64_t word;

	if (m->bytes != count * sizeof word)
		return false;
	for (size_t i = 0; i < count; i++) {
		__builtin_memcpy(&word, m->data + i * sizeof word, sizeof word);
		if (word != n + i)
			return false;
	}
	return true;
}

static void consume(struct pair *pair)
{
	struct workload_info *info = &pair->run->kind->info;
	struct message *m;

	for (uint64_t n = 0; !thread_should_stop(); n++) {
		if (message_queue_receive(&pair->queue, &m))
			return;
		if (!message_is(m, n))
			workload_count(&info->errors, 1);
		kfree(m);
		workload_count(&info->iterations, 1);
	}
}

static void producer_main(void *argument)
{
	produce(argument);
	leave(argument);
}

static void consumer_main(void *argument)
{
	consume(argument);
	leave(argument);
}

int workload_start_pair(struct workload_run *run)
{
	struct pair *pair = kzalloc(sizeof *pair);

	if (!pair)
		return -ENOMEM;
	pair->run = run;
	pair->references = 2;
	message_queue_init(&pair->queue, QUEUE_CAPACITY);
	if (workload_thread(run, run->kind->info.thread_name, producer_main, pair)) {
		pair->references = 1;
		pair_put(pair);
		return -ENOMEM;
	}
	if (workload_thread(run, "consumer", consumer_main, pair)) {
		/* The producer runs already: it finds the queue closed and ends. */
		message_queue_close(&pair->queue);
		pair_put(pair);
		return -ENOMEM;
	}
	return 0;
}
