/* SPDX-License-Identifier: MIT */
/* The pool of guarded objects: how large it is, that it may fail, and that damage to its books is found. */
#include "kmalloc_fixture.h"

#include <kmalloc_guard.h>

#define SLOTS 8

static struct guard *pool;

static int guard_setup(void **state)
{
	heap_setup(state);
	assert_int_equal(kheap_guard_init(&kernel_heap, SLOTS), 0);
	pool = kernel_heap.guard;
	return 0;
}

static int guard_teardown(void **state)
{
	kheap_guard_rate(&kernel_heap, 0);
	return heap_teardown(state);
}

static void test_out_of_memory(void **state)
{
	uint64_t free = free_pages();

	(void)state;
	kernel_heap.guard = NULL;
	host_guard_range_fails = true;
	assert_int_equal(kheap_guard_init(&kernel_heap, SLOTS), -ENOMEM);
	host_guard_range_fails = false;
	assert_int_equal(free_pages(), free);
	for (unsigned left = 0; left < 3; left++) {
		static pfn_t taken[64 * 512];
		size_t n = page_alloc_bulk(&pages, taken, array_len(taken), PAGE_ANY);

		page_free_bulk(&pages, taken, left);
		assert_int_equal(kheap_guard_init(&kernel_heap, SLOTS), -ENOMEM);
		page_free_bulk(&pages, taken + left, n - left);
		assert_int_equal(free_pages(), free);
	}
	kernel_heap.guard = pool;
}

static void test_the_pool_is_a_small_part_of_memory(void **state)
{
	struct guard *small;

	(void)state;
	kernel_heap.guard = NULL;
	assert_int_equal(kheap_guard_init(&kernel_heap, 100000), 0);
	small = kernel_heap.guard;
	/* A 256th; a frame each, one that stands for guard pages, and the books. */
	assert_int_equal(small->slots, pages_free_at_start / 256);
	assert_int_equal(
		small->pages,
		small->slots + 1 +
			bytes_to_pages(sizeof *small + small->slots * sizeof small->slot[0]));
	page_free_run(&pages, small->frames);
	page_free_run(&pages, paddr_to_pfn(port_virt_to_phys(small)));
	assert_int_not_equal(port_guard_range(2 * SLOTS + 1), 0);
	kernel_heap.guard = pool;
	pool->base = port_guard_range(2 * SLOTS + 1);
}

/* A page for each slot, one before, between and behind them; not a byte more is the pool's. */
static void test_where_the_pool_ends(void **state)
{
	uint64_t end = pool->base + (2 * SLOTS + 1) * PAGE_BYTES;

	(void)state;
	assert_true(guard_owns(&kernel_heap, (void *)(uintptr_t)pool->base));
	assert_true(guard_owns(&kernel_heap, (void *)(uintptr_t)(end - 1)));
	assert_false(guard_owns(&kernel_heap, (void *)(uintptr_t)(pool->base - 1)));
	assert_false(guard_owns(&kernel_heap, (void *)(uintptr_t)end));
}

static void test_check_finds_broken_slots(void **state)
{
	struct guard_slot *s = &pool->slot[0];
	void *object;

	(void)state;
	kheap_guard_rate(&kernel_heap, KHEAP_GUARD_EVERY);
	object = kmalloc(16);
	assert_true(s->state == GUARD_LIVE);
	pool->live++;
	assert_string_equal(kheap_check(&kernel_heap),
			    "kmalloc: guarded slots are not those live and free");
	pool->live--;
	s->object += PAGE_BYTES;
	assert_string_equal(kheap_check(&kernel_heap),
			    "kmalloc: a guarded object is not in its page");
	s->object -= PAGE_BYTES;
	s->state = 3;
	assert_non_null(kheap_check(&kernel_heap));
	s->state = GUARD_LIVE;
	port_guard_unmap(guard_slot_page(pool, s));
	assert_string_equal(kheap_check(&kernel_heap),
			    "kmalloc: a guarded object's page is not mapped");
	port_guard_map(guard_slot_page(pool, s), pool->frames);
	assert_null(kheap_check(&kernel_heap));
	kfree(object);
}

#define guard_test(f) cmocka_unit_test_setup_teardown(f, guard_setup, guard_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		guard_test(test_out_of_memory),
		guard_test(test_the_pool_is_a_small_part_of_memory),
		guard_test(test_where_the_pool_ends),
		guard_test(test_check_finds_broken_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
