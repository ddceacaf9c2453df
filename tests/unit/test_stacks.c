/* SPDX-License-Identifier: MIT */
/* Kernel stacks: where they lie, that they cost nothing once gone, that running out undoes all. */
#include "pages.h"
#include "paging_fixture.h"
#include <quire/thread.h>

struct page_allocator kernel_pages;

#define SLOT_BYTES 32768u
#define SLOTS      (STACK_BLOCKS * 64u)
#define RAM_PAGES  (40u << 10)

static void setup(uint64_t pages)
{
	const struct region ram[] = {{pfn(512), pages, REGION_USABLE}};

	paging_setup((512 + RAM_PAGES) * PAGE_BYTES);
	host_pages_init(&kernel_pages, ram, 1);
	host_misuse_reset();
	shootdowns = 0;
	stack_window_init(root);
}

static uint64_t free_pages(void)
{
	struct page_stats stats;

	page_stats(&kernel_pages, &stats);
	return stats.free;
}

static void a_stack_has_a_guard_below_and_the_pattern_inside(void **state)
{
	uint64_t stack, before;

	(void)state;
	setup(4096);
	before = free_pages();
	stack = (uintptr_t)port_stack_alloc(THREAD_STACK_BYTES);
	assert_int_equal(stack, STACK_WINDOW_BASE + SLOT_BYTES - THREAD_STACK_BYTES);
	assert_int_equal(before - free_pages(), THREAD_STACK_BYTES / PAGE_BYTES + 1);
	for (uint64_t at = 0; at < THREAD_STACK_BYTES; at += PAGE_BYTES) {
		uint64_t e = leaf(stack + at), *words = table_of(e);

		assert_int_equal(e & ~PTE_ADDRESS, PTE_PRESENT | PTE_WRITE | PTE_NX);
		for (unsigned i = 0; i < TABLE_ENTRIES; i++)
			assert_int_equal(words[i], THREAD_STACK_PATTERN);
	}
	assert_int_equal(leaf(stack - PAGE_BYTES), 0);
	assert_int_equal(leaf(stack + THREAD_STACK_BYTES), 0); /* the next slot's guard */
	flushes = 0;
	port_stack_free((void *)(uintptr_t)stack, THREAD_STACK_BYTES);
	assert_true(flushes >= THREAD_STACK_BYTES / PAGE_BYTES);
	assert_int_equal(leaf(stack), 0);
	assert_int_equal(free_pages(), before);
}

static void a_thousand_stacks_leave_nothing_behind(void **state)
{
	static void *stacks[1000];
	static size_t bytes[1000];
	uint64_t seed = host_seed("stacks"), before;

	(void)state;
	setup(16384);
	before = free_pages();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			bytes[i] = (1 + host_random(&seed) % 7) * PAGE_BYTES;
			stacks[i] = port_stack_alloc(bytes[i]);
			assert_non_null(stacks[i]);
		}
		for (unsigned i = 1000; i > 0; i--) {
			unsigned j = (unsigned)(host_random(&seed) % i);

			port_stack_free(stacks[j], bytes[j]);
			stacks[j] = stacks[i - 1];
			bytes[j] = bytes[i - 1];
		}
		assert_int_equal(free_pages(), before);
		assert_null(page_check(&kernel_pages));
	}
}

static void *last_but_one, *newcomer;

static void free_the_other(void)
{
	port_stack_free(last_but_one, PAGE_BYTES);
}

static void allocate(void)
{
	newcomer = port_stack_alloc(PAGE_BYTES);
}

/* Each still has its slot when the other looks: one of them must take the table along. */
static void two_cpus_freeing_the_last_two_leave_no_table(void **state)
{
	uint64_t before;
	void *last;

	(void)state;
	setup(4096);
	before = free_pages();
	assert_non_null(last = port_stack_alloc(PAGE_BYTES));
	assert_non_null(last_but_one = port_stack_alloc(PAGE_BYTES));
	meanwhile = free_the_other;
	port_stack_free(last, PAGE_BYTES);
	assert_int_equal(free_pages(), before);
	assert_int_equal(shootdowns, 2);
}

/* While others may remember a table, its addresses go to nobody. */
static void a_block_whose_table_leaves_gives_out_no_slot(void **state)
{
	void *last;

	(void)state;
	setup(4096);
	assert_non_null(last = port_stack_alloc(PAGE_BYTES));
	meanwhile = allocate;
	port_stack_free(last, PAGE_BYTES);
	assert_int_equal((uintptr_t)newcomer - (uintptr_t)last, 64 * SLOT_BYTES);
	assert_ptr_equal(port_stack_alloc(PAGE_BYTES), last);
	port_stack_free(newcomer, PAGE_BYTES);
	port_stack_free(last, PAGE_BYTES);
}

