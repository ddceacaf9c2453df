/* SPDX-License-Identifier: MIT */
/* kmalloc as its callers see it: sizes, alignment, zeroing, realloc, large objects, giving back. */
#include "kmalloc_fixture.h"

#define INTERNAL_CACHES (KHEAP_HEADERS + 2)

static void test_classes_fit_and_waste_little(void **state)
{
	(void)state;
	assert_int_equal(kmalloc_class(0), 0);
	assert_int_equal(kmalloc_class(KMALLOC_SMALL_MAX), KMALLOC_CLASSES - 1);
	assert_int_equal(kmalloc_class_bytes(KMALLOC_CLASSES - 1), KMALLOC_SMALL_MAX);
	for (unsigned i = 1; i < KMALLOC_CLASSES; i++)
		assert_true(kmalloc_class_bytes(i) > kmalloc_class_bytes(i - 1));
	for (size_t bytes = 1; bytes <= KMALLOC_SMALL_MAX; bytes++) {
		unsigned class = kmalloc_class(bytes);
		uint32_t got = kmalloc_class_bytes(class);

		assert_true(got >= bytes);
		assert_true(class == 0 || kmalloc_class_bytes(class - 1) < bytes);
		if (bytes > 128)
			assert_true((got - bytes) * 8 <= got);
	}
}

static void test_class_names_tell_the_size(void **state)
{
	struct kmem_cache_stats stats;
	char name[32];
	size_t i = 0;

	(void)state;
	for (; i < KMALLOC_CLASSES; i++) {
		assert_true(kheap_cache_stats(&kernel_heap, i, &stats));
		snprintf(name, sizeof name, "kmalloc-%u", kmalloc_class_bytes((unsigned)i));
		assert_string_equal(stats.name, name);
		assert_true(stats.size_class);
		assert_int_equal(stats.object_bytes, kmalloc_class_bytes((unsigned)i));
	}
	for (unsigned internal = 0; internal < INTERNAL_CACHES; internal++) {
		assert_true(kheap_cache_stats(&kernel_heap, i++, &stats));
		assert_false(stats.size_class);
	}
	assert_false(kheap_cache_stats(&kernel_heap, i, &stats));
}

/* Every geometry, class or typed: at least 8 objects, at most 1/8 of slack, exact division. */
static void test_slab_geometry(void **state)
{
	struct kheap heap;

	(void)state;
	kheap_init(&heap, &pages);
	for (uint32_t bytes = 8; bytes <= KMALLOC_SMALL_MAX; bytes += 8) {
		struct kmem_cache cache;
		uint64_t slab_bytes;
		struct slab s = {.cache = &cache, .base = 0};

		cache_init(&cache, &heap, "typed", bytes, KMEM_TYPED);
		slab_bytes = PAGE_BYTES << cache.order;
		assert_true(cache.objects >= 8 && cache.objects <= SLAB_OBJECTS_MAX);
		assert_true(cache.objects == slab_bytes / bytes);
		assert_true(slab_bytes % bytes * 8 <= slab_bytes);
		for (uint64_t at = 0; at < slab_bytes; at++)
			if (slab_slot_around(&s, at) != at / bytes)
				fail_msg("%u bytes: offset %lu", bytes, at);
		list_remove(&cache.link);
	}
}

static void test_every_size_is_aligned_and_sized(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes <= 3 * KMALLOC_SMALL_MAX; bytes++) {
		char *object = kmalloc(bytes);
		size_t usable = kmalloc_size(object);

		assert_non_null(object);
		assert_true(usable >= bytes && usable >= 8);
		assert_int_equal(physical(object) % 8, 0);
		if (bytes >= 9)
			assert_int_equal(physical(object) % 16, 0);
		if (bytes && (bytes & (bytes - 1)) == 0)
			assert_int_equal(physical(object) % (bytes < 4096 ? bytes : 4096), 0);
		if (bytes > KMALLOC_SMALL_MAX)
			assert_int_equal(usable, align_up(bytes, PAGE_BYTES));
		memset(object, 0xa5, usable);
		kfree(object);
	}
}

