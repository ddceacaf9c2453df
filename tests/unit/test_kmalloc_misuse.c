/* SPDX-License-Identifier: MIT */
/* Every wrong free is caught, named, refused, and changes nothing. */
#include "kmalloc_fixture.h"

static const size_t sizes[] = {1,   8,   16,   48,   64,   100,  128, 144,
			       300, 512, 1000, 2048, 4096, 6000, 8192};

/* The one report since the last call says `what`; the books are untouched. */
static void assert_refused(const char *what, const void *address)
{
	struct kheap_stats stats;

	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, what);
	assert_string_equal(host_last_misuse.allocator, "kmalloc");
	assert_int_equal(host_last_misuse.address, (uintptr_t)address);
	assert_int_not_equal(host_last_misuse.caller, 0);
	assert_int_equal(kernel_heap.lock.held, 0);
	assert_true(host_irq_on);
	kheap_stats(&kernel_heap, &stats);
	assert_true(stats.misuses > 0);
	host_misuse_reset();
	heap_verify();
}

static void test_double_free_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		void *object = kmalloc(sizes[i]);

		kfree(object);
		kfree(object);
		assert_int_equal(host_last_misuse.object, (uintptr_t)object);
		assert_int_equal(host_last_misuse.bytes,
				 kmalloc_class_bytes(kmalloc_class(sizes[i])));
		assert_string_equal(host_last_misuse.cache,
				    kernel_heap.classes[kmalloc_class(sizes[i])].name);
		assert_refused("double free", object);
	}
}

/* Many others come and go in between, none of them in that slot. */
static void test_double_free_later(void **state)
{
	enum {
		COUNT = 1000
	};
	static char *objects[COUNT];

	(void)state;
	for (size_t s = 0; s < array_len(sizes); s++) {
		for (unsigned i = 0; i < COUNT; i++)
			objects[i] = kmalloc(sizes[s]);
		for (unsigned i = 0; i < COUNT; i += 2)
			kfree(objects[i]);
		for (unsigned i = 0; i < COUNT; i += 2) {
			kfree(objects[i]);
			assert_refused("double free", objects[i]);
		}
		for (unsigned i = 1; i < COUNT; i += 2)
			kfree(objects[i]);
		assert_int_equal(host_misuses, 0);
	}
}

/* Freed here, freed again on another CPU, while the object waits in a magazine and after. */
static void test_double_free_across_cpus(void **state)
{
	(void)state;
	assert_int_equal(kheap_cpu_online(&kernel_heap, 3), 0);
	for (size_t i = 0; i < array_len(sizes); i++) {
		void *object = kmalloc(sizes[i]), *keeper = kmalloc(sizes[i]);

		host_cpu = 3;
		kfree(object);
		kfree(object);
		assert_refused("double free", object);
		host_cpu = 0;
		kfree(object);
		assert_refused("double free", object);
		host_cpu = 5; /* one that is not online works as well */
		kfree(object);
		assert_refused("double free", object);
		host_cpu = 3;
		kheap_cpu_drain(&kernel_heap, 3);
		kfree(object);
		assert_refused("double free", object);
		host_cpu = 0;
		kfree(keeper);
	}
	assert_int_equal(kheap_cpu_online(&kernel_heap, 3), -EINVAL);
	assert_int_equal(kheap_cpu_online(&kernel_heap, PORT_CPUS_MAX), -EINVAL);
}

/*
 * After the slot was handed out anew, a second free of the first owner's is indistinguishable
 * from the new owner's. The new owner's own free is then the one reported.
 */
static void test_double_free_after_reuse(void **state)
{
	void *first = kmalloc(64), *second;

	(void)state;
	kfree(first);
	second = kmalloc(64);
	assert_ptr_equal(first, second);
	kfree(first);
	assert_int_equal(host_misuses, 0);
	kfree(second);
	assert_refused("double free", second);
}

