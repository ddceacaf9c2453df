/* SPDX-License-Identifier: MIT */
/*
 * Guarded objects: where they lie, that each wrong use is told, that the books stay exact.
 *
 * The pages are real ones that the host's kernel protects; a SIGSEGV plays the page fault.
 */
#define _GNU_SOURCE
#include "kmalloc_fixture.h"

#include <kmalloc_guard.h>
#include <signal.h>
#include <ucontext.h>

#define SLOTS    8
#define CALLER   0x1111
#define PF_WRITE 2

static struct guard *pool;
static unsigned faults;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;

	(void)signal_number;
	faults++;
	if (!kheap_guard_fault(&kernel_heap, (uintptr_t)info->si_addr,
			       c->uc_mcontext.gregs[REG_ERR] & PF_WRITE, CALLER))
		abort();
}

/* cmocka has a handler of its own, which it sets after the test's setup. */
static void catch_faults(void)
{
	const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

static int guard_setup(void **state)
{
	heap_setup(state);
	assert_int_equal(kheap_guard_init(&kernel_heap, SLOTS), 0);
	pool = kernel_heap.guard;
	assert_int_equal(pool->slots, SLOTS);
	faults = 0;
	return 0;
}

static int guard_teardown(void **state)
{
	kheap_guard_rate(&kernel_heap, 0);
	return heap_teardown(state);
}

static bool is_guarded(const void *object)
{
	return guard_owns(&kernel_heap, object);
}

/* Behind the compiler's back, and ASan's, which knows nothing of these pages. */
__attribute__((no_sanitize("address"), noinline)) static void poke(volatile char *at)
{
	catch_faults();
	*at = 0x55;
}

__attribute__((no_sanitize("address"), noinline)) static void look(const volatile char *at)
{
	catch_faults();
	(void)*at;
}

/* A guarded object that lies at the end of its page, or at its start. */
static char *guarded(size_t bytes, bool at_end)
{
	for (unsigned i = 0; i < 1000; i++) {
		char *object = kmalloc(bytes);
		uint64_t last = (uintptr_t)object + align_up(bytes, 16);

		assert_true(is_guarded(object));
		if (at_end ? last % PAGE_BYTES == 0 : (uintptr_t)object % PAGE_BYTES == 0)
			return object;
		kfree(object);
	}
	fail();
	return NULL;
}

static void assert_report(const char *what, enum misuse_when when, const void *address,
			  const void *object)
{
	struct misuse kept;

	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, what);
	assert_int_equal(host_last_misuse.when, when);
	assert_int_equal(host_last_misuse.address, (uintptr_t)address);
	assert_int_equal(host_last_misuse.object, (uintptr_t)object);
	assert_true(kheap_guard_hit(&kernel_heap, 0, &kept));
	assert_string_equal(kept.what, what);
	assert_int_equal(kernel_heap.lock.held, 0);
	host_misuse_reset();
	heap_verify();
}

/* ---- sampling ---- */

static void test_without_a_pool_nothing_happens(void **state)
{
	struct kheap_guard_stats stats;
	void *object;

	(void)state;
	kernel_heap.guard = NULL;
	kheap_guard_rate(&kernel_heap, 1);
	kheap_guard_tick(&kernel_heap);
	object = kmalloc(100);
	assert_false(is_guarded(object));
	kheap_guard_stats(&kernel_heap, &stats);
	assert_false(stats.present);
	assert_false(kheap_guard_fault(&kernel_heap, (uintptr_t)object, true, CALLER));
	kfree(object);
	kernel_heap.guard = pool;
}

