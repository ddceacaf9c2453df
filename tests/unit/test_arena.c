/* SPDX-License-Identifier: MIT */
/* Slabs of a CPU: whose they are, how they change hands, and that no memory is stranded with one. */
#include "kmalloc_fixture.h"

enum {
	COUNT = 1000,
	BYTES = 64
};
static void *objects[COUNT];

static int two_cpus(void **state)
{
	heap_setup(state);
	return kheap_cpu_online(&kernel_heap, 1);
}

static int and_home_again(void **state)
{
	host_cpu = 0;
	kheap_cpu_drain(&kernel_heap, 1);
	assert_int_equal(host_misuses, 0);
	return heap_teardown(state);
}

static void allocate(unsigned cpu, unsigned from, unsigned to)
{
	host_cpu = cpu;
	for (unsigned i = from; i < to; i++) {
		objects[i] = kmalloc(BYTES);
		assert_non_null(objects[i]);
	}
}

static void release(unsigned cpu, unsigned from, unsigned to, unsigned step)
{
	host_cpu = cpu;
	for (unsigned i = from; i < to; i += step)
		kfree(objects[i]);
}

static unsigned owner(const void *object)
{
	return slab_of(&kernel_heap, object)->owner;
}

static uint64_t slabs(void)
{
	return kernel_heap.classes[kmalloc_class(BYTES)].slabs;
}

static struct arena *arena_of_cpu(unsigned cpu)
{
	return &kernel_heap.online[cpu]->arenas[kmalloc_class(BYTES)];
}

static void test_each_cpu_has_its_own(void **state)
{
	(void)state;
	allocate(0, 0, 100);
	allocate(1, 100, 200);
	host_cpu = 7; /* not online */
	objects[200] = kmalloc(BYTES);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(owner(objects[i]), i / 100);
	assert_int_equal(owner(objects[200]), ARENA_COMMON);
	heap_verify();
	release(0, 0, 201, 1);
}

/* What one CPU allocates and another frees ends where it came from. */
static void test_objects_go_home(void **state)
{
	(void)state;
	allocate(0, 0, COUNT);
	release(1, 0, COUNT, 1);
	heap_verify();
	kheap_cpu_drain(&kernel_heap, 1);
	assert_null(arena_of_cpu(1)->current);
	assert_true(list_is_empty(&arena_of_cpu(1)->full));
	assert_non_null(arena_of_cpu(0)->current);
	heap_verify();
}

/* The magazine of the one who frees is the only place where others' objects wait. */
static void test_few_are_under_way(void **state)
{
	struct kheap_cpu_stats there;

	(void)state;
	allocate(0, 0, COUNT);
	host_cpu = 1;
	for (unsigned i = 0; i < COUNT; i++) {
		kfree(objects[i]);
		kheap_cpu_stats(&kernel_heap, 1, &there);
		assert_true(there.objects <= MAGAZINE_LONG);
	}
}

/* Freed on the owner, then on others, then taken by the owner: not one slab more. */
static void test_slabs_are_used_again(void **state)
{
	uint64_t before;

	(void)state;
	allocate(0, 0, COUNT);
	before = slabs();
	for (unsigned round = 0; round < 20; round++) {
		release(round % 2, 0, COUNT, 1);
		allocate(0, 0, COUNT);
		assert_true(slabs() <= before + 1); /* a magazine of CPU 1 holds up to 62 */
	}
	release(0, 0, COUNT, 1);
}

/* An idle CPU leaves what is free to everybody; who runs out adopts it before asking for pages. */
static void test_an_idle_cpu_leaves_its_slabs(void **state)
{
	static void *others[COUNT];
	uint64_t before;

	(void)state;
	allocate(1, 0, COUNT);
	release(1, 0, COUNT, 2);
	memcpy(others, objects, sizeof others);
	kheap_cpu_drain(&kernel_heap, 1);
	assert_null(arena_of_cpu(1)->current);
	heap_verify();
	before = slabs();
	allocate(0, 0, COUNT / 2);
	assert_int_equal(slabs(), before);
	assert_int_equal(owner(objects[0]), 0);
	heap_verify();
	for (unsigned i = 1; i < COUNT; i += 2)
		kfree(others[i]);
	release(0, 0, COUNT / 2, 1);
}

