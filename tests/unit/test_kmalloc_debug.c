/* SPDX-License-Identifier: MIT */
/* Redzones and poison: each wrong use is told, right ones never; the promises hold. */
#include "kmalloc_fixture.h"

#include <kmalloc_debug.h>
#include <kmalloc_guard.h>
#include <pthread.h>

static int debug_setup(void **state)
{
	heap_setup(state);
	return kheap_debug_init(&kernel_heap);
}

static void assert_found(const char *what, const void *address, const void *object)
{
	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, what);
	assert_string_equal(host_last_misuse.allocator, "kmalloc");
	assert_int_equal(host_last_misuse.when, MISUSE_FOUND);
	assert_int_equal(host_last_misuse.address, (uintptr_t)address);
	assert_int_equal(host_last_misuse.object, (uintptr_t)object);
	assert_int_equal(kernel_heap.lock.held, 0);
	host_misuse_reset();
	heap_verify();
}

/* One that is not the first of its slab: before that one lies somebody else's page. */
static char *not_first(size_t bytes)
{
	char *first = kmalloc(bytes), *object = kmalloc(bytes);

	if ((uintptr_t)object < (uintptr_t)first) {
		char *swap = first;

		first = object;
		object = swap;
	}
	kfree(first);
	return object;
}

static const size_t sizes[] = {1,    7,    8,    9,    16,   60,   64,    100,   112,
			       128,  255,  256,  300,  512,  1000, 1024,  2048,  4000,
			       4096, 8000, 8184, 8185, 8192, 8193, 12288, 65536, 100000};

static void test_every_size_keeps_its_promises(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < 20000; bytes += bytes < 1100 ? 1 : 61) {
		char *object = kmalloc(bytes), *zeroed = kzalloc(bytes);

		assert_non_null(object);
		assert_int_equal((uintptr_t)object % (bytes > 8 ? 16 : 8), 0);
		if (bytes && !(bytes & (bytes - 1)) && bytes <= PAGE_BYTES)
			assert_int_equal(physical(object) % bytes, 0);
		assert_int_equal(kmalloc_size(object), bytes ? bytes : 1);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(zeroed[i], 0);
		memset(object, 1, bytes);
		memset(zeroed, 1, bytes);
		kfree(object);
		kfree(zeroed);
	}
	for (size_t align = 8; align <= 65536; align *= 2) {
		for (size_t bytes = 1; bytes < 3 * align; bytes += align / 2 - 1) {
			void *object = kmalloc_aligned(bytes, align);

			assert_non_null(object);
			assert_int_equal(physical(object) % align, 0);
			kfree(object);
		}
	}
	assert_null(kmalloc(SIZE_MAX));
	assert_null(kmalloc(SIZE_MAX - 40));
	assert_int_equal(host_misuses, 0);
}

static void test_overflow_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		char *object = kmalloc(sizes[i]);

		object[sizes[i]] ^= 1;
		kfree(object);
		assert_int_equal(host_last_misuse.bytes, sizes[i]);
		if (sizes[i] <= 8184)
			assert_int_not_equal(host_last_misuse.allocated_by, 0);
		/* Where the redzone is the shared zone alone it has two names. */
		assert_int_equal(
			strncmp(host_last_misuse.what, "write behind the end of an object", 33), 0);
		assert_found(host_last_misuse.what, object + sizes[i], object);
	}
}

static void test_underflow_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes) && sizes[i] <= 4000; i++) {
		char *object = not_first(sizes[i]);

		object[-1] ^= 1;
		kfree(object);
		assert_found("write before the start of an object", object - 1, object);
	}
}

/* The first object of a slab: in slot 1, for slot 0 is its redzone. */
static char *first_of_slab(size_t bytes)
{
	struct kheap_about about;
	char *object;

	kheap_trim(&kernel_heap); /* the next is of a new slab */
	object = kmalloc(bytes);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal(about.slot, 1);
	assert_int_equal(about.slab_live, 1);
	return object;
}

static void test_underflow_of_the_first_of_a_slab(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes) && sizes[i] <= 8000; i++) {
		char *object = first_of_slab(sizes[i]);

		object[-1] ^= 1;
		kfree(object);
		assert_int_not_equal(host_last_misuse.allocated_by, 0);
		assert_found("write before the start of an object", object - 1, object);
	}
}

