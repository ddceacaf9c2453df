/* SPDX-License-Identifier: MIT */
/* kmalloc's figures, a cache's, a CPU's, and what is known of an address: counted by hand. */
#include "kmalloc_fixture.h"

#include <quire/kheap_guard.h>

static struct kmem_cache_stats cache_figures(size_t i)
{
	struct kmem_cache_stats s;

	assert_true(kheap_cache_stats(&kernel_heap, i, &s));
	return s;
}

/* A slab is its objects, colour and waste; how much of it goes to waste is bounded. */
static void test_slabs_add_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < KMALLOC_CLASSES; i++) {
		const struct kmem_cache *cache = &kernel_heap.classes[i];
		struct kmem_cache_stats s = cache_figures(i);

		assert_string_equal(s.name, cache->name);
		assert_true(s.size_class);
		assert_int_equal(s.object_bytes, kmalloc_class_bytes((unsigned)i));
		assert_true(s.objects_per_slab > 0);
		assert_int_equal(s.waste_bytes + (uint64_t)cache->slots * s.object_bytes,
				 s.slab_pages * PAGE_BYTES);
		/* An eighth at most, or less than an object. */
		assert_true(s.waste_bytes * 8 <= s.slab_pages * PAGE_BYTES ||
			    s.waste_bytes < s.object_bytes);
		assert_int_equal(s.slabs, 0);
		assert_int_equal(s.live, 0);
	}
}

static void test_counts_of_a_cache(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "counted", 200, 0);
	struct kmem_cache_stats s;
	void *objects[100];
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		objects[i] = kmem_cache_alloc(cache, 0);
	for (unsigned i = 0; i < 30; i++)
		kmem_cache_free(cache, objects[i]);
	while (kheap_cache_stats(&kernel_heap, at, &s) && strcmp(s.name, "counted"))
		at++;
	assert_string_equal(s.name, "counted");
	assert_false(s.size_class);
	assert_int_equal(s.object_bytes, 200);
	assert_int_equal(s.allocs, 100);
	assert_int_equal(s.frees, 30);
	assert_int_equal(s.live, 70);
	assert_int_equal(s.failures, 0);
	assert_true(s.slabs * s.objects_per_slab >= 70);
	for (unsigned i = 30; i < 100; i++)
		kmem_cache_free(cache, objects[i]);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	assert_false(kheap_cache_stats(&kernel_heap, 1000, &s));
}

static void test_figures_of_the_heap(void **state)
{
	struct kheap_stats before, s;
	char *small[10], *large;

	(void)state;
	kheap_stats(&kernel_heap, &before);
	for (unsigned i = 0; i < 10; i++)
		small[i] = kmalloc(100);
	large = kmalloc(5 * PAGE_BYTES);
	kheap_stats(&kernel_heap, &s);
	assert_int_equal(s.live_objects, before.live_objects + 10);
	assert_int_equal(s.live_bytes, before.live_bytes + 10 * 112);
	assert_int_equal(s.large_live, before.large_live + 1);
	assert_int_equal(s.large_allocs, before.large_allocs + 1);
	assert_int_equal(s.large_pages, before.large_pages + 5);
	assert_int_equal(s.misuses, 0);
	assert_null(kmalloc((size_t)1 << 40));
	for (unsigned i = 0; i < 10; i++)
		kfree(small[i]);
	kfree(large);
	kheap_stats(&kernel_heap, &s);
	assert_int_equal(s.large_failures, before.large_failures + 1);
	assert_int_equal(s.large_frees, before.large_frees + 1);
	assert_int_equal(s.large_pages, before.large_pages);
	assert_int_equal(s.live_bytes, before.live_bytes);
}

