/* SPDX-License-Identifier: MIT */
/*
 * kmalloc and the page allocator as thin covers of the host's malloc, for tests of proc/: every
 * object is counted and listed, and any allocation can be made to fail.
 */
#include "host.h"
#include "sched_host.h"
#include <quire/assert.h>
#include <quire/kmalloc.h>
#include <stdlib.h>
#include <string.h>

#define SHIM_FRAMES 4096

long host_fail_after = -1;
struct host_live host_live;

struct page_cpu page_cpu_closed;
/* Nothing of it is used but this: no CPU has a cache. */
static struct page_allocator pages = {.cpu = {[0 ... PORT_CPUS_MAX - 1] = &page_cpu_closed}};
struct kheap kernel_heap = {.pages = &pages};

/* In front of every object; keeps malloc's alignment. */
struct shim_object {
	struct list link;
};

static struct list objects = {&objects, &objects};
static bool frame_used[SHIM_FRAMES];

bool host_allocation_fails(void)
{
	return host_fail_after >= 0 && host_fail_after-- == 0;
}

void *kmalloc(size_t bytes)
{
	struct shim_object *o;

	if (host_allocation_fails())
		return NULL;
	o = malloc(sizeof *o + bytes);
	assert(o);
	list_push_back(&objects, &o->link);
	host_live.objects++;
	return o + 1;
}

void *kzalloc(size_t bytes)
{
	void *p = kmalloc(bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

void *kcalloc(size_t count, size_t bytes)
{
	size_t total;

	return __builtin_mul_overflow(count, bytes, &total) ? NULL : kzalloc(total);
}

void kfree(void *object)
{
	struct shim_object *o = (struct shim_object *)object - 1;

	if (!object)
		return;
	list_remove(&o->link);
	host_live.objects--;
	free(o);
}

/* First fit; the tests take few pages. */
pfn_t page_alloc_block(struct page_allocator *pa, unsigned order, unsigned flags)
{
	size_t count = (size_t)1 << order;

	assert(pa == &pages && flags == PAGE_ANY);
	if (host_allocation_fails())
		return PFN_NONE;
	if (!host_ram)
		host_ram_init(SHIM_FRAMES * PAGE_BYTES);
	for (size_t first = 0; first < SHIM_FRAMES; first += count) {
		if (memchr(&frame_used[first], true, count))
			continue;
		memset(&frame_used[first], true, count);
		host_live.blocks++;
		return pfn(first);
	}
	return PFN_NONE;
}

void page_free_block(struct page_allocator *pa, pfn_t head, unsigned order)
{
	assert(pa == &pages && frame_used[head.n]);
	memset(&frame_used[head.n], false, (size_t)1 << order);
	host_live.blocks--;
}

pfn_t page_alloc_slow(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	(void)caller;
	return page_alloc_block(pa, order, flags);
}

void page_free_slow(struct page_allocator *pa, pfn_t frame, unsigned order, uintptr_t caller)
{
	(void)caller;
	page_free_block(pa, frame, order);
}

pfn_t page_cleared(pfn_t frame, unsigned order)
{
	(void)order;
	return frame;
}

void host_heap_reset(void)
{
	list_for_each_safe (node, next, &objects)
		kfree(list_entry(node, struct shim_object, link) + 1);
	host_fail_after = -1;
}