static void test_the_front_of_a_slab_is_nobodys(void **state)
{
	char *object = first_of_slab(300), *front = object - 320;
	struct kheap_about about;

	(void)state;
	assert_int_equal(physical(front) % PAGE_BYTES, 0);
	kheap_about(&kernel_heap, front, &about);
	assert_int_equal(about.where, KHEAP_SLACK);
	assert_int_equal(kmalloc_size(front), 0);
	kfree(front);
	assert_string_equal(host_last_misuse.what,
			    "free of a pointer before the first object of a slab");
	assert_int_equal(host_last_misuse.when, MISUSE_REFUSED);
	host_misuse_reset();
	heap_verify();
	front[100] = 1; /* too far in front for the object's own free */
	assert_non_null(kheap_check(&kernel_heap));
	assert_string_equal(host_last_misuse.what, "write before the first object of a slab");
	assert_int_equal(host_last_misuse.address, (uintptr_t)front + 100);
	assert_int_equal(host_last_misuse.object, (uintptr_t)object);
	host_misuse_reset();
	kfree(object);
	assert_int_equal(host_misuses, 0);
	kheap_trim(&kernel_heap);
	assert_int_not_equal(host_last_misuse.allocated_by, 0);
	assert_found("write before the first object of a slab", front + 100, object);
}

static void test_the_neighbour_finds_it_too(void **state)
{
	char *a = kmalloc(60), *b = kmalloc(60);

	(void)state;
	assert_ptr_equal(b, a + 80);
	b[-3] = 1;
	kfree(a);
	assert_found("write behind the end of an object, or before the next one", b - 3, a);
	kfree(b);
	assert_int_equal(host_misuses, 0);
}

static void test_write_after_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes) && sizes[i] <= 8000; i++) {
		char *object = kmalloc(sizes[i]);

		kfree(object);
		object[sizes[i] / 2] = 7;
		kheap_trim(&kernel_heap); /* out of quarantine */
		assert_int_not_equal(host_last_misuse.allocated_by, 0);
		assert_int_not_equal(host_last_misuse.freed_by, 0);
		assert_found("write after free", object + sizes[i] / 2, object);
	}
}

/* Out of quarantine, its slot free, and nobody takes it again before the pages go. */
static void test_write_before_the_slab_goes(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes) && sizes[i] <= 8000; i++) {
		char *object = kmalloc(sizes[i]);

		kfree(object);
		debug_drain(&kernel_heap);
		assert_int_equal(host_misuses, 0);
		object[sizes[i] / 2] = 7;
		kheap_trim(&kernel_heap);
		assert_int_not_equal(host_last_misuse.allocated_by, 0);
		assert_int_not_equal(host_last_misuse.freed_by, 0);
		assert_int_not_equal(host_last_misuse.caller, 0);
		assert_found("write after free", object + sizes[i] / 2, object);
	}
}

static void test_write_before_the_cache_goes(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "written", 100, 0);
	char *object = kmem_cache_alloc(cache, 0);

	(void)state;
	kmem_cache_free(cache, object);
	debug_drain(&kernel_heap);
	object[99] = 7;
	assert_int_equal(kmem_cache_destroy(cache), 0);
	assert_found("write after free", object + 99, object);
}

/* Of several found at once, under a lock, one is told. */
static void test_one_of_many_is_told(void **state)
{
	char *small = kmalloc(50), *big = kmalloc(5000);

	(void)state;
	kfree(small);
	kfree(big);
	debug_drain(&kernel_heap);
	small[5] = big[5] = 7;
	kheap_trim(&kernel_heap);
	assert_found("write after free", small + 5, small);
	kheap_trim(&kernel_heap);
	assert_int_equal(host_misuses, 0);
}

static void test_write_behind_a_freed_object(void **state)
{
	char *object = kmalloc(64), *end = object + kernel_heap.classes[8].object_bytes;

	(void)state;
	kfree(object);
	end[-1] = 7;
	kheap_trim(&kernel_heap);
	assert_found("write behind a freed object, or before the next one", end - 1, object);
}

static void test_write_to_what_is_handed_out_next(void **state)
{
	char *keep = kmalloc(300), *object = kmalloc(300), *again;

	(void)state;
	kfree(object);
	debug_drain(&kernel_heap);
	object[5] = 7;
	again = kmalloc(300);
	assert_ptr_equal(again, object);
	assert_int_not_equal(host_last_misuse.freed_by, 0);
	assert_found("write after free", object + 5, object);
	kfree(again);
	kfree(keep);
}