/* The CPU that works has magazines; what they hold is what the heap calls cached. */
static void test_figures_of_a_cpu(void **state)
{
	struct kheap_cpu_stats cpu, other, beyond;
	struct kheap_stats s;
	void *objects[50];

	(void)state;
	assert_int_equal(kheap_cpu_online(&kernel_heap, 1), 0);
	for (unsigned i = 0; i < 50; i++)
		objects[i] = kmalloc(16 + i * 10);
	for (unsigned i = 0; i < 50; i++)
		kfree(objects[i]);
	kheap_cpu_stats(&kernel_heap, 0, &cpu);
	kheap_cpu_stats(&kernel_heap, 1, &other);
	kheap_cpu_stats(&kernel_heap, PORT_CPUS_MAX, &beyond);
	kheap_stats(&kernel_heap, &s);
	assert_true(cpu.magazines > 1 && cpu.magazines <= KHEAP_MAGAZINES);
	assert_true(cpu.objects > 0 && cpu.bytes >= 16 * cpu.objects);
	assert_int_equal(cpu.objects + other.objects, s.cached_objects);
	assert_int_equal(cpu.bytes + other.bytes, s.cached_bytes);
	assert_int_equal(other.objects, 0);
	assert_int_equal(beyond.magazines, 0);
}

/* The allocator's own books say that they are. */
static void test_own_books_are_internal(void **state)
{
	struct kheap_about about;
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "mine", 64, 0);
	char *object = kmem_cache_alloc(cache, 0);
	const struct slab *s = slab_of(&kernel_heap, object);

	(void)state;
	kheap_about(&kernel_heap, object, &about);
	assert_false(about.internal);
	assert_string_equal(about.cache, "mine");
	kheap_about(&kernel_heap, s, &about);
	assert_int_equal(about.where, KHEAP_OBJECT);
	assert_true(about.internal);
	kmem_cache_free(cache, object);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

/* Past the last object there is still the size of those before it. */
static void test_the_slack_knows_its_slab(void **state)
{
	struct kheap_about about;
	char *object = kmalloc(300);

	(void)state;
	kheap_about(&kernel_heap, object, &about);
	kheap_about(&kernel_heap, (char *)(uintptr_t)about.slab + about.slots * 320ull, &about);
	assert_int_equal(about.where, KHEAP_SLACK);
	assert_int_equal(about.object_bytes, 320);
	assert_string_equal(about.cache, "kmalloc-320");
	assert_int_equal(about.slab_live, 1);
	kfree(object);
}

/* A CPU that never came online allocates as well, and its calls count. */
static void test_a_cpu_that_is_not_online(void **state)
{
	struct kheap_stats before, s;
	void *block, *run, *small;

	(void)state;
	kheap_stats(&kernel_heap, &before);
	host_cpu = 9;
	block = kmalloc(16 * PAGE_BYTES);
	run = kmalloc(5 * PAGE_BYTES);
	small = kmalloc(100);
	kheap_stats(&kernel_heap, &s);
	assert_int_equal(s.large_allocs, before.large_allocs + 2);
	assert_int_equal(s.large_live, before.large_live + 2);
	assert_int_equal(s.large_pages, before.large_pages + 21);
	assert_int_equal(s.live_objects, before.live_objects + 1);
	kfree(block);
	kfree(run);
	kfree(small);
	kheap_stats(&kernel_heap, &s);
	assert_int_equal(s.large_allocs, before.large_allocs + 2);
	assert_int_equal(s.large_frees, before.large_frees + 2);
	assert_int_equal(s.large_pages, before.large_pages);
	assert_int_equal(s.live_objects, before.live_objects);
	host_cpu = 0;
}

/* Magazines of a cache that is gone serve the next one. */
static void test_magazines_come_back(void **state)
{
	struct kmem_cache *first = kmem_cache_create(&kernel_heap, "first", 64, 0);
	uint32_t at = first->magazine;

	(void)state;
	assert_true(at < KHEAP_MAGAZINES);
	assert_int_equal(kmem_cache_destroy(first), 0);
	for (unsigned i = 0; i < 2 * KHEAP_MAGAZINES; i++) {
		struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "next", 64, 0);
		struct kmem_cache *beside = kmem_cache_create(&kernel_heap, "beside", 64, 0);

		assert_int_equal(cache->magazine, at);
		assert_int_equal(beside->magazine, at + 1);
		assert_int_equal(kmem_cache_destroy(cache), 0);
		cache = kmem_cache_create(&kernel_heap, "again", 64, 0);
		assert_int_equal(cache->magazine, at);
		assert_int_equal(kmem_cache_destroy(beside), 0);
		assert_int_equal(kmem_cache_destroy(cache), 0);
	}
}