static void test_a_tick_guards_one_object(void **state)
{
	struct kheap_guard_stats stats;
	void *first, *second;

	(void)state;
	kfree(kmalloc(100));
	kheap_guard_rate(&kernel_heap, 3);
	kheap_guard_tick(&kernel_heap);
	kheap_guard_tick(&kernel_heap);
	assert_ptr_equal(kernel_heap.cpu[0], kernel_heap.online[0]);
	kheap_guard_tick(&kernel_heap);
	assert_ptr_equal(kernel_heap.cpu[0], &kernel_heap.nobody);
	first = kmalloc(100);
	assert_ptr_equal(kernel_heap.cpu[0], kernel_heap.online[0]);
	second = kmalloc(100);
	assert_true(is_guarded(first));
	assert_false(is_guarded(second));
	kheap_guard_stats(&kernel_heap, &stats);
	assert_int_equal(stats.sampled, 1);
	assert_int_equal(stats.live, 1);
	kfree(second);
	kfree(first);
}

static void test_a_free_does_not_wait_for_the_sample(void **state)
{
	void *object = kmalloc(100);

	(void)state;
	kheap_guard_rate(&kernel_heap, 5);
	for (unsigned i = 0; i < 5; i++)
		kheap_guard_tick(&kernel_heap);
	kfree(object);
	assert_ptr_equal(kernel_heap.cpu[0], kernel_heap.online[0]);
	object = kmalloc(100);
	assert_false(is_guarded(object));
	kfree(object);
	kheap_guard_tick(&kernel_heap); /* the next one makes up for it */
	object = kmalloc(100);
	assert_true(is_guarded(object));
	kfree(object);
}

static void test_large_objects_are_not_guarded(void **state)
{
	static const size_t sizes[] = {PAGE_BYTES + 1, KMALLOC_SMALL_MAX + 1, 65536};

	(void)state;
	kheap_guard_rate(&kernel_heap, 1);
	for (size_t i = 0; i < array_len(sizes); i++) {
		void *object;

		kheap_guard_tick(&kernel_heap);
		object = kmalloc(sizes[i]);
		assert_false(is_guarded(object));
		assert_ptr_equal(kernel_heap.cpu[0], kernel_heap.online[0]);
		kfree(object);
	}
}

static void test_rate_0_stops(void **state)
{
	void *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(8);
	assert_true(is_guarded(object));
	kfree(object);
	kheap_guard_rate(&kernel_heap, 0);
	kheap_guard_tick(&kernel_heap);
	object = kmalloc(8);
	assert_false(is_guarded(object));
	kfree(object);
}

