/* SPDX-License-Identifier: MIT */
/* Cutting ranges into pages. */
#include "arch/x86_64/span.h"
#include "cm.h"
#include "host.h"

#define K4 ((uint64_t)1 << 12)
#define M2 ((uint64_t)1 << 21)
#define G1 ((uint64_t)1 << 30)

/* Cut it all; how many pages of each level. */
static void cut(struct span s, unsigned max_level, uint64_t pages[3])
{
	uint64_t virt = s.virt, phys = s.phys, end = s.virt + s.bytes;

	pages[0] = pages[1] = pages[2] = 0;
	while (s.bytes) {
		unsigned level = span_level(&s, max_level);

		assert_true(level <= max_level);
		assert_int_equal(s.virt, virt);
		assert_int_equal(s.phys, phys);
		assert_int_equal(virt % level_bytes(level), 0);
		assert_int_equal(phys % level_bytes(level), 0);
		span_advance(&s, level_bytes(level));
		virt += level_bytes(level);
		phys += level_bytes(level);
		pages[level]++;
	}
	assert_int_equal(virt, end);
}

static void levels_and_indices_are_the_cpus(void **state)
{
	(void)state;
	assert_int_equal(level_bytes(0), K4);
	assert_int_equal(level_bytes(1), M2);
	assert_int_equal(level_bytes(2), G1);
	assert_int_equal(level_index(0xffff800000000000ull, 3), 256);
	assert_int_equal(level_index(0xffffe00000000000ull, 3), 448);
	assert_int_equal(level_index(0xfffff00000000000ull, 3), 480);
	assert_int_equal(level_index(0xffffffff80000000ull, 3), 511);
	assert_int_equal(level_index(0xffffffff80000000ull, 2), 510);
	assert_int_equal(level_index(0xffffffffffffffffull, 0), 511);
}

/*
 *   4K 4K .. | 2M | 2M | 1G | 2M .. | 4K
 *   ragged     ^ first 2 MiB edge     ragged
 */
static void large_pages_in_the_middle_small_ones_at_the_edges(void **state)
{
	uint64_t n[3];

	(void)state;
	cut((struct span){.virt = G1 - M2 - 3 * K4,
			  .phys = G1 - M2 - 3 * K4,
			  .bytes = 3 * K4 + M2 + G1 + 2 * M2 + K4},
	    2, n);
	assert_int_equal(n[0], 4);
	assert_int_equal(n[1], 3);
	assert_int_equal(n[2], 1);
	cut((struct span){.virt = 0, .phys = 0, .bytes = 4 * G1}, 1, n);
	assert_int_equal(n[1], 2048);
	assert_int_equal(n[2], 0);
}

static void both_addresses_must_be_aligned(void **state)
{
	uint64_t n[3];

	(void)state;
	cut((struct span){.virt = M2, .phys = M2 + K4, .bytes = M2}, 2, n);
	assert_int_equal(n[0], 512);
	cut((struct span){.virt = G1, .phys = M2, .bytes = G1}, 2, n);
	assert_int_equal(n[1], 512);
	cut((struct span){.virt = 0, .phys = 0, .bytes = M2 - K4}, 2, n);
	assert_int_equal(n[0], 511);
}

static void random_spans_are_covered_once(void **state)
{
	uint64_t seed = host_seed("span"), n[3];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t phys = (host_random(&seed) % (8 * G1)) & ~(K4 - 1);
		uint64_t bytes = (host_random(&seed) % (i % 2 ? 64 * M2 : 3 * G1)) & ~(K4 - 1);

		cut((struct span){.virt = 0xffff800000000000ull + phys,
				  .phys = phys,
				  .bytes = bytes},
		    i % 3, n);
		/* No more small pages than two ragged edges have, when larger ones are allowed. */
		if (i % 3)
			assert_true(n[0] < 1024);
	}
}

static void units_are_counted_once_across_ranges(void **state)
{
	uint64_t next = 0;

	(void)state;
	assert_int_equal(span_units(0, 1, G1, &next), 1);
	assert_int_equal(span_units(K4, K4, G1, &next), 0);
	assert_int_equal(span_units(G1 - K4, 2 * K4, G1, &next), 1);
	assert_int_equal(span_units(2 * G1, 3 * G1, G1, &next), 3);
	assert_int_equal(span_units(9 * G1, 0, G1, &next), 0);
	assert_int_equal(span_units(8 * G1 - 1, 1, G1, &next), 1);
	assert_int_equal(next, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_and_indices_are_the_cpus),
		cmocka_unit_test(large_pages_in_the_middle_small_ones_at_the_edges),
		cmocka_unit_test(both_addresses_must_be_aligned),
		cmocka_unit_test(random_spans_are_covered_once),
		cmocka_unit_test(units_are_counted_once_across_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