static void test_typed_caches(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes <= KMALLOC_SMALL_MAX; bytes += 97) {
		struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "typed", bytes, 64);
		char *object = kmem_cache_alloc(cache, KMALLOC_ZERO);

		assert_int_equal((uintptr_t)object % 64, 0);
		memset(object, 1, bytes);
		kmem_cache_free(cache, object);
		assert_int_equal(host_misuses, 0);
		object = kmem_cache_alloc(cache, 0);
		if (bytes + DEBUG_ZONE <= KMALLOC_SMALL_MAX) {
			object[bytes] ^= 1;
			kmem_cache_free(cache, object);
			assert_int_equal(host_misuses, 1);
			assert_int_equal(host_last_misuse.address, (uintptr_t)object + bytes);
			host_misuse_reset();
			debug_drain(&kernel_heap);
			kheap_trim(&kernel_heap);
			object = kmem_cache_alloc(cache, 0); /* the first of its slab */
			object[-1] ^= 1;
			kmem_cache_free(cache, object);
			assert_found("write before the start of an object", object - 1, object);
		} else {
			kmem_cache_free(cache, object);
		}
		assert_int_equal(kmem_cache_destroy(cache), 0);
	}
}

static void test_check_finds_all_of_it(void **state)
{
	char *object = not_first(100);

	(void)state;
	object[100] ^= 1;
	assert_non_null(kheap_check(&kernel_heap));
	assert_string_equal(host_last_misuse.what, "write behind the end of an object");
	object[100] ^= 1;
	assert_null(kheap_check(&kernel_heap));
	kfree(object);
	object[3] ^= 1;
	assert_non_null(kheap_check(&kernel_heap));
	assert_string_equal(host_last_misuse.what, "write after free");
	object[3] ^= 1;
	assert_null(kheap_check(&kernel_heap));
	object = first_of_slab(100);
	object[-1] ^= 1;
	assert_non_null(kheap_check(&kernel_heap));
	object[-1] ^= 1;
	assert_null(kheap_check(&kernel_heap));
	kfree(object);
	host_misuse_reset();
}

enum {
	THREADS = 3,
	STEPS = 12000,
	OBJECTS = 40
};
static unsigned working, checked;