static void test_slots_run_out_and_come_back_oldest_first(void **state)
{
	void *objects[SLOTS], *more;
	struct kheap_guard_stats stats;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_true(is_guarded(objects[i] = kmalloc(200)));
	more = kmalloc(200);
	assert_false(is_guarded(more));
	kheap_guard_stats(&kernel_heap, &stats);
	assert_int_equal(stats.missed, 1);
	heap_verify();
	kfree(more);
	for (unsigned i = 0; i < SLOTS; i++)
		kfree(objects[(i * 3) % SLOTS]);
	for (unsigned i = 0; i < SLOTS; i++) {
		void *again = kmalloc(200);

		assert_int_equal((uintptr_t)again / PAGE_BYTES,
				 (uintptr_t)objects[(i * 3) % SLOTS] / PAGE_BYTES);
		objects[(i * 3) % SLOTS] = again;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		kfree(objects[i]);
}

/* ---- objects ---- */

static void test_every_size_is_aligned_writable_and_exact(void **state)
{
	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	for (size_t bytes = 0; bytes <= PAGE_BYTES; bytes += bytes < 300 ? 1 : 61) {
		char *object = kmalloc(bytes), *zeroed = kzalloc(bytes);

		assert_true(is_guarded(object) && is_guarded(zeroed));
		assert_int_equal((uintptr_t)object % (bytes > 8 ? 16 : 8), 0);
		if (bytes && !(bytes & (bytes - 1)))
			assert_int_equal((uintptr_t)object % bytes, 0);
		assert_int_equal(kmalloc_size(object), bytes ? bytes : 1);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(zeroed[i], 0);
		memset(object, 1, bytes);
		memset(zeroed, 1, bytes);
		kfree(object);
		kfree(zeroed);
	}
	for (size_t align = 8; align <= PAGE_BYTES / 2; align *= 2) {
		void *object = kmalloc_aligned(align + 1, align);

		assert_true(is_guarded(object));
		assert_int_equal((uintptr_t)object % align, 0);
		kfree(object);
	}
	assert_int_equal(host_misuses, 0);
	assert_int_equal(faults, 0);
}

static void test_books_count_them_as_any_object(void **state)
{
	struct kheap_stats plain, guard;
	void *object = kmalloc(100);

	(void)state;
	kheap_stats(&kernel_heap, &plain);
	kfree(object);
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(100);
	kheap_stats(&kernel_heap, &guard);
	assert_int_equal(guard.live_objects, plain.live_objects);
	assert_int_equal(guard.live_bytes, plain.live_bytes);
	heap_verify();
	kfree(object);
}

static void test_typed_caches(void **state)
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "typed", 72, 64);
	struct kmem_cache *other = kmem_cache_create(&kernel_heap, "other", 72, 64);
	void *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmem_cache_alloc(cache, KMALLOC_ZERO);
	assert_true(is_guarded(object));
	assert_int_equal((uintptr_t)object % 64, 0);
	assert_int_equal(kmem_cache_destroy(cache), -EBUSY);
	host_misuse_reset();
	kmem_cache_free(other, object);
	assert_string_equal(host_last_misuse.freed_to, "other");
	assert_string_equal(host_last_misuse.cache, "typed");
	assert_report("free to the wrong cache", MISUSE_REFUSED, object, object);
	kmem_cache_free(cache, object);
	object = kmem_cache_alloc(cache, 0);
	kfree(object);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	assert_int_equal(kmem_cache_destroy(other), 0);
	/* The cache is gone; its name is still told. */
	kfree(object);
	assert_string_equal(host_last_misuse.cache, "typed");
	assert_report("double free", MISUSE_REFUSED, object, object);
}

static void test_realloc_moves(void **state)
{
	char *object, *moved;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(100);
	memset(object, 7, 100);
	moved = krealloc(object, 101);
	assert_ptr_not_equal(moved, object);
	assert_int_equal(moved[99], 7);
	assert_int_equal(kmalloc_size(object), 0);
	assert_null(krealloc(object, 5));
	assert_report("double free", MISUSE_REFUSED, object, object);
	kfree(moved);
}

/* ---- wrong uses ---- */

static void test_a_step_over_either_edge(void **state)
{
	char *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = guarded(64, true);
	poke(object + 64);
	assert_string_equal(host_last_misuse.cache, "kmalloc-64");
	assert_int_equal(host_last_misuse.bytes, 64);
	assert_int_equal(host_last_misuse.caller, CALLER);
	assert_int_not_equal(host_last_misuse.allocated_by, 0);
	assert_report("write behind the end of an object", MISUSE_HAPPENED, object + 64, object);
	poke(object + 64); /* let through until the object is freed */
	assert_int_equal(host_misuses, 0);
	kfree(object);
	object = guarded(64, true);
	look(object + 64 + 100);
	assert_report("read behind the end of an object", MISUSE_HAPPENED, object + 164, object);
	kfree(object);
	object = guarded(50, false);
	look(object - 1);
	assert_report("read before the start of an object", MISUSE_HAPPENED, object - 1, object);
	poke(object - 1);
	kfree(object);
	object = guarded(50, false);
	poke(object - 1);
	assert_report("write before the start of an object", MISUSE_HAPPENED, object - 1, object);
	kfree(object);
	assert_int_equal(faults, 4);
}