static void test_zero_bytes_are_distinct(void **state)
{
	void *a = kmalloc(0), *b = kmalloc(0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	kfree(a);
	kfree(b);
	kfree(NULL);
	assert_int_equal(host_misuses, 0);
}

static void test_objects_of_a_class_do_not_overlap(void **state)
{
	enum {
		COUNT = 700
	};
	static const size_t sizes[] = {1, 8, 16, 40, 64, 100, 144, 300, 1024, 3000, 8192};
	static unsigned char *objects[COUNT];

	(void)state;
	for (size_t s = 0; s < array_len(sizes); s++) {
		for (unsigned i = 0; i < COUNT; i++) {
			objects[i] = kmalloc(sizes[s]);
			assert_non_null(objects[i]);
			memset(objects[i], (int)(i & 0xff), kmalloc_size(objects[i]));
		}
		heap_verify();
		for (unsigned i = 0; i < COUNT; i++) {
			size_t last = kmalloc_size(objects[i]) - 1;

			assert_int_equal(objects[i][0], i & 0xff);
			assert_int_equal(objects[i][last], i & 0xff);
			kfree(objects[i]);
		}
		heap_verify_empty();
	}
}

static void test_zeroed_after_use(void **state)
{
	static const size_t sizes[] = {1, 64, 100, 5000, 8192, 8193, 70000};

	(void)state;
	for (size_t s = 0; s < array_len(sizes); s++) {
		unsigned char *dirty = kmalloc(sizes[s]), *clean;

		assert_non_null(dirty);
		memset(dirty, 0xff, kmalloc_size(dirty));
		kfree(dirty);
		clean = kzalloc(sizes[s]);
		assert_non_null(clean);
		for (size_t i = 0; i < kmalloc_size(clean); i++)
			assert_int_equal(clean[i], 0);
		kfree(clean);
	}
}

static void test_arrays_check_overflow(void **state)
{
	unsigned char *a;

	(void)state;
	assert_null(kmalloc_array(SIZE_MAX / 8 + 1, 8));
	assert_null(kcalloc(SIZE_MAX, SIZE_MAX));
	assert_null(kcalloc((size_t)1 << 33, (size_t)1 << 33)); /* wraps to 2^2 */
	a = kmalloc_array(100, 7);
	assert_int_equal(kmalloc_size(a), 704);
	memset(a, 1, 704);
	kfree(a);
	a = kcalloc(88, 8);
	assert_non_null(a);
	for (unsigned i = 0; i < 704; i++)
		assert_int_equal(a[i], 0);
	kfree(a);
}

static void test_absurd_sizes_fail(void **state)
{
	static const size_t sizes[] = {SIZE_MAX,       SIZE_MAX - 1,    SIZE_MAX - 4095,
				       SIZE_MAX / 2,   (size_t)1 << 62, ((size_t)1 << 30) + 1,
				       (size_t)1 << 30};
	struct kheap_stats stats;

	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		assert_null(kmalloc(sizes[i])); /* the last is legal, but more than there is */
		assert_null(kzalloc(sizes[i]));
		assert_null(kmalloc_aligned(sizes[i], 4096));
	}
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_failures, 3 * array_len(sizes) - 3);
}

static void test_aligned(void **state)
{
	static const size_t sizes[] = {0, 1, 24, 300, 700, 4096, 5000, 8192, 9000, 100000};

	(void)state;
	for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
		for (size_t s = 0; s < array_len(sizes); s++) {
			char *object = kmalloc_aligned(sizes[s], align);

			assert_non_null(object);
			assert_int_equal(physical(object) % align, 0);
			assert_true(kmalloc_size(object) >= sizes[s]);
			memset(object, 1, sizes[s]);
			kfree(object);
		}
	}
	assert_null(kmalloc_aligned(8, 0));
	assert_null(kmalloc_aligned(8, 3));
	assert_null(kmalloc_aligned(8, KMALLOC_ALIGN_MAX * 2));
	assert_null(kmalloc_aligned(SIZE_MAX - 100, 4096));
}