/* The slab itself is gone already. */
static void test_double_free_after_trim(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		void *object = kmalloc(sizes[i]);

		kfree(object);
		kheap_trim(&kernel_heap);
		kfree(object);
		assert_refused("double free, or free of free memory", object);
	}
}

static void test_interior(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		char *object = kmalloc(sizes[i]);
		size_t usable = kmalloc_size(object);

		for (size_t at = 1; at < usable; at += at < 64 ? 1 : 61) {
			kfree(object + at);
			assert_int_equal(host_last_misuse.object, (uintptr_t)object);
			assert_int_equal(host_last_misuse.bytes, usable);
			assert_refused("free of an interior pointer", object + at);
		}
		kfree(object);
	}
}

static void test_slack(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(sizes); i++) {
		char *object = kmalloc(sizes[i]);
		struct kheap_about about;
		struct kmem_cache *cache = &kernel_heap.classes[kmalloc_class(sizes[i])];
		uint64_t end;

		kheap_about(&kernel_heap, object, &about);
		end = about.slab + (PAGE_BYTES << cache->order);
		for (uint64_t at = about.slab + about.slots * about.object_bytes; at < end;
		     at += 8) {
			void *slack = (void *)(uintptr_t)at;

			kfree(slack);
			if (at == about.slab + about.slots * about.object_bytes || at == end - 8)
				assert_string_equal(host_last_misuse.cache, cache->name);
			/* One past the last slot is a start of an object that is not there. */
			assert_refused("free of a pointer behind the last object of a slab", slack);
		}
		kfree(object);
	}
}

static void test_foreign(void **state)
{
	static int global;
	int local;
	uint64_t limit = pages.pfn_limit;
	void *object;
	char *past_ram = host_ram + (pages.pfn_limit << PAGE_SHIFT);
	const uintptr_t wild[] = {
		1,
		8,
		4096,
		0x123456789abcdef0u,
		UINTPTR_MAX,
		UINTPTR_MAX - 4095,
		(uintptr_t)1 << 63,
	};

	(void)state;
	kfree(&global);
	assert_refused("free of a foreign pointer", &global);
	kfree(&local);
	assert_refused("free of a foreign pointer", &local);
	kfree((void *)(uintptr_t)test_foreign);
	assert_refused("free of a foreign pointer", (void *)(uintptr_t)test_foreign);
	kfree(past_ram);
	assert_refused("free of a foreign pointer", past_ram);
	kfree(host_ram); /* page 0: no RAM of ours */
	assert_refused("free of a foreign pointer", host_ram);
	object = kmalloc(8);
	pages.pfn_limit = physical(object) >> PAGE_SHIFT; /* as if RAM ended just below it */
	kfree(object);
	pages.pfn_limit = limit;
	assert_refused("free of a foreign pointer", object);
	kfree(object);
	for (size_t i = 0; i < array_len(wild); i++) {
		kfree((void *)wild[i]);
		assert_refused("free of a foreign pointer", (void *)wild[i]);
	}
}

static void test_pages_of_others(void **state)
{
	pfn_t block = page_alloc(&pages, 2, 0), run = page_alloc_run(&pages, 5, 0);
	char *in_block = port_phys_to_virt(pfn_to_paddr(block));
	char *in_run = port_phys_to_virt(pfn_to_paddr(run));

	(void)state;
	pages_free_at_start -= 9;
	for (unsigned at = 0; at < 4 * PAGE_BYTES; at += 2000) {
		kfree(in_block + at);
		assert_int_equal(host_last_misuse.object, (uintptr_t)in_block);
		assert_refused("free of pages that are not kmalloc's", in_block + at);
		kfree(in_run + at);
		assert_int_equal(host_last_misuse.bytes, 5 * PAGE_BYTES);
		assert_refused("free of pages that are not kmalloc's", in_run + at);
	}
	pages_free_at_start += 9;
	page_free(&pages, block, 2);
	page_free_run(&pages, run);
	kfree(in_run);
	assert_refused("double free, or free of free memory", in_run);
}