/* Inside the page nothing faults; what is left there tells. */
static void test_damage_around_is_found_when_freed(void **state)
{
	char *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	for (unsigned i = 0; i < 20; i++) {
		object = kmalloc(61); /* 3 bytes to the next multiple of 16 */
		poke(object + 61 + i % 3);
		kfree(object);
		assert_report("write behind the end of an object", MISUSE_FOUND,
			      object + 61 + i % 3, object);
	}
	object = guarded(61, true);
	poke(object - 5);
	poke(object - 9);
	kfree(object);
	assert_report("write before the start of an object", MISUSE_FOUND, object - 5, object);
	assert_int_equal(faults, 0);
}

static void test_use_after_free(void **state)
{
	char *object, *again;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(300);
	kfree(object);
	look(object + 5);
	assert_int_not_equal(host_last_misuse.freed_by, 0);
	assert_int_not_equal(host_last_misuse.allocated_by, 0);
	assert_report("use after free: read", MISUSE_HAPPENED, object + 5, object);
	look(object + 6); /* open until the slot is used again */
	assert_int_equal(host_misuses, 0);
	again = kmalloc(300);
	kfree(again);
	poke(again);
	assert_report("use after free: write", MISUSE_HAPPENED, again, again);
}

static void test_wrong_frees(void **state)
{
	char *object, *page;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = guarded(300, true);
	page = (char *)align_down((uintptr_t)object, PAGE_BYTES);
	kfree(object + 8);
	assert_report("free of an interior pointer", MISUSE_REFUSED, object + 8, object);
	if ((uintptr_t)object % PAGE_BYTES + 300 < PAGE_BYTES) {
		kfree(object + 300);
		assert_report("free of a pointer beside an object", MISUSE_REFUSED, object + 300,
			      object);
	}
	kfree(page);
	assert_report("free of a pointer beside an object", MISUSE_REFUSED, page, object);
	kfree(page - 1);
	assert_report("free of a pointer beside an object", MISUSE_REFUSED, page - 1, object);
	kfree(object);
	kfree(object);
	assert_report("double free", MISUSE_REFUSED, object, object);
	kfree((void *)(uintptr_t)(pool->base + 4 * PAGE_BYTES * (SLOTS / 2)));
	assert_report("free of a foreign pointer", MISUSE_REFUSED,
		      (void *)(uintptr_t)(pool->base + 4 * PAGE_BYTES * (SLOTS / 2)), NULL);
}

/* What `kfence` shows: the latest first, no more than there were. */
static void test_hits_are_remembered(void **state)
{
	struct misuse hit;
	char *object;

	(void)state;
	assert_false(kheap_guard_hit(&kernel_heap, 0, &hit));
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = guarded(300, true);
	kheap_free(&kernel_heap, object, 0x7001);
	for (unsigned i = 0; i < KHEAP_GUARD_HITS + 2; i++) {
		assert_int_equal(kheap_guard_hit(&kernel_heap, i, &hit), false);
		kheap_free(&kernel_heap, object, 0x8000 + i);
		assert_int_equal((uint32_t)host_last_misuse.freed_by, 0x7001);
		assert_true(kheap_guard_hit(&kernel_heap, 0, &hit));
		assert_int_equal(hit.caller, 0x8000 + i);
		assert_string_equal(hit.what, "double free");
		assert_true(i == 0 || kheap_guard_hit(&kernel_heap, 1, &hit));
		assert_true(i == 0 || hit.caller == 0x8000 + i - 1);
	}
	assert_false(kheap_guard_hit(&kernel_heap, KHEAP_GUARD_HITS, &hit));
	assert_true(kheap_guard_hit(&kernel_heap, KHEAP_GUARD_HITS - 1, &hit));
	assert_int_equal(hit.caller, 0x8000 + 2);
	kernel_heap.guard = NULL;
	assert_false(kheap_guard_hit(&kernel_heap, 0, &hit));
	kernel_heap.guard = pool;
	host_misuse_reset();
}