static void test_aligned_for_every_size(void **state)
{
	(void)state;
	for (size_t align = 8; align <= 8192; align *= 2)
		for (size_t bytes = 1; bytes <= KMALLOC_SMALL_MAX; bytes++) {
			size_t got = kmalloc_class_bytes(kmalloc_class(align_up(bytes, align)));

			assert_true(align_up(bytes, align) > KMALLOC_SMALL_MAX || got % align == 0);
		}
}

static void test_large_is_to_the_page(void **state)
{
	uint64_t before = free_pages();
	struct kheap_stats stats;
	void *object = kmalloc(5 * PAGE_BYTES - 10);

	(void)state;
	assert_non_null(object);
	assert_int_equal(before - free_pages(), 5);
	assert_int_equal(kmalloc_size(object), 5 * PAGE_BYTES);
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_live, 1);
	assert_int_equal(stats.large_pages, 5);
	heap_verify();
	kfree(object);
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_allocs, 1);
	assert_int_equal(stats.large_frees, 1);
	assert_int_equal(free_pages(), before);
}

/* Up to 2 MiB through the page caches; freed on a CPU that is not online. */
static void test_large_of_a_power_of_two(void **state)
{
	uint64_t before = free_pages();
	struct kheap_stats stats;

	(void)state;
	for (unsigned order = 2; order <= PAGE_CACHE_ORDERS; order++) {
		size_t bytes = PAGE_BYTES << order;
		void *object = kmalloc(bytes);

		assert_non_null(object);
		assert_int_equal((uintptr_t)object % PAGE_BYTES, 0);
		assert_int_equal(before - free_pages(), 1u << order);
		assert_int_equal(kmalloc_size(object), bytes);
		kheap_stats(&kernel_heap, &stats);
		assert_int_equal(stats.large_live, 1);
		assert_int_equal(stats.large_pages, 1u << order);
		heap_verify();
		host_cpu = 9;
		kfree(object);
		host_cpu = 0;
		kheap_stats(&kernel_heap, &stats);
		assert_int_equal(stats.large_live, 0);
		assert_int_equal(stats.large_pages, 0);
		assert_int_equal(stats.large_frees, order - 1);
		heap_verify();
	}
	assert_int_equal(free_pages(), before);
}

static void test_realloc_in_place(void **state)
{
	char *a = kmalloc(290), *b = kmalloc(3 * PAGE_BYTES);

	(void)state;
	assert_ptr_equal(krealloc(a, 320), a);
	assert_ptr_equal(krealloc(a, 289), a);
	assert_ptr_equal(krealloc(b, 2 * PAGE_BYTES + 1), b);
	kfree(a);
	a = krealloc(b, 9 * PAGE_BYTES);
	a = krealloc(a, 4 * PAGE_BYTES); /* pages no longer wanted go back */
	assert_int_equal(kmalloc_size(a), 4 * PAGE_BYTES);
	kfree(a);
}

static void test_realloc_moves_and_keeps(void **state)
{
	static const size_t sizes[] = {1, 100, 24, 5000, 9000, 8192, 200000, 30, 0, 64};
	unsigned char *object = krealloc(NULL, 10);
	size_t kept = 10;

	(void)state;
	assert_non_null(object);
	memset(object, 0x5a, 10);
	for (size_t s = 0; s < array_len(sizes); s++) {
		object = krealloc(object, sizes[s]);
		assert_non_null(object);
		kept = kept < sizes[s] ? kept : sizes[s];
		for (size_t i = 0; i < kept; i++)
			assert_int_equal(object[i], 0x5a);
		memset(object, 0x5a, sizes[s]);
		kept = sizes[s];
		heap_verify();
	}
	kfree(object);
}