/* RAM that is free and always was, and RAM that the page allocator was never given. */
static void test_never_allocated(void **state)
{
	char *withheld = host_ram + ((pages.pfn_limit - 1) << PAGE_SHIFT);
	char *last = withheld - (PAGEBLOCK_PAGES << PAGE_SHIFT);

	(void)state;
	kfree(last);
	assert_refused("double free, or free of free memory", last);
	kfree(withheld);
	assert_refused("free of a foreign pointer", withheld);
}

static void large_refuses(unsigned count)
{
	char *object = kmalloc(count * PAGE_BYTES);

	for (unsigned at = 8; at < count * PAGE_BYTES; at += 1000) {
		kfree(object + at);
		assert_int_equal(host_last_misuse.object, (uintptr_t)object);
		assert_int_equal(host_last_misuse.bytes, count * PAGE_BYTES);
		assert_int_not_equal(host_last_misuse.allocated_by, 0);
		assert_refused("free of an interior pointer", object + at);
	}
	kfree(object + 3 * PAGE_BYTES);
	assert_refused("free of an interior pointer", object + 3 * PAGE_BYTES);
	kfree(object);
	kfree(object);
	assert_int_not_equal(host_last_misuse.freed_by, 0);
	assert_refused("double free, or free of free memory", object);
}

/* Runs, and blocks through the page caches. */
static void test_large(void **state)
{
	(void)state;
	large_refuses(7);
	large_refuses(4);
	large_refuses(8);
}

/* What is kmalloc's is not for page_free(), though it came from page_alloc(). */
static void test_large_block_freed_as_pages(void **state)
{
	char *object = kmalloc(16 * PAGE_BYTES);

	(void)state;
	page_free(&pages, pfn(physical(object) >> PAGE_SHIFT), 4);
	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, "object freed as pages");
	host_misuse_reset();
	assert_int_equal(kmalloc_size(object), 16 * PAGE_BYTES);
	kfree(object);
	assert_int_equal(host_misuses, 0);
}

static void test_wrong_cache(void **state)
{
	struct kmem_cache *apples = kmem_cache_create(&kernel_heap, "apples", 64, 0);
	struct kmem_cache *pears = kmem_cache_create(&kernel_heap, "pears", 64, 0);
	char *apple = kmem_cache_alloc(apples, 0), *object = kmalloc(64), *large = kmalloc(10000);

	(void)state;
	kmem_cache_free(pears, apple);
	assert_string_equal(host_last_misuse.cache, "apples");
	assert_string_equal(host_last_misuse.freed_to, "pears");
	assert_refused("free to the wrong cache", apple);
	kmem_cache_free(pears, object);
	assert_string_equal(host_last_misuse.cache, "kmalloc-64");
	assert_string_equal(host_last_misuse.freed_to, "pears");
	assert_refused("free to the wrong cache", object);
	kmem_cache_free(pears, large);
	assert_null(host_last_misuse.cache);
	assert_string_equal(host_last_misuse.freed_to, "pears");
	assert_refused("free to the wrong cache", large);
	kmem_cache_free(apples, apple + 1);
	assert_null(host_last_misuse.freed_to);
	assert_refused("free of an interior pointer", apple + 1);
	kmem_cache_free(apples, apple);
	kmem_cache_free(apples, apple);
	assert_string_equal(host_last_misuse.cache, "apples");
	assert_refused("double free", apple);
	kmem_cache_free(apples, &apple);
	assert_refused("free of a foreign pointer", &apple);
	kfree(object);
	kfree(large);
	assert_int_equal(kmem_cache_destroy(apples), 0);
	assert_int_equal(kmem_cache_destroy(pears), 0);
}

