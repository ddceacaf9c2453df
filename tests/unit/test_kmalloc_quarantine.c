/* SPDX-License-Identifier: MIT */
/* Quarantine: a second free is seen before the slot has a new owner; what waits is no longer live. */
#include "kmalloc_fixture.h"

#include <kmalloc_debug.h>

static int debug_setup(void **state)
{
	heap_setup(state);
	return kheap_debug_init(&kernel_heap);
}

static void test_double_free_after_others(void **state)
{
	char *object = kheap_alloc(&kernel_heap, 100, 0, 0xffffffff80000a00), *others[100];

	(void)state;
	kheap_free(&kernel_heap, object, 0xffffffff80000f00);
	for (unsigned i = 0; i < array_len(others); i++) {
		others[i] = kmalloc(100); /* "reuse": it is not yet */
		assert_ptr_not_equal(others[i], object);
	}
	kheap_free(&kernel_heap, object, 0xffffffff80000c00);
	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, "double free");
	assert_int_equal(host_last_misuse.when, MISUSE_REFUSED);
	assert_int_equal(host_last_misuse.caller, 0xffffffff80000c00);
	assert_int_equal(host_last_misuse.allocated_by, 0xffffffff80000a00);
	assert_int_equal(host_last_misuse.freed_by, 0xffffffff80000f00);
	assert_int_equal(kmalloc_size(object), 0);
	host_misuse_reset();
	for (unsigned i = 0; i < array_len(others); i++)
		kfree(others[i]);
	assert_int_equal(host_misuses, 0);
}

static void test_quarantine_is_a_queue(void **state)
{
	static char *objects[QUARANTINE_LONG + 10];

	(void)state;
	for (unsigned i = 0; i < array_len(objects); i++)
		objects[i] = kmalloc(40);
	for (unsigned i = 0; i < array_len(objects); i++)
		kfree(objects[i]);
	assert_int_equal(kernel_heap.debug->count, QUARANTINE_LONG);
	for (unsigned i = 0; i < QUARANTINE_LONG; i++)
		assert_ptr_equal((void *)kernel_heap.debug
					 ->held[(kernel_heap.debug->first + i) % QUARANTINE_LONG],
				 objects[i + 10]);
	heap_verify();
}

/* ---- to its caller an object in quarantine is free ---- */

static struct kheap_stats stats(void)
{
	struct kheap_stats s;

	kheap_stats(&kernel_heap, &s);
	return s;
}

static struct kmem_cache_stats class_stats(unsigned class)
{
	struct kmem_cache_stats s;

	assert_true(kheap_cache_stats(&kernel_heap, class, &s));
	return s;
}

static void test_what_waits_is_not_live(void **state)
{
	enum {
		CLASS = 9 /* 144 bytes: 130 and a zone */
	};
	void *objects[20];
	struct kheap_about about;
	struct kmem_cache_stats c;

	(void)state;
	for (unsigned i = 0; i < array_len(objects); i++)
		objects[i] = kmalloc(130);
	assert_int_equal(stats().live_objects, 20);
	assert_int_equal(class_stats(CLASS).live, 20);
	for (unsigned i = 0; i < 15; i++)
		kfree(objects[i]);
	assert_int_equal(stats().live_objects, 5);
	assert_int_equal(stats().live_bytes, 5 * 144);
	assert_int_equal(stats().quarantined_objects, 15);
	assert_int_equal(stats().quarantined_bytes, 15 * 144);
	c = class_stats(CLASS);
	assert_int_equal(c.live, 5);
	assert_int_equal(c.quarantined, 15);
	assert_int_equal(c.allocs, 20);
	assert_int_equal(c.frees, 15);
	assert_int_equal(class_stats(CLASS + 1).quarantined, 0);
	kheap_about(&kernel_heap, objects[3], &about);
	assert_int_equal(about.where, KHEAP_FREE_OBJECT);
	assert_int_equal(about.slab_live, 5);
	debug_drain(&kernel_heap);
	assert_int_equal(stats().live_objects, 5);
	assert_int_equal(stats().quarantined_objects, 0);
	c = class_stats(CLASS);
	assert_int_equal(c.frees, 15);
	assert_int_equal(c.quarantined, 0);
	for (unsigned i = 15; i < array_len(objects); i++)
		kfree(objects[i]);
	assert_int_equal(stats().live_objects, 0);
}

static void test_the_trace_tells_when_it_was_freed(void **state)
{
	static uint64_t memory[1000];
	struct alloc_trace *trace = alloc_trace_init(memory, sizeof memory);
	void *object = kmalloc(100);
	struct alloc_event e;
	uint64_t oldest;

	(void)state;
	kheap_trace(&kernel_heap, trace);
	kheap_free(&kernel_heap, object, 0xffffffff80000f00);
	assert_int_equal(alloc_trace_recorded(trace, &oldest), 1);
	assert_true(alloc_trace_read(trace, 0, &e));
	assert_int_equal(e.operation, TRACE_KFREE);
	assert_int_equal(e.address, (uintptr_t)object);
	assert_int_equal(e.bytes, 100);
	assert_int_equal(e.caller, 0xffffffff80000f00);
	kheap_free(&kernel_heap, object, 0xffffffff80000c00); /* refused: no event */
	debug_drain(&kernel_heap);
	assert_int_equal(alloc_trace_recorded(trace, &oldest), 1);
	kheap_trace(&kernel_heap, NULL);
	host_misuse_reset();
}

#define debug_test(f) cmocka_unit_test_setup_teardown(f, debug_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		debug_test(test_double_free_after_others),
		debug_test(test_quarantine_is_a_queue),
		debug_test(test_what_waits_is_not_live),
		debug_test(test_the_trace_tells_when_it_was_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