static void test_typed_cache(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "thread", 100, 64);
	struct kmem_cache_stats stats;
	unsigned char *objects[200];

	(void)state;
	assert_non_null(cache);
	for (size_t i = 0; i < array_len(objects); i++) {
		objects[i] = kmem_cache_alloc(cache, i % 2 ? KMALLOC_ZERO : 0);
		assert_non_null(objects[i]);
		assert_int_equal(physical(objects[i]) % 64, 0);
		if (i % 2)
			assert_int_equal(objects[i][127], 0);
		memset(objects[i], 0xee, 128);
	}
	assert_true(kheap_cache_stats(&kernel_heap, KMALLOC_CLASSES + INTERNAL_CACHES, &stats));
	assert_string_equal(stats.name, "thread");
	assert_false(stats.size_class);
	assert_int_equal(stats.object_bytes, 128);
	assert_int_equal(stats.objects_per_slab, 32);
	assert_int_equal(stats.live, 200);
	assert_int_equal(stats.slabs, 7);
	assert_int_equal(kmem_cache_destroy(cache), -EBUSY);
	assert_int_equal(host_last_misuse.live, 200);
	assert_int_equal(host_last_misuse.bytes, 100); /* as asked for */
	assert_string_equal(host_last_misuse.cache, "thread");
	for (unsigned i = 0; i < MISUSE_LEAKS; i++)
		assert_int_equal(kmalloc_size((void *)host_last_misuse.left[i].object), 128);
	assert_int_equal(kmalloc_size(objects[0]), 128);
	for (size_t i = 0; i + 1 < array_len(objects); i++)
		kmem_cache_free(cache, objects[i]);
	kmem_cache_free(cache, NULL);
	assert_int_equal(kmem_cache_destroy(cache), -EBUSY);
	assert_int_equal(host_last_misuse.live, 1);
	assert_int_equal(host_last_misuse.left[0].object, (uintptr_t)objects[199]);
	assert_int_equal(host_misuses, 2);
	host_misuse_reset();
	heap_verify();
	kfree(objects[199]); /* kfree() takes objects of any cache */
	assert_int_equal(kmem_cache_destroy(cache), 0);
	assert_false(kheap_cache_stats(&kernel_heap, KMALLOC_CLASSES + INTERNAL_CACHES, &stats));
	assert_int_equal(host_misuses, 0);
}

static void test_typed_cache_arguments(void **state)
{
	struct kmem_cache *cache;

	(void)state;
	assert_null(kmem_cache_create(&kernel_heap, "none", 0, 0));
	assert_null(kmem_cache_create(&kernel_heap, "huge", KMALLOC_SMALL_MAX + 1, 0));
	assert_null(kmem_cache_create(&kernel_heap, "wrap", SIZE_MAX, 4096));
	assert_null(kmem_cache_create(&kernel_heap, "odd", 64, 24));
	assert_null(kmem_cache_create(&kernel_heap, "wide", 64, 8192));
	assert_int_equal(kmem_cache_destroy(&kernel_heap.classes[3]), -EINVAL);
	assert_int_equal(host_misuses, 1);
	cache = kmem_cache_create(&kernel_heap, "byte", 1, 1);
	assert_non_null(cache);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	cache = kmem_cache_create(&kernel_heap, "page", 4097, 4096);
	assert_non_null(cache);
	assert_int_equal(cache->object_bytes, 8192);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

/* Empty slabs stay for the next burst, up to a 64th of memory; a trim gives all of them back. */
static void test_hysteresis(void **state)
{
	enum {
		COUNT = 30000 /* 1,875 KiB of 64 MiB */
	};
	static void *objects[COUNT];
	struct kheap_stats stats;
	uint64_t pages_then;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < COUNT; i++)
			objects[i] = kmalloc(64);
		if (round)
			assert_int_equal(free_pages(), pages_then);
		pages_then = free_pages();
		for (unsigned i = COUNT; i > 0; i--)
			kfree(objects[i - 1]);
		kheap_stats(&kernel_heap, &stats);
		assert_true(stats.empty_pages > 400 && stats.empty_pages <= 512);
		heap_verify();
	}
	assert_true(kheap_trim(&kernel_heap) > COUNT / 64);
	assert_int_equal(kheap_trim(&kernel_heap), 0);
	assert_int_equal(free_pages(), pages_free_at_start);
}

