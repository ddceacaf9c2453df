/* SPDX-License-Identifier: MIT */
/* Plans for failure injection, from words and back. Pure but for the symbol table. */
#include "watch.h"
#include <quire/format.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>

#define MILLION 1000000u

static const struct {
	const char *name;
	enum alloc_fail_mode mode;
} modes[] = {
	{"every", ALLOC_FAIL_EVERY},
	{"nth", ALLOC_FAIL_NTH},
	{"from", ALLOC_FAIL_FROM},
	{"prob", ALLOC_FAIL_PROB},
};

/* The value behind "key=", or NULL when the word is another. */
static const char *value_of(const char *word, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(word, key, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "0.05", "5%", "1": in millionths; 0 when it is no share above 0 and up to 1. */
static uint64_t parse_share(const char *text)
{
	uint64_t value = 0, unit = MILLION;
	const char *s = text;

	for (; is_digit(*s) && value <= 100 * MILLION; s++)
		value = value * 10 + (uint64_t)(*s - '0') * MILLION;
	if (*s == '.')
		for (s++; is_digit(*s); s++)
			value += (uint64_t)(*s - '0') * (unit /= 10);
	if (s == text || (s == text + 1 && *text == '.'))
		return 0;
	if (*s == '%') {
		value /= 100;
		s++;
	}
	return *s || value > MILLION ? 0 : value;
}

static const char *set_mode(struct alloc_fail_plan *plan, enum alloc_fail_mode mode,
			    const char *value)
{
	if (plan->mode != ALLOC_FAIL_OFF)
		return "only one of every, nth, from and prob";
	if (mode == ALLOC_FAIL_PROB) {
		plan->n = parse_share(value);
		if (!plan->n)
			return "expected a share from 0.000001 to 1, or per cent as in 5%";
	} else if (shell_parse_u64(value, &plan->n) || !plan->n) {
		return "expected a whole number, 1 or more";
	}
	plan->mode = mode;
	return NULL;
}

const char *fail_plan_word(struct alloc_fail_plan *plan, const char *word)
{
	const char *value;

	for (size_t i = 0; i < array_len(modes); i++) {
		value = value_of(word, modes[i].name);
		if (value)
			return set_mode(plan, modes[i].mode, value);
	}
	value = value_of(word, "seed");
	if (value)
		return shell_parse_u64(value, &plan->seed) ? "expected a number" : NULL;
	value = value_of(word, "caller");
	if (!value)
		return "expected every=N, nth=N, from=N or prob=P, with seed=N, caller=FUNCTION";
	return symbol_range(value, &plan->first, &plan->end) ? NULL : "no function of that name";
}

char *fail_plan_text(char buffer[static 32], const struct alloc_fail_plan *plan)
{
	typedef unsigned long long ull;
	const char *name = "off";

	for (size_t i = 0; i < array_len(modes); i++)
		if (modes[i].mode == plan->mode)
			name = modes[i].name;
	if (plan->mode == ALLOC_FAIL_OFF)
		format_buffer(buffer, 32, "off");
	else if (plan->mode == ALLOC_FAIL_PROB)
		format_buffer(buffer, 32, "%s=%llu.%06llu", name, (ull)plan->n / MILLION,
			      (ull)plan->n % MILLION);
	else
		format_buffer(buffer, 32, "%s=%llu", name, (ull)plan->n);
	return buffer;
}