/* What no address can satisfy is refused; nothing at all is the least there is. */
static void test_limits_of_alignment(void **state)
{
	char *object;

	(void)state;
	assert_null(kmalloc_aligned(1, 2 * (size_t)KMALLOC_ALIGN_MAX));
	assert_null(kmalloc_aligned(SIZE_MAX, 64));
	assert_null(kmalloc_aligned(SIZE_MAX - 63, 64));
	object = kmalloc_aligned(0, 8);
	assert_int_equal(kmalloc_size(object), 8);
	kfree(object);
}

/* ---- walks ---- */

static struct kheap_live seen[64];
static unsigned count;

static void visit(void *context, const struct kheap_live *live)
{
	assert_ptr_equal(context, seen);
	assert_true(count < array_len(seen));
	seen[count++] = *live;
}

static const struct kheap_live *walk_to(const struct kmem_cache *cache, const void *object)
{
	count = 0;
	kheap_walk(&kernel_heap, cache, visit, seen);
	for (unsigned i = 0; i < count; i++)
		if (seen[i].object == (uintptr_t)object)
			return &seen[i];
	return NULL;
}

static void test_walks(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "walked", 64, 0);
	void *typed, *known, *freed = kmalloc(100);

	(void)state;
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	kfree(freed);
	known = kheap_alloc(&kernel_heap, 500, 0, 0x5555);
	typed = kmem_cache_alloc(cache, 0);
	assert_non_null(walk_to(NULL, known));
	assert_string_equal(walk_to(NULL, known)->cache, "kmalloc-512");
	assert_int_equal(walk_to(NULL, known)->bytes, 512);
	assert_int_equal((uint32_t)walk_to(NULL, known)->allocated_by, 0x5555);
	assert_non_null(walk_to(NULL, typed));
	assert_int_equal(count, 2);
	assert_null(walk_to(NULL, freed));
	assert_null(walk_to(cache, known));
	assert_non_null(walk_to(cache, typed));
	assert_int_equal(count, 1);
	kmem_cache_free(cache, typed);
	kfree(known);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACK);
}

/* An object of a slab of many pages is met once, not once a page. */
static void test_walks_meet_each_once(void **state)
{
	void *object = kmalloc(8000);

	(void)state;
	assert_non_null(walk_to(NULL, object));
	assert_int_equal(count, 1);
	kfree(object);
}

static void test_walks_past_guarded_objects(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "walked", 64, 0);
	void *object, *typed;

	(void)state;
	assert_int_equal(kheap_guard_init(&kernel_heap, 8), 0);
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(77);
	typed = kmem_cache_alloc(cache, 0);
	kheap_guard_rate(&kernel_heap, 0);
	assert_non_null(walk_to(NULL, object));
	assert_int_equal(walk_to(NULL, object)->bytes, 77);
	assert_non_null(walk_to(NULL, typed));
	assert_int_equal(count, 2);
	assert_non_null(walk_to(cache, typed));
	assert_int_equal(count, 1);
	kfree(object);
	assert_null(walk_to(NULL, object));
	kmem_cache_free(cache, typed);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_slabs_add_up),
		heap_test(test_counts_of_a_cache),
		heap_test(test_figures_of_the_heap),
		heap_test(test_figures_of_a_cpu),
		heap_test(test_own_books_are_internal),
		heap_test(test_the_slack_knows_its_slab),
		heap_test(test_a_cpu_that_is_not_online),
		heap_test(test_magazines_come_back),
		heap_test(test_limits_of_alignment),
		heap_test(test_walks),
		heap_test(test_walks_meet_each_once),
		heap_test(test_walks_past_guarded_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