/* Frees in any order leave nothing behind: ten thousand objects, four orders. */
static void test_all_pages_come_back(void **state)
{
	enum {
		COUNT = 10007
	};
	static void *objects[COUNT];
	uint64_t random = 1;

	(void)state;
	for (unsigned step = 1; step < 5; step++) {
		for (unsigned i = 0; i < COUNT; i++) {
			objects[i] = kmalloc(host_random(&random) % 1500);
			assert_non_null(objects[i]);
		}
		for (unsigned i = 0; i < COUNT; i++)
			kfree(objects[(uint64_t)i * step * 37 % COUNT]);
		heap_verify_empty();
	}
}

static void test_about(void **state)
{
	struct kheap_about about;
	char *object = kmalloc(300), *large = kmalloc(3 * PAGE_BYTES);
	char *other;

	(void)state;
	kheap_about(&kernel_heap, object + 17, &about);
	assert_int_equal(about.where, KHEAP_OBJECT);
	assert_string_equal(about.cache, "kmalloc-320");
	assert_int_equal(about.object, (uintptr_t)object);
	assert_int_equal(about.object_bytes, 320);
	assert_int_equal(about.slab_pages, 2);
	assert_int_equal(about.slots, 25);
	assert_int_equal(about.slab_live, 1);
	assert_int_equal(about.slab + about.slot * 320, about.object);
	other = (char *)(uintptr_t)about.slab + 25 * 320;
	kheap_about(&kernel_heap, other, &about);
	assert_int_equal(about.where, KHEAP_SLACK);
	kheap_about(&kernel_heap, other - 1, &about);
	assert_int_equal(about.where, KHEAP_FREE_OBJECT);
	assert_int_equal(about.slot, 24);
	kheap_about(&kernel_heap, large + 2 * PAGE_BYTES + 5, &about);
	assert_int_equal(about.where, KHEAP_LARGE);
	assert_null(about.cache);
	assert_int_equal(about.object, (uintptr_t)large);
	assert_int_equal(about.slab_pages, 3);
	kheap_about(&kernel_heap, &about, &about);
	assert_int_equal(about.where, KHEAP_NOWHERE);
	kheap_about(&kernel_heap, NULL, &about);
	assert_int_equal(about.where, KHEAP_NOWHERE);
	kfree(object);
	kfree(large);
	kheap_about(&kernel_heap, large, &about);
	assert_int_equal(about.where, KHEAP_NOWHERE);
}

static void test_tracking_knows_callers(void **state)
{
	struct kheap_about about;
	struct kmem_cache *cache;
	void *untracked, *object;

	(void)state;
	untracked = kheap_alloc(&kernel_heap, 100, 0, 0x1111);
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	object = kheap_alloc(&kernel_heap, 200, 0, 0x2222);
	heap_verify();
	kheap_about(&kernel_heap, untracked, &about);
	assert_int_equal(about.allocated_by, 0);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal((uint32_t)about.allocated_by, 0x2222);
	assert_int_equal(about.freed_by, 0);
	kheap_free(&kernel_heap, object, 0x3333);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal(about.where, KHEAP_FREE_OBJECT);
	assert_int_equal((uint32_t)about.allocated_by, 0x2222);
	assert_int_equal((uint32_t)about.freed_by, 0x3333);
	kheap_free(&kernel_heap, untracked, 0x4444);
	cache = kmem_cache_create(&kernel_heap, "tracked", 64, 0);
	object = kmem_cache_alloc(cache, 0);
	kmem_cache_free(cache, object);
	kheap_about(&kernel_heap, object, &about);
	assert_int_not_equal(about.allocated_by, 0);
	assert_int_not_equal(about.freed_by, 0);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	object = kmalloc(3 * PAGE_BYTES);
	kheap_about(&kernel_heap, object, &about);
	assert_int_not_equal(about.allocated_by, 0);
	kfree(object);
}