static void test_own_books(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "cache", 64, 0);
	void *object = kmalloc(64);
	struct slab *header = slab_of(&kernel_heap, object);
	struct slab *home = slab_of(&kernel_heap, header);

	(void)state;
	kfree(cache);
	assert_refused("free of the allocator's own data", cache);
	kfree(header);
	assert_refused("free of the allocator's own data", header);
	kfree(home); /* the header of the headers' slab, in its own slot 0 */
	assert_refused("free of the allocator's own data", home);
	assert_int_equal(kmalloc_size(home), 0);
	kmem_cache_free(cache, header);
	assert_refused("free of the allocator's own data", header);
	kfree(object);
	assert_int_equal(kmem_cache_destroy(cache), 0);
}

static void test_cache_destroyed_twice(void **state)
{
	struct kmem_cache *other = kmem_cache_create(&kernel_heap, "other", 64, 0);
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "cache", 64, 0);

	(void)state;
	assert_int_equal(kmem_cache_destroy(cache), 0);
	assert_int_equal(kmem_cache_destroy(cache), -EINVAL);
	assert_refused("double free", cache);
	assert_int_equal(kmem_cache_destroy(other), 0);
}

static void test_realloc_of_nothing(void **state)
{
	char *object = kmalloc(100);
	int local;

	(void)state;
	assert_null(krealloc(&local, 10));
	assert_refused("free of a foreign pointer", &local);
	assert_null(krealloc(object + 8, 10));
	assert_refused("free of an interior pointer", object + 8);
	kfree(object);
	assert_null(krealloc(object, 200));
	assert_refused("double free", object);
}

static void test_size_of_nothing(void **state)
{
	char *object = kmalloc(100), *large = kmalloc(10000);
	int local;

	(void)state;
	assert_int_equal(kmalloc_size(object), 112);
	assert_int_equal(kmalloc_size(object + 1), 0);
	assert_int_equal(kmalloc_size(large), 12288);
	assert_int_equal(kmalloc_size(large + 1), 0);
	assert_int_equal(kmalloc_size(large + 4096), 0);
	assert_int_equal(kmalloc_size(&local), 0);
	assert_int_equal(kmalloc_size(NULL), 0);
	kfree(object);
	kfree(large);
	assert_int_equal(kmalloc_size(object), 0);
	assert_int_equal(kmalloc_size(large), 0);
	assert_int_equal(host_misuses, 0);
}

static void test_callers_are_named(void **state)
{
	void *object;

	(void)state;
	kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	object = kheap_alloc(&kernel_heap, 64, 0, 0xa110c);
	kheap_free(&kernel_heap, object, 0xf1ee);
	kheap_free(&kernel_heap, object, 0xf2ee);
	assert_int_equal(host_last_misuse.caller, 0xf2ee);
	assert_int_equal((uint32_t)host_last_misuse.allocated_by, 0xa110c);
	assert_int_equal((uint32_t)host_last_misuse.freed_by, 0xf1ee);
	assert_refused("double free", object);
}

/* A write into a free object harms nobody's books: none are kept there. */
static void test_use_after_free_harms_no_books(void **state)
{
	enum {
		COUNT = 300
	};
	static char *objects[COUNT];

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		objects[i] = kmalloc(112);
	for (unsigned i = 0; i < COUNT; i += 3)
		kfree(objects[i]);
	for (unsigned i = 0; i < COUNT; i++)
		memset(objects[i], 0xff, 112);
	heap_verify();
	for (unsigned i = 0; i < COUNT; i += 3)
		objects[i] = kmalloc(112);
	for (unsigned i = 0; i < COUNT; i++)
		kfree(objects[i]);
	assert_int_equal(host_misuses, 0);
}

/* The validator must be able to fail: each broken book is found. */
#define must_find(breakage, repair, text)                                                          \
	do {                                                                                       \
		breakage;                                                                          \
		assert_non_null(kheap_check(&kernel_heap));                                        \
		assert_string_equal(kheap_check(&kernel_heap), "kmalloc: " text);                  \
		repair;                                                                            \
		assert_null(kheap_check(&kernel_heap));                                            \
	} while (0)

