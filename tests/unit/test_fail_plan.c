/* SPDX-License-Identifier: MIT */
/* Plans for failure injection, from words and back. */
#include <errno.h>
#include <quire/shell.h>
#include <quire/symbols.h>
#include <watch.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

bool symbol_range(const char *name, uintptr_t *start, uintptr_t *end)
{
	if (strcmp(name, "known"))
		return false;
	*start = 0x1000;
	*end = 0x1080;
	return true;
}

int shell_error(const char *format, ...)
{
	(void)format;
	return -EINVAL;
}

static void assert_plan(const char *word, enum alloc_fail_mode mode, uint64_t n, const char *back)
{
	struct alloc_fail_plan plan = {0};
	char text[32];

	assert_null(fail_plan_word(&plan, word));
	assert_int_equal(plan.mode, mode);
	assert_int_equal(plan.n, n);
	assert_string_equal(fail_plan_text(text, &plan), back);
}

static void test_modes(void **state)
{
	(void)state;
	assert_plan("every=10", ALLOC_FAIL_EVERY, 10, "every=10");
	assert_plan("nth=3", ALLOC_FAIL_NTH, 3, "nth=3");
	assert_plan("nth=1K", ALLOC_FAIL_NTH, 1024, "nth=1024");
	assert_plan("from=0x10", ALLOC_FAIL_FROM, 16, "from=16");
	assert_plan("prob=0.05", ALLOC_FAIL_PROB, 50000, "prob=0.050000");
	assert_plan("prob=5%", ALLOC_FAIL_PROB, 50000, "prob=0.050000");
	assert_plan("prob=0.5%", ALLOC_FAIL_PROB, 5000, "prob=0.005000");
	assert_plan("prob=.25", ALLOC_FAIL_PROB, 250000, "prob=0.250000");
	assert_plan("prob=1", ALLOC_FAIL_PROB, 1000000, "prob=1.000000");
	assert_plan("prob=100%", ALLOC_FAIL_PROB, 1000000, "prob=1.000000");
	assert_plan("prob=0.000001", ALLOC_FAIL_PROB, 1, "prob=0.000001");
}

static void test_wrong_words(void **state)
{
	static const char *const wrong[] = {
		"",
		"3",
		"nth",
		"nth=",
		"nth=0",
		"nth=x",
		"nth=-1",
		"every=",
		"every=0",
		"from=0",
		"prob=",
		"prob=0",
		"prob=1.1",
		"prob=x",
		"prob=.",
		"prob=5%x",
		"prob=101%",
		"prob=1e3",
		"caller=what",
		"seed=",
		"seed=x",
		"nthx=3",
		"prob=0.0000001",
		"prob=99999999999999999999999",
		"nth=99999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct alloc_fail_plan plan = {0};

		if (!fail_plan_word(&plan, wrong[i]))
			fail_msg("'%s' is taken for a plan", wrong[i]);
	}
}

static void test_together(void **state)
{
	struct alloc_fail_plan plan = {0};

	(void)state;
	assert_null(fail_plan_word(&plan, "caller=known"));
	assert_null(fail_plan_word(&plan, "seed=7"));
	assert_null(fail_plan_word(&plan, "nth=2"));
	assert_int_equal(plan.first, 0x1000);
	assert_int_equal(plan.end, 0x1080);
	assert_int_equal(plan.seed, 7);
	assert_non_null(fail_plan_word(&plan, "every=2")); /* it has a mode already */
	assert_int_equal(plan.mode, ALLOC_FAIL_NTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_wrong_words),
		cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
