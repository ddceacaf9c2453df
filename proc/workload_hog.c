/* SPDX-License-Identifier: MIT */
/*
 * The hog: takes all memory, blocks of pages first, the largest before the smaller, then objects;
 * looks again every few milliseconds for what others have given back; and returns it all.
 *
 *   held ─► block of 2^18 pages ─► block of 2^9 ─► … ─► object of 8192 bytes ─► … ─► NULL
 *
 * Where there is no memory there is none for books either: each piece begins with its own entry.
 *
 * Invariant: every piece in the list is ours, and its entry as we wrote it.
 * Lock: none; the list is one thread's own.
 */
#include "workload_internal.h"
#include <quire/kmalloc.h>
#include <quire/thread.h>

#define LOOK_NS   10000000u
#define ENTRY_SUM 0x686f672121676f68u /* of an entry's words: tells whether somebody wrote to it */
#define AN_OBJECT 64u                 /* order of what is kmalloc's */

struct piece {
	struct piece *next;
	uint64_t order;
	uint64_t sum;
};

static struct piece *held_push(struct piece *held, void *memory, uint64_t order)
{
	struct piece *p = memory;

	*p = (struct piece){
		.next = held,
		.order = order,
		.sum = ENTRY_SUM ^ (uintptr_t)held ^ order,
	};
	return p;
}

static struct piece *take_pages(struct piece *held, unsigned order, struct workload_info *info)
{
	for (;;) {
		pfn_t frame = page_alloc(kernel_heap.pages, order, PAGE_ANY);

		if (pfn_is_none(frame))
			return held;
		held = held_push(held, port_phys_to_virt(pfn_to_paddr(frame)), order);
		workload_count(&info->bytes, PAGE_BYTES << order);
	}
}

static struct piece *take_objects(struct piece *held, size_t bytes, struct workload_info *info)
{
	for (;;) {
		void *object = kmalloc(bytes);

		if (!object)
			return held;
		held = held_push(held, object, AN_OBJECT);
		workload_count(&info->bytes, bytes);
	}
}

static struct piece *take_all(struct piece *held, struct workload_info *info)
{
	for (unsigned order = PAGE_ORDER_MAX + 1; order-- > 0;)
		held = take_pages(held, order, info);
	for (size_t bytes = KMALLOC_SMALL_MAX; bytes >= sizeof(struct piece); bytes /= 2)
		held = take_objects(held, bytes, info);
	workload_count(&info->refusals, 1);
	return held;
}

static void give_all(struct piece *held, struct workload_info *info)
{
	while (held) {
		struct piece p = *held;

		if (p.sum != (ENTRY_SUM ^ (uintptr_t)p.next ^ p.order)) {
			/* What it says can no longer be believed: better to lose it all. */
			workload_count(&info->errors, 1);
			return;
		}
		if (p.order == AN_OBJECT)
			kfree(held);
		else
			page_free(kernel_heap.pages, paddr_to_pfn(port_virt_to_phys(held)),
				  (unsigned)p.order);
		held = p.next;
	}
}

void workload_hog(struct workload_run *run)
{
	struct workload_info *info = &run->kind->info;
	struct piece *held = NULL;

	do {
		held = take_all(held, info);
		workload_count(&info->iterations, 1);
	} while (workload_goes_on(run) && !thread_sleep_ns(LOOK_NS));
	give_all(held, info);
}
