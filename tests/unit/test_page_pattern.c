/* SPDX-License-Identifier: MIT */
/* Writes to free pages: each way out of the allocator finds them, samples too. */
#include "page_fixture.h"

static uint64_t full_caller(uintptr_t low)
{
	return caller_expand((uint64_t)low << DESC_CALLER_SHIFT);
}

static uint8_t *bytes_of(pfn_t frame)
{
	return port_phys_to_virt(pfn_to_paddr(frame));
}

static void assert_written(pfn_t frame, uint64_t at, uintptr_t by)
{
	assert_int_equal(host_last_misuse.when, MISUSE_FOUND);
	assert_int_equal(host_last_misuse.address, frame.n * PAGE_BYTES + at);
	assert_int_equal(host_last_misuse.object, frame.n * PAGE_BYTES);
	assert_int_equal(host_last_misuse.freed_by, full_caller(by));
	assert_int_equal(host_last_misuse.expected, 0xfdfdfdfdfdfdfdfdull);
	assert_refused("write to a free page");
}

static int setup(void **state)
{
	(void)state;
	host_ram_init(128ull << 20);
	page_setup(2048, 8192);
	return 0;
}

static int setup_debug(void **state)
{
	setup(state);
	page_watch(&pa, WATCH_DEBUG, 0);
	return 0;
}

static void test_sample(void **state)
{
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY);
	uint64_t free = page_free_pages(&pa);

	(void)state;
	page_sample_next(&pa);
	page_free_for(&pa, f, 0, 0x2222);
	assert_int_equal(pa.sample_count, 1);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	assert_int_equal(page_free_pages(&pa), free + 1);
	assert_int_equal(page_figures().free, free + 1);
	assert_true(page_facts(f.n).free);
	assert_int_equal(page_facts(f.n).freed_by, full_caller(0x2222));
	page_verify();
	page_free(&pa, f, 0);
	assert_refused("double free");
	bytes_of(f)[77] = 0;
	page_drain();
	assert_int_equal(pa.sample_count, 0);
	assert_written(f, 77, 0x2222);
	assert_int_equal(pa.counters.written_free, 1);
	assert_int_equal(page_free_pages(&pa), free + 1);
	page_verify();
}

static void test_untouched_samples_say_nothing(void **state)
{
	pfn_t f[3 * PAGE_SAMPLES];

	(void)state;
	for (unsigned i = 0; i < array_len(f); i++)
		f[i] = page_alloc(&pa, 0, PAGE_ANY);
	for (unsigned i = 0; i < array_len(f); i++) {
		page_sample_next(&pa);
		page_free(&pa, f[i], 0);
		page_verify();
	}
	assert_int_equal(pa.sample_count, PAGE_SAMPLES);
	assert_int_equal(pa.counters.verified, 2 * PAGE_SAMPLES);
	assert_int_equal(host_misuses, 0);
	page_drain();
	assert_int_equal(pa.counters.patterned, 3 * PAGE_SAMPLES);
	assert_int_equal(pa.counters.verified, 3 * PAGE_SAMPLES);
	assert_int_equal(page_free_pages(&pa), 8192);
	assert_int_equal(page_figures().counters.frees[0], 3 * PAGE_SAMPLES);
	page_verify();
}

/* Pushed out by others, it is verified as well. */
static void test_the_oldest_is_verified(void **state)
{
	pfn_t f[PAGE_SAMPLES + 1];

	(void)state;
	for (unsigned i = 0; i < array_len(f); i++)
		f[i] = page_alloc(&pa, 0, PAGE_ANY);
	for (unsigned i = 0; i < array_len(f); i++) {
		assert_int_equal(host_misuses, 0);
		page_sample_next(&pa);
		page_free_for(&pa, f[i], 0, 0x100 + i);
		bytes_of(f[i])[4095] ^= i == 0;
	}
	assert_written(f[0], 4095, 0x100);
}

static void test_a_sample_is_not_waited_for(void **state)
{
	pfn_t f[16];

	(void)state;
	page_sample_next(&pa);
	for (unsigned i = 0; i < array_len(f); i++)
		f[i] = page_alloc(&pa, 1, PAGE_ANY);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	for (unsigned i = 0; i < array_len(f); i++)
		page_free(&pa, f[i], 1);
	assert_int_equal(pa.sample_count, 0);
	/* The rate counts ticks. */
	for (unsigned i = 0; i < 100; i++)
		page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	page_sample_rate(&pa, 5);
	for (unsigned i = 0; i < 4; i++)
		page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], &page_cpu_closed);
	page_verify();
}

/* When memory is out, samples serve. */
static void test_samples_are_not_lost(void **state)
{
	static pfn_t f[8192];
	size_t n;

	(void)state;
	n = page_alloc_bulk(&pa, f, array_len(f), PAGE_ANY);
	assert_int_equal(n, 8192);
	page_sample_next(&pa);
	page_free(&pa, f[9], 0);
	assert_int_equal(pa.sample_count, 1);
	assert_int_equal(page_alloc(&pa, 0, PAGE_ANY).n, f[9].n);
	page_verify();
}

static pfn_t freed_and_written(unsigned order, uint64_t page, uint64_t at)
{
	pfn_t f = page_alloc(&pa, order, PAGE_ANY);

	page_free_for(&pa, f, order, 0x3333);
	assert_int_equal(pa.patterned, 1u << order);
	bytes_of(pfn_add(f, page))[at] = 1;
	return pfn_add(f, page);
}

