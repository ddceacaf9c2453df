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

void *kmalloc_aligned(size_t bytes, size_t align)
{
	assert(align <= 64); /* nobody looks */
	return kmalloc(bytes);
}

void *krealloc(void *object, size_t bytes)
{
	void *moved = kmalloc(bytes);

	if (!moved)
		return NULL;
	memcpy(moved, object, 16); /* callers let them grow */
	kfree(object);
	return moved;
}

struct kmem_cache *kmem_cache_create(struct kheap *heap, const char *name, size_t bytes,
				     size_t align)
{
	struct kmem_cache *cache = kzalloc(sizeof *cache);

	if (cache)
		*cache = (struct kmem_cache){
			.heap = heap, .name = name, .object_bytes = (uint32_t)(bytes + align)};
	return cache;
}

void *kmem_cache_take(struct kmem_cache *cache)
{
	void *object = kmalloc(cache->object_bytes);

	cache->common.allocs += object != NULL;
	return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	cache->common.frees++;
	kfree(object);
}

int kmem_cache_destroy(struct kmem_cache *cache)
{
	assert(cache->common.allocs == cache->common.frees);
	kfree(cache);
	return 0;
}

/* First fit; the tests take few pages. */
static pfn_t frames_take(size_t count, size_t align)
{
	if (host_allocation_fails())
		return PFN_NONE;
	if (!host_ram)
		host_ram_init(SHIM_FRAMES * PAGE_BYTES);
	for (size_t first = 0; first + count <= SHIM_FRAMES; first += align) {
		if (memchr(&frame_used[first], true, count))
			continue;
		memset(&frame_used[first], true, count);
		host_live.blocks++;
		return pfn(first);
	}
	return PFN_NONE;
}

pfn_t page_alloc_block(struct page_allocator *pa, unsigned order, unsigned flags)
{
	assert(pa == &pages && flags == PAGE_ANY);
	return frames_take((size_t)1 << order, (size_t)1 << order);
}

static uint64_t run_pages[SHIM_FRAMES];

pfn_t page_alloc_run(struct page_allocator *pa, uint64_t count, unsigned flags)
{
	pfn_t head = frames_take(count, 1);

	assert(pa == &pages && flags == PAGE_ANY);
	if (!pfn_is_none(head))
		run_pages[head.n] = count;
	return head;
}

void page_free_run(struct page_allocator *pa, pfn_t head)
{
	assert(pa == &pages && frame_used[head.n]);
	memset(&frame_used[head.n], false, run_pages[head.n]);
	host_live.blocks--;
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

void host_pages_forget(void)
{
	memset(frame_used, 0, sizeof frame_used);
	host_live.blocks = 0;
}

void host_heap_reset(void)
{
	list_for_each_safe (node, next, &objects)
		kfree(list_entry(node, struct shim_object, link) + 1);
	host_fail_after = -1;
}