/* With k pages left, k = 0 .. 4, a stack of 4 pages and its page table do not fit. */
static void running_out_at_every_step_undoes_the_rest(void **state)
{
	(void)state;
	for (uint64_t left = 0; left <= 5; left++) {
		static pfn_t taken[4096];
		void *stack;
		size_t n;

		setup(2048);
		n = page_alloc_bulk(&kernel_pages, taken, free_pages() - left, PAGE_ANY);
		assert_int_equal(free_pages(), left);
		stack = port_stack_alloc(THREAD_STACK_BYTES);
		assert_int_equal(stack != NULL, left == 5);
		assert_int_equal(free_pages(), left == 5 ? 0 : left);
		if (stack)
			port_stack_free(stack, THREAD_STACK_BYTES);
		assert_int_equal(free_pages(), left);
		page_free_bulk(&kernel_pages, taken, n);
		assert_null(page_check(&kernel_pages));
	}
}

static void running_out_of_slots_is_no_disaster_either(void **state)
{
	uint64_t before;
	void *last;

	(void)state;
	setup(RAM_PAGES);
	before = free_pages();
	for (uint64_t i = 0; i < SLOTS; i++)
		assert_non_null(last = port_stack_alloc(PAGE_BYTES));
	assert_int_equal((uintptr_t)last,
			 STACK_WINDOW_BASE + (uint64_t)SLOTS * SLOT_BYTES - PAGE_BYTES);
	assert_int_equal(before - free_pages(), SLOTS + STACK_BLOCKS);
	assert_null(port_stack_alloc(PAGE_BYTES));
	assert_int_equal(before - free_pages(), SLOTS + STACK_BLOCKS);
	/* The lowest free slot is the next one. */
	last = (void *)(uintptr_t)(STACK_WINDOW_BASE + 1000 * SLOT_BYTES - PAGE_BYTES);
	port_stack_free(last, PAGE_BYTES);
	assert_ptr_equal(port_stack_alloc(PAGE_BYTES), last);
	for (uint64_t i = 0; i < SLOTS; i++)
		port_stack_free(
			(void *)(uintptr_t)(STACK_WINDOW_BASE + (i + 1) * SLOT_BYTES - PAGE_BYTES),
			PAGE_BYTES);
	assert_int_equal(free_pages(), before);
}

static void sizes_and_addresses_are_checked(void **state)
{
	char *stack;

	(void)state;
	setup(4096);
	assert_null(port_stack_alloc(0));
	assert_null(port_stack_alloc(SLOT_BYTES)); /* no room for a guard */
	assert_non_null(stack = port_stack_alloc(SLOT_BYTES - PAGE_BYTES));
	if (host_expect_panic()) {
		port_stack_free(stack + PAGE_BYTES, SLOT_BYTES - PAGE_BYTES);
		fail();
	}
	if (host_expect_panic()) {
		port_stack_free((void *)(uintptr_t)(STACK_WINDOW_BASE - PAGE_BYTES), PAGE_BYTES);
		fail();
	}
	port_stack_free(stack, SLOT_BYTES - PAGE_BYTES);
}

static void addresses_are_told_by_slot(void **state)
{
	uint64_t slot;

	(void)state;
	assert_true(stack_window_slot(STACK_WINDOW_BASE + 5 * SLOT_BYTES, &slot));
	assert_int_equal(slot, 5);
	assert_false(stack_window_slot(STACK_WINDOW_BASE - 1, &slot));
	assert_false(stack_window_slot(STACK_WINDOW_BASE + (uint64_t)SLOTS * SLOT_BYTES, &slot));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_has_a_guard_below_and_the_pattern_inside),
		cmocka_unit_test(a_thousand_stacks_leave_nothing_behind),
		cmocka_unit_test(two_cpus_freeing_the_last_two_leave_no_table),
		cmocka_unit_test(a_block_whose_table_leaves_gives_out_no_slot),
		cmocka_unit_test(running_out_at_every_step_undoes_the_rest),
		cmocka_unit_test(running_out_of_slots_is_no_disaster_either),
		cmocka_unit_test(sizes_and_addresses_are_checked),
		cmocka_unit_test(addresses_are_told_by_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
