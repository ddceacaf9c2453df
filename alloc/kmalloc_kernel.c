/* SPDX-License-Identifier: MIT */
/*
 * The usual names, for the one heap of the kernel. The heap itself is the
 * kernel's (core/memory.c); a host test or another kernel defines its own.
 *
 * Each function passes on who called it, so none may be inlined away: what the
 * report names is the caller of kmalloc().
 */
#include "kmalloc_fast.h"

void *kmalloc(size_t bytes)
{
	uint32_t class;
	void *object;

	if (unlikely(bytes > KMALLOC_SMALL_MAX))
		return large_alloc(&kernel_heap, bytes, 0, caller_address());
	class = kheap_class(&kernel_heap, bytes);
	object = magazine_pop(&kernel_heap, class);
	if (unlikely(!object))
		return cache_alloc_slow(&kernel_heap.classes[class], bytes, caller_address());
	return object;
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
		kheap_free_slow(&kernel_heap, object, caller_address());
}

size_t kmalloc_size(const void *object)
{
	return kheap_size(&kernel_heap, object);
}