/* Of two neighbours the live one, else the nearer one. */
static void test_which_neighbour_is_blamed(void **state)
{
	char *a = NULL, *b = NULL;
	uint64_t gap;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	a = kmalloc(16);
	b = kmalloc(16);
	gap = align_up((uintptr_t)a + 1, PAGE_BYTES);
	assert_int_equal(gap, align_down((uintptr_t)b, PAGE_BYTES) - PAGE_BYTES);
	kfree(a);
	look((char *)gap + 1); /* nearer to a, perhaps; but b is live */
	assert_report("read before the start of an object", MISUSE_HAPPENED, (char *)gap + 1, b);
	kfree(b);
	look((char *)gap);
	assert_true(host_last_misuse.object == (uintptr_t)a ||
		    host_last_misuse.object == (uintptr_t)b);
	host_misuse_reset();
}

static void test_faults_that_are_none_of_ours(void **state)
{
	(void)state;
	assert_false(kheap_guard_fault(&kernel_heap, 0, false, CALLER));
	assert_false(kheap_guard_fault(&kernel_heap, pool->base - 1, false, CALLER));
	assert_false(kheap_guard_fault(&kernel_heap, pool->base + (2 * SLOTS + 1) * PAGE_BYTES,
				       false, CALLER));
	assert_false(kheap_guard_fault(&kernel_heap, pool->base, false, CALLER));
	assert_false(kheap_guard_fault(&kernel_heap, pool->base + PAGE_BYTES, false, CALLER));
	assert_int_equal(host_misuses, 0);
}

/* Another CPU mapped the page after this one had faulted: no report, try again. */
static void test_a_fault_that_came_too_late(void **state)
{
	char *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(16);
	assert_true(kheap_guard_fault(&kernel_heap, (uintptr_t)object, false, CALLER));
	assert_int_equal(host_misuses, 0);
	kfree(object);
}

static void test_questions(void **state)
{
	struct kheap_about about;
	char *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = guarded(300, true);
	kheap_about(&kernel_heap, object + 299, &about);
	assert_true(about.guarded);
	assert_int_equal(about.where, KHEAP_OBJECT);
	assert_int_equal(about.object, (uintptr_t)object);
	assert_int_equal(about.object_bytes, 300);
	assert_string_equal(about.cache, "kmalloc-320");
	assert_int_equal(about.slots, 1);
	assert_int_equal(about.slab_live, 1);
	assert_int_equal(about.slab_pages, 1);
	assert_int_equal(about.slab, align_down((uintptr_t)object, PAGE_BYTES));
	kheap_about(&kernel_heap, object - 1, &about);
	assert_int_equal(about.where, KHEAP_SLACK);
	kfree(object);
	kheap_about(&kernel_heap, object, &about);
	assert_int_equal(about.where, KHEAP_FREE_OBJECT);
	assert_int_equal(about.slab_live, 0);
	assert_int_not_equal(about.freed_by, 0);
	kheap_about(&kernel_heap, (void *)(uintptr_t)(pool->base + 2 * SLOTS * PAGE_BYTES), &about);
	assert_int_equal(about.where, KHEAP_NOWHERE);
}

#define guard_test(f) cmocka_unit_test_setup_teardown(f, guard_setup, guard_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		guard_test(test_without_a_pool_nothing_happens),
		guard_test(test_a_tick_guards_one_object),
		guard_test(test_a_free_does_not_wait_for_the_sample),
		guard_test(test_large_objects_are_not_guarded),
		guard_test(test_rate_0_stops),
		guard_test(test_slots_run_out_and_come_back_oldest_first),
		guard_test(test_every_size_is_aligned_writable_and_exact),
		guard_test(test_books_count_them_as_any_object),
		guard_test(test_typed_caches),
		guard_test(test_realloc_moves),
		guard_test(test_a_step_over_either_edge),
		guard_test(test_damage_around_is_found_when_freed),
		guard_test(test_use_after_free),
		guard_test(test_wrong_frees),
		guard_test(test_hits_are_remembered),
		guard_test(test_which_neighbour_is_blamed),
		guard_test(test_faults_that_are_none_of_ours),
		guard_test(test_a_fault_that_came_too_late),
		guard_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