static void test_check_finds_broken_slabs(void **state)
{
	void *object = kmalloc(48);
	struct slab *s = slab_of(&kernel_heap, object);
	struct kmem_cache *cache = s->cache;
	struct arena *a = slab_arena(s);
	uint16_t word = s->word;

	(void)state;
	must_find(s->free--, s->free++, "a slab's free count is not that of its states");
	must_find(*slab_state(s, 86) = SLOT_FREE, *slab_state(s, 86) = SLOT_NONE,
		  "a slot beyond the last object is there");
	must_find(s->word = 12, s->word = word, "a slab's hint is out of range");
	must_find(s->word = 11, s->word = word, "a slab has a free slot before its hint");
	must_find(*slab_state(s, 80) = 7, *slab_state(s, 80) = SLOT_FREE, "a slot has no state");
	must_find(s->magazine++, s->magazine--, "a slab has another cache's magazines");
	must_find(s->cache = cache + 1, s->cache = cache,
		  "a slab is in the lists of a cache that is not its own");
	must_find(s->base++, s->base--, "a slab is not aligned");
	must_find(s->base += 4096, s->base -= 4096, "a slab's page does not name its header");
	must_find(cache->slabs--, cache->slabs++, "more slabs in lists than counted");
	must_find(cache->slabs++, cache->slabs--, "fewer slabs in lists than counted");
	must_find(a->allocs++, a->allocs--, "live objects are not allocations less frees");
	must_find(s->owner = ARENA_COMMON, s->owner = 0, "a slab is in the lists of another CPU");
	must_find(a->owner++, a->owner--, "an arena is not of its cache and CPU");
	must_find(a->cache++, a->cache--, "an arena is not of its cache and CPU");
	must_find((a->current = NULL, list_push_back(&a->partial[0], &s->link)),
		  (list_remove(&s->link), a->current = s),
		  "a slab with free objects is not chosen");
	must_find((a->current = NULL, list_push_back(&a->full, &s->link)),
		  (list_remove(&s->link), a->current = s), "a slab is in the wrong list");
	must_find(list_push_back(&a->full, &s->link), list_remove(&s->link),
		  "the current slab is in a list");
	must_find((a->current = NULL, list_push_back(&a->empty, &s->link)),
		  (list_remove(&s->link), a->current = s),
		  "a slab with free objects is not chosen");
	must_find((a->current = NULL, list_push_back(&a->full, &s->link), s->word = 99),
		  (list_remove(&s->link), a->current = s, s->word = word),
		  "a slab's hint is out of range");
	kfree(object);
}

static void test_check_finds_broken_magazines(void **state)
{
	void *object = kmalloc(48), *other = kmalloc(64);
	struct slab *s = slab_of(&kernel_heap, object);
	struct kmem_cache *cache = s->cache;
	struct magazine *m = kernel_heap.cpu[0]->magazines[cache->magazine];
	uint8_t *first = (uint8_t *)m->slots[1];
	uint64_t word = m->word;

	(void)state;
	assert_true(m->top >= 4);
	must_find(m->arena++, m->arena--, "a magazine is not what its CPU takes it for");
	must_find(m->top--, m->word = word, "a magazine is not what its CPU takes it for");
	must_find(m->room = 0, m->room = (uint16_t)(2 * cache->room),
		  "a magazine is not what its CPU takes it for");
	must_find(*first = SLOT_LIVE, *first = SLOT_CACHED,
		  "an object in a magazine is not cached");
	must_find(m->slots[1]++, m->slots[1]--,
		  "a magazine has an object with the state of another");
	must_find(m->slots[0] ^= (uintptr_t)other, m->slots[0] ^= (uintptr_t)other,
		  "an object is in a magazine of a cache not its own");
	must_find(m->top = (uint16_t)(m->top - 2), m->word = word,
		  "live objects are not allocations less frees");
	must_find((m->top = (uint16_t)(m->top - 2), m->counted = (uint16_t)(m->counted - 2)),
		  (m->word = word, m->counted = (uint16_t)(m->counted + 2)),
		  "cached objects are not those in magazines");
	must_find(kernel_heap.magazines.common.allocs++, kernel_heap.magazines.common.allocs--,
		  "live objects are not allocations less frees");
	kfree(object);
	kfree(other);
}