static void test_found_when_allocated(void **state)
{
	pfn_t f, g, got[9];

	(void)state;
	f = freed_and_written(0, 0, 8);
	g = page_alloc_for(&pa, 0, PAGE_ANY, 0x4444);
	assert_int_equal(g.n, f.n); /* handed out all the same */
	assert_int_equal(host_last_misuse.caller, 0x4444);
	assert_written(f, 8, 0x3333);
	assert_int_equal(pa.patterned, 0);
	page_free(&pa, g, 0);
	bytes_of(f)[0] = 1;
	assert_int_equal(page_alloc_bulk(&pa, got, 9, PAGE_ANY), 9);
	assert_int_equal(host_misuses, 1);
	host_misuse_reset();
	page_free_bulk(&pa, got, 9);
	assert_int_equal(pa.patterned, 9);
	bytes_of(got[4])[4] = 1;
	g = page_alloc_run(&pa, 13, PAGE_ANY);
	assert_int_equal(host_misuses, 1);
	host_misuse_reset();
	page_free_run(&pa, g);
	assert_int_equal(pa.patterned, 13);
	bytes_of(pfn_add(g, 12))[4] = 1;
	g = page_alloc(&pa, 9, PAGE_ANY);
	page_verify();
	page_watch(&pa, 0, WATCH_DEBUG);
	assert_int_equal(host_misuses, 1);
	host_misuse_reset();
	assert_int_equal(pa.patterned, 0);
	page_free(&pa, g, 9);
	page_verify();
}

static void test_found_at_the_end(void **state)
{
	pfn_t f = freed_and_written(5, 31, 4095);

	(void)state;
	page_verify();
	page_watch(&pa, 0, WATCH_DEBUG);
	assert_written(f, 4095, 0x3333);
	assert_int_equal(pa.patterned, 0);
	/* The caches find no marks afterwards. */
	for (unsigned i = 0; i < 2000; i++)
		page_free(&pa, page_alloc(&pa, i % 7, PAGE_ANY), i % 7);
	assert_int_equal(host_misuses, 0);
	page_verify();
}

static void test_all_ways_balance(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		unsigned order = host_random(&seed) % 12;
		uint64_t pages = 1 + host_random(&seed) % 900;
		pfn_t f = page_alloc(&pa, order, PAGE_ZEROED);
		pfn_t g = page_alloc_run(&pa, pages, PAGE_ANY);

		assert_false(pfn_is_none(f) || pfn_is_none(g));
		memset(bytes_of(f), 1, PAGE_BYTES << order);
		memset(bytes_of(g), 1, PAGE_BYTES * pages);
		page_free_run(&pa, g);
		page_free(&pa, f, order);
	}
	page_verify();
	assert_int_equal(host_misuses, 0);
	assert_int_equal(pa.counters.patterned - pa.counters.verified, pa.patterned);
	page_watch(&pa, 0, WATCH_DEBUG);
	assert_int_equal(host_misuses, 0);
	assert_int_equal(page_free_pages(&pa), 8192);
}

/* Ticks are counted anew after each; calls other than the free of a single page are waited out. */
static void test_when_samples_are_taken(void **state)
{
	pfn_t f = page_alloc(&pa, 0, PAGE_ANY), pairs[16];

	(void)state;
	for (unsigned i = 0; i < array_len(pairs); i++)
		pairs[i] = page_alloc(&pa, 1, PAGE_ANY);
	page_sample_rate(&pa, 3);
	for (unsigned i = 0; i < 3; i++)
		page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], &page_cpu_closed);
	for (unsigned i = 0; i < array_len(pairs) - 1; i++) {
		page_free(&pa, pairs[i], 1);
		assert_ptr_equal(pa.cpu[0], &page_cpu_closed);
	}
	page_free(&pa, pairs[15], 1);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	for (unsigned i = 0; i < 2; i++)
		page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], pa.caches[0]);
	page_sample_tick(&pa);
	assert_ptr_equal(pa.cpu[0], &page_cpu_closed);
	page_free(&pa, f, 0);
	assert_int_equal(pa.sample_count, 1);
}

/* Pages freed many at a time remember who did it, as others do. */
static void test_bulk_frees_have_a_name(void **state)
{
	pfn_t f[3];

	(void)state;
	assert_int_equal(page_alloc_bulk(&pa, f, 3, PAGE_ANY), 3);
	page_free_bulk(&pa, f, 3);
	assert_true(page_facts(f[1].n).freed_by != 0);
	bytes_of(f[1])[9] = 1;
	page_watch(&pa, 0, WATCH_DEBUG);
	assert_int_equal(host_last_misuse.freed_by, page_facts(f[1].n).freed_by);
	assert_refused("write to a free page");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sample, setup),
		cmocka_unit_test_setup(test_untouched_samples_say_nothing, setup),
		cmocka_unit_test_setup(test_the_oldest_is_verified, setup),
		cmocka_unit_test_setup(test_a_sample_is_not_waited_for, setup),
		cmocka_unit_test_setup(test_samples_are_not_lost, setup),
		cmocka_unit_test_setup(test_found_when_allocated, setup_debug),
		cmocka_unit_test_setup(test_found_at_the_end, setup_debug),
		cmocka_unit_test_setup(test_all_ways_balance, setup_debug),
		cmocka_unit_test_setup(test_when_samples_are_taken, setup),
		cmocka_unit_test_setup(test_bulk_frees_have_a_name, setup_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
