/* SPDX-License-Identifier: MIT */
/* Fonts: the two we ship, small ones made here, and every way to be malformed. */
#include "cm.h"
#include "console/psf.h"
#include "host.h"
#include <quire/errno.h>
#include <stdlib.h>
#include <string.h>

extern const uint8_t font_small_start[], font_small_end[];
extern const uint8_t font_large_start[], font_large_end[];

static void check_shipped(const uint8_t *start, const uint8_t *end, unsigned width, unsigned height)
{
	static const uint32_t needed[] = {'A', '~', 0xe9, 0x2500, 0x2588, 0x2192};
	struct psf_font f;
	struct psf_pair *pairs;

	assert_int_equal(psf_parse(start, (size_t)(end - start), &f), 0);
	assert_int_equal(f.width, width);
	assert_int_equal(f.height, height);
	pairs = calloc(psf_pairs(&f) + 1, sizeof *pairs);
	psf_map(&f, pairs);
	assert_int_equal(f.map_count, psf_pairs(&f));
	for (size_t i = 1; i < f.map_count; i++)
		assert_true(pairs[i - 1].point <= pairs[i].point);
	for (size_t i = 0; i < array_len(needed); i++)
		assert_int_not_equal(psf_glyph(&f, needed[i]), psf_glyph(&f, '?'));
	assert_int_equal(psf_glyph(&f, 0x1f600), psf_glyph(&f, '?'));
	free(pairs);
}

static void the_shipped_fonts_have_what_we_print(void **state)
{
	(void)state;
	check_shipped(font_small_start, font_small_end, 8, 16);
	check_shipped(font_large_start, font_large_end, 16, 32);
}

/* Two glyphs of 4x2 pixels: '?' and U+20AC (also as part of a sequence that must be skipped). */
static const uint8_t font2[] = {0x72, 0xb5, 0x4a, 0x86, 0,    0,    0,    0,    32,   0,   0,
				0,    1,    0,    0,    0,    2,    0,    0,    0,    2,   0,
				0,    0,    2,    0,    0,    0,    4,    0,    0,    0,   0x10,
				0x20, 0x30, 0x40, '?',  0xff, 0xe2, 0x82, 0xac, 0xfe, 'A', 0xff};

static void a_small_font_and_its_table(void **state)
{
	struct psf_pair pairs[4];
	struct psf_font f;

	(void)state;
	assert_int_equal(psf_parse(font2, sizeof font2, &f), 0);
	assert_int_equal(psf_pairs(&f), 2);
	psf_map(&f, pairs);
	assert_int_equal(psf_glyph(&f, '?'), 0);
	assert_int_equal(psf_glyph(&f, 0x20ac), 1);
	assert_int_equal(psf_glyph(&f, 'A'), 0);
}

static void every_shortening_is_refused_or_harmless(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof font2; n++) {
		uint8_t *copy =
			malloc(n + !n); /* the exact size, so that ASan sees a step too far */
		struct psf_font f;
		int err;

		memcpy(copy, font2, n);
		err = psf_parse(copy, n, &f);
		assert_int_equal(err, n < 36 ? -EINVAL : 0);
		if (!err) {
			struct psf_pair pairs[8];

			assert_true(psf_pairs(&f) <= 2);
			psf_map(&f, pairs);
			assert_true(psf_glyph(&f, '?') < f.count);
		}
		free(copy);
	}
}

static void random_damage_never_leads_outside(void **state)
{
	uint64_t seed = host_seed("psf");
	size_t bytes = (size_t)(font_small_end - font_small_start);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		size_t n = i % 2 ? sizeof font2 : bytes;
		uint8_t *copy = malloc(n);
		struct psf_font f;

		memcpy(copy, i % 2 ? font2 : font_small_start, n);
		for (int k = 0; k < 4; k++)
			copy[host_random(&seed) % (k ? n : 40)] = (uint8_t)host_random(&seed);
		if (psf_parse(copy, n, &f) == 0) {
			struct psf_pair *pairs = calloc(psf_pairs(&f) + 1, sizeof *pairs);

			psf_map(&f, pairs);
			for (uint32_t c = 0; c < 0x300; c++) {
				uint32_t g = psf_glyph(&f, c);

				assert_true(g < f.count);
				assert_true(f.glyphs + (g + 1) * f.glyph_bytes <= copy + n);
			}
			free(pairs);
		}
		free(copy);
	}
}

static void absurd_sizes_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {{0, 0},  {8, 31}, {9, 9},  {16, 0}, {19, 0x80},
		       {20, 3}, {24, 0}, {28, 0}, {29, 1}};

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		uint8_t copy[sizeof font2];
		struct psf_font f;

		memcpy(copy, font2, sizeof copy);
		copy[changes[i].at] = changes[i].value;
		assert_int_equal(psf_parse(copy, sizeof copy, &f), -EINVAL);
	}
}

static void without_a_table_the_code_point_is_the_glyph(void **state)
{
	static uint8_t font1[4 + 256];
	struct psf_font f;

	(void)state;
	memcpy(font1, "\x36\x04\x00\x01", 4);
	assert_int_equal(psf_parse(font1, sizeof font1, &f), 0);
	assert_int_equal(psf_pairs(&f), 0);
	psf_map(&f, NULL);
	assert_int_equal(psf_glyph(&f, 'A'), 'A');
	assert_int_equal(psf_glyph(&f, 0x2500), '?');
	assert_int_equal(psf_parse(font1, sizeof font1 - 1, &f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_fonts_have_what_we_print),
		cmocka_unit_test(a_small_font_and_its_table),
		cmocka_unit_test(every_shortening_is_refused_or_harmless),
		cmocka_unit_test(random_damage_never_leads_outside),
		cmocka_unit_test(absurd_sizes_are_refused),
		cmocka_unit_test(without_a_table_the_code_point_is_the_glyph),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
