/* SPDX-License-Identifier: MIT */
/* The counters that tell whether anything was left behind. No lock: each source has its own. */
#include "books.h"
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/thread.h>

#define TRIES        250 /* times 20 ms for ended threads to be reaped */
#define TRY_NS       20000000ull
#define SETTLE_TRIES 100 /* times 50 ms until two looks agree */
#define SETTLE_NS    50000000ull

void books_take(struct books *out)
{
	struct memory_stats memory;
	struct kheap_stats heap;
	struct sched_stats sched;

	memory_settle();
	memory_stats(&memory);
	kheap_stats(&kernel_heap, &heap);
	sched_stats(&sched);
	*out = (struct books){
		.free_pages = memory.free_pages,
		.live_objects = heap.live_objects,
		.live_bytes = heap.live_bytes,
		.large_live = heap.large_live,
		.large_pages = heap.large_pages,
		.threads = sched.threads,
	};
}

void books_settle(struct books *out)
{
	struct books last;

	books_take(out);
	for (unsigned i = 0; i < SETTLE_TRIES; i++) {
		last = *out;
		(void)thread_sleep_ns(SETTLE_NS);
		books_take(out);
		if (!books_compare(&last, out))
			return;
	}
}

const char *books_compare(const struct books *before, const struct books *after)
{
	if (after->threads != before->threads)
		return "threads are left over";
	if (after->live_objects != before->live_objects ||
	    after->live_bytes != before->live_bytes || after->large_live != before->large_live ||
	    after->large_pages != before->large_pages)
		return "kmalloc'd objects are left over";
	if (after->free_pages != before->free_pages)
		return "free pages are not what they were";
	return NULL;
}

const char *books_come_back(const struct books *before, struct books *after)
{
	const char *wrong;

	for (unsigned i = 0;; i++) {
		books_take(after);
		wrong = books_compare(before, after);
		if (!wrong || i == TRIES || thread_sleep_ns(TRY_NS))
			return wrong;
	}
}