/* On a CPU of its own, until enough was checked: allocates, fills to the brim, frees. */
static void *work(void *argument)
{
	uint64_t random = (uintptr_t)argument;
	void *objects[OBJECTS] = {NULL};
	unsigned long steps = host_amount(STEPS);

	host_cpu = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < steps || __atomic_load_n(&checked, __ATOMIC_RELAXED) <= 10; i++) {
		void **object = &objects[host_random(&random) % OBJECTS];
		size_t bytes = 1 + host_random(&random) % 200;

		kfree(*object);
		*object = kmalloc(bytes);
		if (*object)
			memset(*object, 0xee, bytes);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		kfree(objects[i]);
	__atomic_fetch_sub(&working, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* While others are half way through an allocation or a free nothing is wrong yet. */
static void test_check_beside_work_finds_nothing(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	working = THREADS;
	checked = 0;
	for (uintptr_t i = 0; i < THREADS; i++) {
		assert_int_equal(kheap_cpu_online(&kernel_heap, (unsigned)i + 1), 0);
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
	}
	for (; __atomic_load_n(&working, __ATOMIC_ACQUIRE);
	     __atomic_fetch_add(&checked, 1, __ATOMIC_RELAXED))
		assert_null(kheap_check(&kernel_heap));
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(host_misuses, 0);
}

static void test_together_with_guarded_objects(void **state)
{
	static void *objects[300];
	uint64_t seed = host_seed("debug");

	(void)state;
	assert_int_equal(kheap_guard_init(&kernel_heap, 50), 0);
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	for (unsigned step = 0; step < 20000; step++) {
		void **o = &objects[host_random(&seed) % array_len(objects)];
		size_t bytes = host_random(&seed) % (step % 50 ? 600 : 20000);

		if (*o && step % 3) {
			*o = krealloc(*o, bytes);
		} else {
			kfree(*o);
			*o = kmalloc(bytes);
		}
		assert_non_null(*o);
		memset(*o, 1, bytes);
		if (step % 1000 == 0)
			heap_verify();
	}
	for (unsigned i = 0; i < array_len(objects); i++)
		kfree(objects[i]);
	kheap_guard_rate(&kernel_heap, 0);
	assert_int_equal(host_misuses, 0);
}

/* What is new is neither zero nor what it was: who reads it before writing shall notice. */
static void test_new_objects_are_filled(void **state)
{
	unsigned char *ways[] = {kmalloc(100), kmalloc_array(10, 10), krealloc(NULL, 100)};

	(void)state;
	for (unsigned way = 0; way < array_len(ways); way++) {
		assert_int_equal(kmalloc_size(ways[way]), 100);
		for (unsigned i = 0; i < 100; i++)
			assert_int_equal(ways[way][i], 0xa5);
		kfree(ways[way]);
	}
}

/* The same number of bytes, and no memory for another object: it stays where it is. */
static void test_realloc_to_the_same_size(void **state)
{
	void *object = kmalloc(10000), *least = kmalloc_aligned(0, 1);

	(void)state;
	kheap_fail(&kernel_heap, &(struct alloc_fail_plan){.mode = ALLOC_FAIL_EVERY, .n = 1});
	assert_ptr_equal(krealloc(object, 10000), object);
	kheap_fail(&kernel_heap, NULL);
	assert_int_equal(kmalloc_size(least), 1);
	kfree(least);
	kfree(object);
}

/* The far end of the redzone counts; and nobody freed an object that is live. */
static void test_far_end_of_the_redzone(void **state)
{
	char *keep = first_of_slab(100), *object = kmalloc(100);

	(void)state;
	kfree(object);
	debug_drain(&kernel_heap);
	assert_ptr_equal(kmalloc(100), object);
	object[-(int)DEBUG_ZONE] ^= 1;
	kfree(object);
	assert_int_equal(host_last_misuse.freed_by, 0);
	assert_found("write before the start of an object", object - DEBUG_ZONE, object);
	kfree(keep);
}

/* What waits in quarantine is there for whoever would go without. */
static void test_quarantine_before_failure(void **state)
{
	static pfn_t taken[64 * 512];
	static void *objects[1000];
	unsigned count = 0;
	size_t n;

	(void)state;
	objects[count++] = kmalloc(1000);
	n = page_alloc_bulk(&pages, taken, array_len(taken), PAGE_ANY);
	while (count < array_len(objects) && (objects[count] = kmalloc(1000)) != NULL)
		count++;
	assert_true(count < array_len(objects));
	kfree(objects[--count]);
	objects[count] = kmalloc(1000);
	assert_non_null(objects[count]);
	page_free_bulk(&pages, taken, n);
	for (unsigned i = 0; i <= count; i++)
		kfree(objects[i]);
}

/* The largest object has no room for a redzone, and is to be had all the same. */
static void test_largest_has_no_redzone(void **state)
{
	const size_t largest = (size_t)PAGE_BYTES << PAGE_ORDER_MAX;

	(void)state;
	assert_int_equal(debug_large_bytes(largest), largest);
	assert_true(debug_large_bytes(largest / 2) > largest / 2);
}

/* ---- leaks ---- */

static uint64_t seen, seen_bytes, with_caller;

static void count_live(void *context, const struct kheap_live *live)
{
	(void)context;
	seen++;
	seen_bytes += live->bytes;
	with_caller += live->allocated_by != 0;
}

static void test_walk_finds_what_is_live(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "walked", 100, 0);
	void *object = kmalloc(50), *freed = kmalloc(50), *typed = kmem_cache_alloc(cache, 0);

	(void)state;
	kfree(freed);
	seen = with_caller = 0;
	kheap_walk(&kernel_heap, NULL, count_live, NULL);
	assert_int_equal(seen, 2);
	assert_int_equal(with_caller, 2);
	seen = 0;
	kheap_walk(&kernel_heap, cache, count_live, NULL);
	assert_int_equal(seen, 1);
	kmem_cache_free(cache, typed);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	kfree(object);
}

#define debug_test(f) cmocka_unit_test_setup_teardown(f, debug_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		debug_test(test_every_size_keeps_its_promises),
		debug_test(test_overflow_by_one),
		debug_test(test_underflow_by_one),
		debug_test(test_underflow_of_the_first_of_a_slab),
		debug_test(test_the_front_of_a_slab_is_nobodys),
		debug_test(test_the_neighbour_finds_it_too),
		debug_test(test_write_after_free),
		debug_test(test_write_before_the_slab_goes),
		debug_test(test_write_before_the_cache_goes),
		debug_test(test_one_of_many_is_told),
		debug_test(test_write_behind_a_freed_object),
		debug_test(test_write_to_what_is_handed_out_next),
		debug_test(test_typed_caches),
		debug_test(test_check_finds_all_of_it),
		debug_test(test_check_beside_work_finds_nothing),
		debug_test(test_together_with_guarded_objects),
		debug_test(test_new_objects_are_filled),
		debug_test(test_realloc_to_the_same_size),
		debug_test(test_far_end_of_the_redzone),
		debug_test(test_quarantine_before_failure),
		debug_test(test_largest_has_no_redzone),
		debug_test(test_walk_finds_what_is_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
