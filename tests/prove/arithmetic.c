/* SPDX-License-Identifier: MIT */
/*
 * kmalloc's arithmetic, for every argument it can ever have: all sizes of objects, all offsets in
 * the largest slab. That is few enough to try them all, so these are proofs by exhaustion.
 */
#include <kmalloc_fast.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SLAB_BYTES (PAGE_BYTES << SLAB_ORDER_MAX)

struct kheap kernel_heap;

/* The class of every size is the smallest that holds it, and classes and sizes are inverses. */
static void test_classes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KMALLOC_CLASSES; i++) {
		assert_int_equal(kmalloc_class(kmalloc_class_bytes(i)), i);
		assert_true(!i || kmalloc_class_bytes(i) > kmalloc_class_bytes(i - 1));
	}
	for (size_t bytes = 0; bytes <= KMALLOC_SMALL_MAX; bytes++) {
		unsigned class = kmalloc_class(bytes);

		assert_true(class < KMALLOC_CLASSES);
		assert_true(kmalloc_class_bytes(class) >= bytes);
		assert_true(!class || kmalloc_class_bytes(class - 1) < bytes);
		/* What the table, by eights, says. */
		assert_int_equal(kmalloc_class((bytes + 7) / 8 * 8), class);
		/* At most an eighth is unasked for, above 128 bytes. */
		assert_true(bytes <= 128 || (kmalloc_class_bytes(class) - bytes) * 8 <= bytes);
	}
	assert_int_equal(kmalloc_class_bytes(KMALLOC_CLASSES - 1), KMALLOC_SMALL_MAX);
}

/* A request rounded up to a multiple of `align` gets a class that is one. */
static void test_alignment(void **state)
{
	(void)state;
	for (size_t align = 1; align <= PAGE_BYTES; align *= 2)
		for (size_t bytes = align; bytes <= KMALLOC_SMALL_MAX; bytes += align)
			assert_int_equal(kmalloc_class_bytes(kmalloc_class(bytes)) % align, 0);
}

/* Slot and remainder of every offset in a slab, for every size an object can have. */
static void test_division(void **state)
{
	unsigned long wrong = 0;

	(void)state;
	for (uint32_t bytes = 8; bytes <= KMALLOC_SMALL_MAX; bytes += 8) {
		uint32_t reciprocal = slab_reciprocal(bytes), slot = 0, rest = 0;
		uint64_t inverse = ~(uint64_t)0 / bytes + 1;

		for (uint64_t offset = 0; offset < SLAB_BYTES; offset++) {
			unsigned __int128 product = (unsigned __int128)offset * inverse;

			wrong += offset * reciprocal >> 32 != slot;
			wrong += (uint64_t)(product >> 64) != slot;
			wrong += ((uint64_t)product < inverse) != (rest == 0);
			if (++rest == bytes) {
				rest = 0;
				slot++;
			}
		}
	}
	assert_int_equal(wrong, 0);
}

/* Without a division: in list i exactly those with more than i eighths free, up to i + 1. */
static void test_fullness(void **state)
{
	(void)state;
	/* (One less than the least where slot 0 is left out.) */
	for (uint32_t objects = SLAB_OBJECTS_MIN - 1; objects <= SLAB_OBJECTS_MAX; objects++) {
		struct kmem_cache cache = {.fullness = cache_fullness(objects)};
		unsigned before = 0;

		for (uint32_t free = 1; free < objects; free++) {
			unsigned list = slab_fullness(&cache, free);

			assert_true(list < KMEM_FULLNESS);
			assert_true(list >= before); /* more free: never a fuller list */
			assert_in_range(free * KMEM_FULLNESS, list * objects,
					(list + 1) * objects + KMEM_FULLNESS);
			before = list;
		}
	}
}

/* Where the stacks of a CPU's page cache begin: one after the other, and all fit. */
static void test_page_cache(void **state)
{
	(void)state;
	assert_int_equal(page_cache_first(0), 0);
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++)
		assert_true(page_cache_first(k) < page_cache_first(k + 1));
	assert_int_equal(page_cache_first(PAGE_CACHE_ORDERS), PAGE_CACHE_SLOTS);
	for (uint64_t pages = 1; pages <= SUPERBLOCK_PAGES; pages++)
		assert_int_equal(page_object_is_block(pages),
				 (pages & (pages - 1)) == 0 && pages < 1u << PAGE_CACHE_ORDERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),    cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_division),   cmocka_unit_test(test_fullness),
		cmocka_unit_test(test_page_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
