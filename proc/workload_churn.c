/* SPDX-License-Identifier: MIT */
/*
 * The churn workload: holds up to SLOTS pieces of memory, of all sizes, from
 * kmalloc and from the page allocator; fills each with numbers of its own, and
 * looks whether they are still there before giving it back.
 *
 * Invariant: a slot with bytes > 0 owns its memory, every word i of which is seed + i.
 * Lock: none; the slots are one thread's own.
 */
#include "workload_internal.h"
#include <quire/kmalloc.h>
#include <quire/thread.h>

#define SLOTS     64
#define ORDER_MAX 3
#define BATCH     32 /* steps between looks at the clock */

struct slot {
	uint64_t *words;
	size_t bytes; /* 0: empty */
	uint64_t seed;
	bool pages; /* from page_alloc(): frame and order */
	uint8_t order;
	pfn_t frame;
};

static void fill(const struct slot *s)
{
	for (size_t i = 0; i < s->bytes / sizeof *s->words; i++)
		s->words[i] = s->seed + i;
}

static bool is_intact(const struct slot *s)
{
	for (size_t i = 0; i < s->bytes / sizeof *s->words; i++)
		if (s->words[i] != s->seed + i)
			return false;
	return true;
}

/* Small ones are common, as in life: 8 bytes to 16 KiB, each power of two as likely. */
static bool take_object(struct slot *s, uint64_t random)
{
	size_t bytes = (size_t)8 << (random % 11);

	bytes += (size_t)(random >> 32) % bytes;
	s->words = kmalloc(bytes);
	s->bytes = s->words ? bytes : 0;
	s->pages = false;
	return s->words != NULL;
}

static bool take_pages(struct slot *s, uint64_t random)
{
	s->order = (uint8_t)(random % (ORDER_MAX + 1));
	s->frame = page_alloc(kernel_heap.pages, s->order, PAGE_ANY);
	if (pfn_is_none(s->frame))
		return false;
	s->words = port_phys_to_virt(pfn_to_paddr(s->frame));
	s->bytes = (size_t)PAGE_BYTES << s->order;
	s->pages = true;
	return true;
}

static void take(struct slot *s, uint64_t random, struct workload_info *info)
{
	/* Whole pages one time in eight. */
	bool ok = random >> 61 ? take_object(s, random) : take_pages(s, random);

	if (!ok) {
		workload_count(&info->refusals, 1);
		return;
	}
	s->seed = random;
	fill(s);
	workload_count(&info->bytes, s->bytes);
}

static void give_back(struct slot *s, struct workload_info *info)
{
	if (!s->bytes)
		return;
	if (!is_intact(s))
		workload_count(&info->errors, 1);
	if (s->pages)
		page_free(kernel_heap.pages, s->frame, s->order);
	else
		kfree(s->words);
	s->bytes = 0;
}

void workload_churn(struct workload_run *run)
{
	struct workload_info *info = &run->kind->info;
	struct slot *slots = kcalloc(SLOTS, sizeof *slots);
	uint64_t state = thread_current()->id;

	if (!slots) {
		workload_count(&info->refusals, 1);
		return;
	}
	while (workload_goes_on(run)) {
		for (unsigned i = 0; i < BATCH; i++) {
			uint64_t random = workload_random(&state);
			struct slot *s = &slots[random % SLOTS];

			if (s->bytes)
				give_back(s, info);
			else
				take(s, workload_random(&state), info);
		}
		workload_count(&info->iterations, BATCH);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		give_back(&slots[i], info);
	kfree(slots);
}
