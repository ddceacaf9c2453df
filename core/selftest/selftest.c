/* SPDX-License-Identifier: MIT */
/* Running the self tests: before and after each the books must be the same. */
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/selftest.h>
#include <quire/thread.h>

#define SETTLE_TRIES 50 /* times 20 ms for ended threads to be reaped */
#define SETTLE_NS    20000000ull

extern const struct selftest *const __start_selftests[];
extern const struct selftest *const __stop_selftests[];

const struct selftest *selftest_at(unsigned long i)
{
	unsigned long count = (unsigned long)(__stop_selftests - __start_selftests);

	return i < count ? __start_selftests[i] : NULL;
}

/* What must be the same afterwards. */
struct baseline {
	uint64_t free_pages, live_objects, large_live, threads;
};

static struct baseline take_baseline(void)
{
	struct memory_stats memory;
	struct kheap_stats heap;
	struct sched_stats sched;

	memory_settle();
	memory_stats(&memory);
	kheap_stats(&kernel_heap, &heap);
	sched_stats(&sched);
	return (struct baseline){memory.free_pages, heap.live_objects, heap.large_live,
				 sched.threads};
}

static const char *compare(const struct baseline *before, const struct baseline *after)
{
	if (after->threads != before->threads)
		return "threads are left over";
	if (after->live_objects != before->live_objects || after->large_live != before->large_live)
		return "kmalloc'd objects are left over";
	if (after->free_pages != before->free_pages)
		return "free pages are not what they were";
	return NULL;
}

const char *selftest_run(const struct selftest *t)
{
	struct baseline before = take_baseline(), after;
	const char *error = t->run();

	for (unsigned i = 0; !error && i < SETTLE_TRIES; i++) {
		after = take_baseline();
		if (!compare(&before, &after))
			break;
		if (thread_sleep_ns(SETTLE_NS))
			break;
	}
	if (!error) {
		after = take_baseline();
		error = compare(&before, &after);
	}
	if (!error)
		error = memory_check();
	if (!error)
		error = sched_check();
	return error;
}
