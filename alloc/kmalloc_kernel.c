/* SPDX-License-Identifier: MIT */
/*
 * The usual names, for the one heap of the kernel. The heap itself is the
 * kernel's (core/memory.c); a host test or another kernel defines its own.
 *
 * Each function passes on who called it, so none may be inlined away: what the
 * report names is the caller of kmalloc().
 */
#include "kmalloc_fast.h"

/* What kmalloc() and kfree() leave: their arguments stay where they are. */
static slow_fn void *kmalloc_large(size_t bytes, uintptr_t caller)
{
	return large_alloc(&kernel_heap, bytes, 0, caller);
}

static slow_fn void *kmalloc_slow(size_t bytes, uintptr_t caller)
{
	uint32_t class = kheap_class(&kernel_heap, port_padded(bytes));
	struct kmem_cache *cache = &kernel_heap.classes[class];

	return cache_alloc_slow(cache, bytes, caller);
}

static slow_fn void kfree_slow(void *object, uintptr_t caller)
{
	kheap_free_slow(&kernel_heap, object, caller);
}

void *kmalloc(size_t bytes)
{
	void *object;

	if (unlikely(port_padded(bytes) > KMALLOC_SMALL_MAX))
		return kmalloc_large(bytes, caller_address());
	object = magazine_pop(&kernel_heap, kheap_class(&kernel_heap, port_padded(bytes)));
	return likely(object) ? object : kmalloc_slow(bytes, caller_address());
}

void *kzalloc(size_t bytes)
{
	return kheap_alloc(&kernel_heap, bytes, KMALLOC_ZERO, caller_address());
}

void *kmalloc_array(size_t count, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		return NULL;
	return kheap_alloc(&kernel_heap, total, 0, caller_address());
}

void *kcalloc(size_t count, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		return NULL;
	return kheap_alloc(&kernel_heap, total, KMALLOC_ZERO, caller_address());
}

void *kmalloc_aligned(size_t bytes, size_t align)
{
	return kheap_alloc_aligned(&kernel_heap, bytes, align, 0, caller_address());
}

void *krealloc(void *object, size_t bytes)
{
	return kheap_realloc(&kernel_heap, object, bytes, caller_address());
}

void kfree(void *object)
{
	if (unlikely(!kheap_free_fast(&kernel_heap, object)))
		kfree_slow(object, caller_address());
}

size_t kmalloc_size(const void *object)
{
	return kheap_size(&kernel_heap, object);
}
