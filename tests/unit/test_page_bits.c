/* SPDX-License-Identifier: MIT */
/* Bitmaps of 512 bits: each range, set and cleared, against bits moved one by one. */
#include "page_fixture.h"

static uint64_t bits[BITS_WORDS], plain[BITS_WORDS], expected[BITS_WORDS], runs;

static uint64_t runs_of(const uint64_t *words)
{
	uint64_t all = 0;

	for (unsigned w = 0; w < BITS_WORDS; w++)
		for (unsigned k = 0; k <= 6; k++)
			for (unsigned at = 0; at < 64; at += 1u << k) {
				uint64_t ones = k == 6 ? ~0ull : ((1ull << (1u << k)) - 1) << at;

				if ((words[w] & ones) == ones)
					all |= 1ull << (w * 8 + k);
			}
	return all;
}

static void assert_same(void)
{
	assert_memory_equal(bits, expected, sizeof bits);
	assert_memory_equal(plain, expected, sizeof plain);
	assert_int_equal(runs, runs_of(expected));
}

static void change(unsigned at, unsigned n, bool set)
{
	for (unsigned i = at; i < at + n; i++) {
		if (set)
			expected[i / 64] |= 1ull << i % 64;
		else
			expected[i / 64] &= ~(1ull << i % 64);
	}
	if (set) {
		bits_set(bits, &runs, at, n);
		bits_set_plain(plain, at, n);
	} else {
		bits_clear(bits, &runs, at, n);
		bits_clear_plain(plain, at, n);
	}
	assert_same();
}

static void start(uint64_t word)
{
	for (unsigned w = 0; w < BITS_WORDS; w++)
		bits[w] = plain[w] = expected[w] = word;
	runs = runs_of(expected);
}

/* Every length from every place that matters: around the ends of words. */
static void test_ranges(void **state)
{
	static const unsigned places[] = {0,   1,   31,  62,  63,  64,  65,  127, 128,
					  191, 200, 255, 256, 320, 447, 448, 510, 511};

	(void)state;
	for (size_t i = 0; i < array_len(places); i++)
		for (unsigned n = 1; places[i] + n <= BITS_FULL; n += n < 130 ? 1 : 31) {
			start(0);
			change(places[i], n, true);
			start(~0ull);
			change(places[i], n, false);
		}
	start(0);
	change(0, BITS_FULL, true);
	change(0, BITS_FULL, false);
}

static void test_at_random(void **state)
{
	uint64_t random = 1;

	(void)state;
	start(0);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned at = host_random(&random) % BITS_FULL;

		change(at, 1 + host_random(&random) % (BITS_FULL - at), host_random(&random) % 2);
	}
}

/* The largest class, and the lowest run of each order, where they must be. */
static void test_search(void **state)
{
	(void)state;
	for (unsigned k = 0; k <= 9; k++)
		for (unsigned at = 0; at < BITS_FULL; at += 1u << k) {
			start(0);
			change(at, 1u << k, true);
			assert_int_equal(runs_class(runs), k);
			for (unsigned j = 0; j <= k; j++)
				assert_int_equal(bits_find(bits, runs_words(runs, j), j), at);
			if (k < 9)
				assert_int_equal(runs_words(runs, k + 1), 0);
		}
	start(0);
	assert_int_equal(runs_class(runs), CLASS_NONE);
	/* As long, but not aligned. */
	for (unsigned k = 1; k <= 8; k++) {
		start(0);
		change(1u << (k - 1), 1u << k, true);
		assert_int_equal(runs_class(runs), k - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_at_random),
		cmocka_unit_test(test_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