/* CPU 1 is busy elsewhere and drains nothing: its free slots serve before a request fails. */
static void test_the_last_slots_are_everybodys(void **state)
{
	static pfn_t hoard[64 * 512];
	size_t hoarded = 0, got = 0;
	struct kmem_cache_stats stats;
	static void *late[COUNT];
	struct slab *s;

	(void)state;
	allocate(1, 0, 64);
	s = slab_of(&kernel_heap, objects[0]);
	kheap_cpu_drain(&kernel_heap, 1);
	release(1, 0, 64, 1);
	objects[0] = kmalloc(BYTES); /* so that the slab stays */
	while (free_pages()) {
		hoard[hoarded] = page_alloc(&pages, 0, 0);
		hoarded += !pfn_is_none(hoard[hoarded]);
	}
	host_cpu = 0;
	while (got < COUNT && (late[got] = kmalloc(BYTES)) != NULL)
		got++;
	assert_true(got < COUNT);
	assert_null(arena_of_cpu(1)->current);
	assert_int_equal(s->free, 0);
	assert_true(kheap_cache_stats(&kernel_heap, kmalloc_class(BYTES), &stats));
	assert_int_equal(stats.failures, 1);
	while (hoarded)
		page_free(&pages, hoard[--hoarded], 0);
	heap_verify();
	while (got)
		kfree(late[--got]);
	release(0, 0, 1, 1);
}

/* Empty slabs of a CPU that is not here go back with everybody's. */
static void test_trim_reaches_all(void **state)
{
	(void)state;
	allocate(0, 0, COUNT);
	host_cpu = 1;
	release(1, 0, COUNT, 1);
	kheap_cpu_drain(&kernel_heap, 1);
	assert_true(slabs() > 2);
	assert_true(kheap_trim(&kernel_heap) >
		    0); /* on CPU 1: CPU 0's magazine keeps what it has */
	assert_true(slabs() <= 1);
	host_cpu = 0;
	kheap_cpu_drain(&kernel_heap, 0);
	heap_verify_empty();
}

static void test_typed_caches_have_arenas_too(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "typed", 100, 0);
	struct kmem_cache *plain[KHEAP_MAGAZINES];
	void *a, *b;

	(void)state;
	a = kmem_cache_alloc(cache, 0);
	host_cpu = 1;
	b = kmem_cache_alloc(cache, 0);
	assert_int_equal(owner(a), 0);
	assert_int_equal(owner(b), 1);
	kmem_cache_free(cache, a);
	assert_int_equal(kmem_cache_destroy(cache), -EBUSY);
	assert_int_equal(host_misuses, 1);
	host_misuse_reset();
	kmem_cache_free(cache, b);
	heap_verify();
	assert_int_equal(kmem_cache_destroy(cache), 0);
	/* Those that come too late for magazines have the common one only. */
	for (unsigned i = 0; i < array_len(plain); i++)
		plain[i] = kmem_cache_create(&kernel_heap, "plain", 100, 0);
	a = kmem_cache_alloc(plain[array_len(plain) - 1], 0);
	assert_int_equal(owner(a), ARENA_COMMON);
	assert_int_equal(kheap_cpu_online(&kernel_heap, 2), 0);
	heap_verify();
	host_cpu = 2;
	kmem_cache_free(plain[array_len(plain) - 1], a);
	for (unsigned i = 0; i < array_len(plain); i++)
		assert_int_equal(kmem_cache_destroy(plain[i]), 0);
	kheap_cpu_drain(&kernel_heap, 2);
}

#define arena_test(f) cmocka_unit_test_setup_teardown(f, two_cpus, and_home_again)

int main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(test_each_cpu_has_its_own),
		arena_test(test_objects_go_home),
		arena_test(test_few_are_under_way),
		arena_test(test_slabs_are_used_again),
		arena_test(test_an_idle_cpu_leaves_its_slabs),
		arena_test(test_the_last_slots_are_everybodys),
		arena_test(test_trim_reaches_all),
		arena_test(test_typed_caches_have_arenas_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