static void test_check_finds_broken_heaps(void **state)
{
	void *object = kmalloc(48);
	struct slab *s = slab_of(&kernel_heap, object);
	struct kmem_cache *cache = s->cache;
	struct slab *home = slab_of(&kernel_heap, s);
	struct kmem_cache *headers = home->cache;
	void *spare;
	uint8_t *own = slab_state(home, slab_slot_around(home, (uintptr_t)s));
	uint64_t *home_desc = &pages.descs[physical(home) >> PAGE_SHIFT].word, word = *home_desc;

	(void)state;
	must_find(home->magazine = 7, home->magazine = KHEAP_MAGAZINES,
		  "a slab is quick that must not be");
	must_find(s->magazine ^= 1, s->magazine ^= 1, "a slab has another cache's magazines");
	must_find(s->inverse++, s->inverse--, "a slab divides by another object size");
	must_find(headers->common.frees--, headers->common.frees++,
		  "live objects are not allocations less frees");
	must_find(kernel_heap.empty_pages++, kernel_heap.empty_pages--,
		  "empty pages are not those of empty slabs");
	must_find(kernel_heap.slab_pages_held++, kernel_heap.slab_pages_held--,
		  "pages held are not those of the slabs");
	must_find(kernel_heap.track_pages_held++, kernel_heap.track_pages_held--,
		  "pages held are not those of the slabs");
	must_find(kernel_heap.first_cpu.large.frees++, kernel_heap.first_cpu.large.frees--,
		  "more large objects freed than allocated");
	must_find(kernel_heap.first_cpu.large.pages++, kernel_heap.first_cpu.large.pages--,
		  "large objects and their pages do not match");
	must_find((kernel_heap.first_cpu.large.allocs++, kernel_heap.nobody.large.pages += 2),
		  (kernel_heap.first_cpu.large.allocs--, kernel_heap.nobody.large.pages -= 2),
		  "large objects and their pages do not match");
	must_find((kernel_heap.first_cpu.large.allocs += 2, kernel_heap.nobody.large.pages += 5),
		  (kernel_heap.first_cpu.large.allocs -= 2, kernel_heap.nobody.large.pages -= 5),
		  "large objects and their pages do not match");
	must_find(cache->kind = KMEM_TYPED, cache->kind = KMEM_CLASS,
		  "live caches are not those in the list");
	must_find(*own = SLOT_FREE, *own = SLOT_LIVE, "a slab header is free");
	must_find((spare = slab_take_locked(home, 0), headers->common.allocs++),
		  cache_put(&kernel_heap, spare, 0), "live headers are not slabs");
	must_find(*home_desc = 0, *home_desc = word, "a slab header is not in a header slab");
	kfree(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_double_free_at_once),
		heap_test(test_double_free_later),
		heap_test(test_double_free_across_cpus),
		heap_test(test_double_free_after_reuse),
		heap_test(test_double_free_after_trim),
		heap_test(test_interior),
		heap_test(test_slack),
		heap_test(test_foreign),
		heap_test(test_pages_of_others),
		heap_test(test_never_allocated),
		heap_test(test_large),
		heap_test(test_large_block_freed_as_pages),
		heap_test(test_wrong_cache),
		heap_test(test_own_books),
		heap_test(test_cache_destroyed_twice),
		heap_test(test_realloc_of_nothing),
		heap_test(test_size_of_nothing),
		heap_test(test_callers_are_named),
		heap_test(test_use_after_free_harms_no_books),
		heap_test(test_check_finds_broken_slabs),
		heap_test(test_check_finds_broken_magazines),
		heap_test(test_check_finds_broken_heaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
