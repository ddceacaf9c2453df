/* SPDX-License-Identifier: MIT */
/* The kernel command line. */
#include "cm.h"
#include <quire/cmdline.h>
#include <string.h>

static void values_are_found_whole_words_only(void **state)
{
	char v[16];

	(void)state;
	cmdline_init("  xlog=no log=warn \t reclaim=off bare logx=1 q=\"a b\" e= ");
	assert_string_equal(cmdline_text(),
			    "  xlog=no log=warn \t reclaim=off bare logx=1 q=\"a b\" e= ");
	assert_true(cmdline_get("log", v, sizeof v));
	assert_string_equal(v, "warn");
	assert_true(cmdline_get("q", v, sizeof v));
	assert_string_equal(v, "a b");
	assert_true(cmdline_get("e", v, sizeof v));
	assert_string_equal(v, "");
	assert_false(cmdline_get("bare", v, sizeof v));
	assert_false(cmdline_get("lo", v, sizeof v));
	assert_false(cmdline_get("b", v, sizeof v));
}

static void the_last_one_counts_and_is_cut_to_fit(void **state)
{
	char v[4] = "zzz";

	(void)state;
	cmdline_init("a=1 a=22222");
	assert_true(cmdline_get("a", v, sizeof v));
	assert_string_equal(v, "222");
	assert_true(cmdline_get("a", v, 0));
}

static void switches_read_the_usual_words(void **state)
{
	(void)state;
	cmdline_init("a=on b=off c d=maybe e=1 f=no g=true h=averylongword");
	assert_true(cmdline_bool("a", false));
	assert_false(cmdline_bool("b", true));
	assert_true(cmdline_bool("c", false));
	assert_true(cmdline_bool("d", true));
	assert_false(cmdline_bool("d", false));
	assert_true(cmdline_bool("e", false));
	assert_false(cmdline_bool("f", true));
	assert_true(cmdline_bool("g", false));
	assert_false(cmdline_bool("h", false));
	assert_true(cmdline_bool("none", true));
}

static void a_line_too_long_is_cut(void **state)
{
	static char big[5000];

	(void)state;
	memset(big, 'x', sizeof big - 1);
	cmdline_init(big);
	assert_int_equal(strlen(cmdline_text()), 2047);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_whole_words_only),
		cmocka_unit_test(the_last_one_counts_and_is_cut_to_fit),
		cmocka_unit_test(switches_read_the_usual_words),
		cmocka_unit_test(a_line_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
