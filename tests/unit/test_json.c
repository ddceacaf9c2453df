/* SPDX-License-Identifier: MIT */
/* The JSON writer and the UTF-8 it rests on. */
#include "cm.h"
#include "host.h"
#include <quire/json.h>
#include <quire/utf8.h>
#include <string.h>

static char text[4096];
static size_t used;

static void collect(void *context, const char *piece, size_t length)
{
	assert_ptr_equal(context, text);
	assert_true(used + length < sizeof text);
	memcpy(text + used, piece, length);
	used += length;
	text[used] = 0;
}

static void begin(struct json *j)
{
	used = 0;
	json_begin(j, collect, text);
}

static void nesting_puts_commas_where_they_belong(void **state)
{
	struct json j;

	(void)state;
	begin(&j);
	json_uint(&j, "a", UINT64_MAX);
	json_array(&j, "list");
	json_uint(&j, NULL, 0);
	json_object(&j, NULL);
	json_object_end(&j);
	json_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_object_end(&j);
	json_array_end(&j);
	json_hex(&j, "h", 0x1f);
	json_string(&j, "n", NULL);
	json_array(&j, "empty");
	json_array_end(&j);
	json_end(&j);
	assert_string_equal(text, "{\"a\":18446744073709551615,\"list\":[0,{},"
				  "{\"yes\":true,\"no\":false}],\"h\":\"0x1f\",\"n\":null,"
				  "\"empty\":[]}\n");
	begin(&j);
	json_end(&j);
	assert_string_equal(text, "{}\n");
}

static void strings_are_escaped_and_made_valid(void **state)
{
	struct json j;

	(void)state;
	begin(&j);
	json_string(&j, "k\"", "a\"b\\c\n\t\x01\x7f\xc3\xa9\xff\xe2\x82");
	json_end(&j);
	assert_string_equal(text, "{\"k\\\"\":\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\xc3\xa9"
				  "\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

static void too_deep_nesting_is_a_bug_and_says_so(void **state)
{
	struct json j;

	(void)state;
	if (host_expect_panic()) {
		begin(&j);
		for (int i = 0; i < JSON_DEPTH; i++)
			json_array(&j, "x");
		fail();
	}
	if (host_expect_panic()) {
		begin(&j);
		json_array(&j, "x");
		json_end(&j);
		fail();
	}
}

static size_t decode(const char *bytes, uint32_t *out)
{
	struct utf8 u = {0};
	size_t n = 0;

	for (; *bytes; bytes++)
		n += utf8_decode(&u, (uint8_t)*bytes, out + n);
	if (utf8_unfinished(&u))
		out[n++] = 0;
	return n;
}

static void every_code_point_survives_the_round_trip(void **state)
{
	(void)state;
	for (uint32_t c = 1; c < 0x110000; c++) {
		char b[5] = {0};
		uint32_t out[10];

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		b[utf8_encode(c, b)] = 0;
		assert_int_equal(decode(b, out), 1);
		assert_int_equal(out[0], c);
	}
}

static void broken_sequences_become_replacements(void **state)
{
	static const char *const bad[] = {
		"\x80x",             /* continuation first */
		"\xc0\xafx",         /* overlong */
		"\xe0\x80\xafx",     /* overlong */
		"\xed\xa0\x80x",     /* surrogate */
		"\xf4\x90\x80\x80x", /* past U+10FFFF */
		"\xf5x",
		"\xe2\x82x", /* cut short */
	};
	uint32_t out[16];

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		size_t n = decode(bad[i], out);

		assert_true(n >= 2);
		assert_int_equal(out[n - 1], 'x');
		for (size_t k = 0; k + 1 < n; k++)
			assert_int_equal(out[k], UTF8_REPLACEMENT);
	}
	assert_int_equal(decode("\xe2\xe2\x82\xac", out), 2);
	assert_int_equal(out[0], UTF8_REPLACEMENT);
	assert_int_equal(out[1], 0x20ac);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting_puts_commas_where_they_belong),
		cmocka_unit_test(strings_are_escaped_and_made_valid),
		cmocka_unit_test(too_deep_nesting_is_a_bug_and_says_so),
		cmocka_unit_test(every_code_point_survives_the_round_trip),
		cmocka_unit_test(broken_sequences_become_replacements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