/* Caches past the last one with magazines: served by the slabs, on every CPU. */
static void test_caches_without_magazines(void **state)
{
	struct kmem_cache *caches[KHEAP_MAGAZINES];

	(void)state;
	assert_int_equal(kheap_cpu_online(&kernel_heap, 2), 0);
	for (unsigned i = 0; i < array_len(caches); i++) {
		caches[i] = kmem_cache_create(&kernel_heap, "one of many", 64, 0);
		assert_non_null(caches[i]);
	}
	assert_int_equal(caches[array_len(caches) - 1]->magazine, KHEAP_MAGAZINES);
	for (host_cpu = 0; host_cpu < 4; host_cpu += 2)
		for (unsigned i = 0; i < array_len(caches); i++) {
			void *object = kmem_cache_alloc(caches[i], 0);

			assert_non_null(object);
			kmem_cache_free(caches[i], object);
		}
	host_cpu = 0;
	for (unsigned i = 0; i < array_len(caches); i++)
		assert_int_equal(kmem_cache_destroy(caches[i]), 0);
}

/* Each CPU's magazines on their own, and together what the heap says. */
static void test_cpu_stats(void **state)
{
	struct kheap_cpu_stats here, there;
	struct kheap_stats all;
	void *a = kmalloc(8), *b = kmalloc(200);

	(void)state;
	assert_int_equal(kheap_cpu_online(&kernel_heap, 2), 0);
	host_cpu = 2;
	kfree(a);
	kfree(b);
	host_cpu = 0;
	kheap_cpu_stats(&kernel_heap, 2, &there);
	assert_int_equal(there.magazines, 2);
	assert_int_equal(there.objects, 2);
	assert_int_equal(there.bytes, 8 + 208);
	kheap_cpu_stats(&kernel_heap, 0, &here);
	kheap_stats(&kernel_heap, &all);
	assert_int_equal(here.objects + there.objects, all.cached_objects);
	assert_int_equal(here.bytes + there.bytes, all.cached_bytes);
	kheap_cpu_drain(&kernel_heap, 2);
	kheap_cpu_stats(&kernel_heap, 2, &there);
	assert_int_equal(there.magazines + there.objects + there.bytes, 0);
	kheap_cpu_stats(&kernel_heap, 1, &there); /* not online */
	assert_int_equal(there.magazines + there.objects + there.bytes, 0);
	kheap_cpu_stats(&kernel_heap, PORT_CPUS_MAX, &there);
	assert_int_equal(there.magazines + there.objects + there.bytes, 0);
}

static void test_stats(void **state)
{
	void *a = kmalloc(64), *b = kmalloc(8000), *c = kmalloc(100000);
	struct kheap_stats stats;

	(void)state;
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.live_objects, 2);
	assert_int_equal(stats.live_bytes, 64 + 8192);
	assert_int_equal(stats.slab_pages, 1 + 16);
	assert_int_equal(stats.header_pages, 3); /* a slab of magazines has two */
	assert_int_equal(stats.large_pages, 25);
	kfree(a);
	kfree(b);
	kfree(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_classes_fit_and_waste_little),
		heap_test(test_class_names_tell_the_size),
		heap_test(test_slab_geometry),
		heap_test(test_every_size_is_aligned_and_sized),
		heap_test(test_zero_bytes_are_distinct),
		heap_test(test_objects_of_a_class_do_not_overlap),
		heap_test(test_zeroed_after_use),
		heap_test(test_arrays_check_overflow),
		heap_test(test_absurd_sizes_fail),
		heap_test(test_aligned),
		heap_test(test_aligned_for_every_size),
		heap_test(test_large_is_to_the_page),
		heap_test(test_large_of_a_power_of_two),
		heap_test(test_realloc_in_place),
		heap_test(test_realloc_moves_and_keeps),
		heap_test(test_typed_cache),
		heap_test(test_typed_cache_arguments),
		heap_test(test_hysteresis),
		heap_test(test_all_pages_come_back),
		heap_test(test_about),
		heap_test(test_tracking_knows_callers),
		heap_test(test_caches_without_magazines),
		heap_test(test_cpu_stats),
		heap_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
