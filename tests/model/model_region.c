/* SPDX-License-Identifier: MIT */
/*
 * Random firmware maps, more than a million entries of them, against the frame
 * by frame oracle; the validator after every build. Each map is also built
 * shuffled (the order must not matter), from its own output (normal form is a
 * fixed point), and into too small a buffer.
 */
#include "region_oracle.h"
#include <errno.h>
#include <host.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_TOTAL 1200000
#define ENTRIES_MAX   2048
#define WINDOW_SMALL  192 /* frames */
#define WINDOW_LARGE  2048
#define OUTPUT_MAX    (2 * ENTRIES_MAX + 1)

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
	return host_random(&random_state) % limit;
}

/* Where a window of frames lies: from 0, anywhere, at the top of what CPUs reach, across it. */
static uint64_t random_window(uint64_t frames)
{
	switch (random_below(4)) {
	case 0:
		return 0;
	case 1:
		return PFN_LIMIT - frames;
	case 2:
		return PFN_LIMIT - frames / 2;
	default:
		return random_below(PFN_LIMIT);
	}
}

static struct region_input random_entry(uint64_t window, uint64_t frames)
{
	struct region_input e;
	uint64_t length = random_below(4) ? 1 + random_below(8) : random_below(frames);

	e.base = (window + random_below(frames)) << PAGE_SHIFT;
	e.pages = length;
	e.kind = (enum region_kind)(random_below(2) ? random_below(2) : random_below(REGION_KINDS));
	if (random_below(4) == 0)
		e.base += random_below(PAGE_BYTES);
	if (random_below(64) == 0)
		e.pages = host_random(&random_state) >> random_below(64);
	if (random_below(64) == 0)
		e.base = host_random(&random_state) >> random_below(64);
	return e;
}

static void shuffle(struct region_input *in, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = random_below(i);
		struct region_input other = in[j];

		in[j] = in[i - 1];
		in[i - 1] = other;
	}
}

static void assert_same(const struct region *a, size_t a_count, const struct region *b,
			size_t b_count)
{
	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++) {
		assert_int_equal(a[i].start.n, b[i].start.n);
		assert_int_equal(a[i].pages, b[i].pages);
		assert_int_equal(a[i].kind, b[i].kind);
	}
}

static struct region_input entries[ENTRIES_MAX], work[OUTPUT_MAX];
static struct region out[OUTPUT_MAX], again[2 * OUTPUT_MAX + 1];

static void check_against_oracle(size_t count, const struct region *regions, size_t out_count,
				 uint64_t window, uint64_t frames)
{
	uint64_t covered = 0;

	for (uint64_t frame = window; frame < window + frames; frame++) {
		const struct region *r = region_find(regions, out_count, pfn(frame));
		int wanted = oracle_kind(entries, count, frame);

		assert_int_equal(r ? (int)r->kind : ORACLE_NOTHING, wanted);
		covered += r != NULL;
	}
	assert_int_equal(region_overlap_pages(regions, out_count, pfn(window), frames), covered);
}

static void check_sums(const struct region *regions, size_t out_count)
{
	uint64_t sum = 0, all = 0;

	for (int kind = 0; kind < REGION_KINDS; kind++)
		sum += region_pages(regions, out_count, (enum region_kind)kind);
	for (size_t i = 0; i < out_count; i++)
		all += regions[i].pages;
	assert_int_equal(sum, all);
}

static void check_fixed_point(size_t out_count)
{
	size_t count;

	for (size_t i = 0; i < out_count; i++)
		work[i] = (struct region_input){pfn_to_paddr(out[i].start).a, out[i].pages,
						out[i].kind};
	assert_int_equal(region_build(work, out_count, again, array_len(again), &count), 0);
	assert_same(out, out_count, again, count);
}

/* One random map, all properties. */
static void check_map(size_t count, uint64_t frames)
{
	uint64_t window = random_window(frames);
	size_t out_count, other_count;

	for (size_t i = 0; i < count; i++)
		entries[i] = random_entry(window, frames);
	memcpy(work, entries, count * sizeof *work);
	assert_int_equal(region_build(work, count, out, 2 * count + 1, &out_count), 0);
	assert_null(region_check(out, out_count));
	check_against_oracle(count, out, out_count, window, frames);
	check_sums(out, out_count);

	/* `work` now holds the rounded entries in another order: shuffled, they mean the same. */
	memcpy(work, entries, count * sizeof *work);
	shuffle(work, count);
	assert_int_equal(region_build(work, count, again, out_count, &other_count), 0);
	assert_same(out, out_count, again, other_count);

	memcpy(work, entries, count * sizeof *work);
	if (out_count > 0)
		assert_int_equal(region_build(work, count, again, out_count - 1, &other_count),
				 -ENOSPC);
	check_fixed_point(out_count);
}

static void test_random_maps(void **state)
{
	uint64_t total = 0, maps = 0;

	(void)state;
	random_state = host_seed("model_region");
	while (total < host_amount(ENTRIES_TOTAL)) {
		bool large = random_below(4096) == 0;
		size_t count =
			large ? ENTRIES_MAX / 2 + random_below(ENTRIES_MAX / 2) : random_below(16);

		check_map(count, large ? WINDOW_LARGE : WINDOW_SMALL);
		total += count;
		maps++;
	}
	printf("model_region: %llu entries in %llu maps\n", (unsigned long long)total,
	       (unsigned long long)maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_maps)};

	return cmocka_run_group_tests_name("model_region", tests, NULL, NULL);
}
