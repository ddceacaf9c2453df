/* SPDX-License-Identifier: MIT */
/*
 * The bit tricks, each as a function of plain numbers: tests/prove/bits/prove.py translates what the
 * compiler makes of them (LLVM IR) into formulas and has z3 prove what is said of them.
 */
#include <page_bits.h>

uint64_t prove_word_runs(uint64_t word);
uint64_t prove_word_runs(uint64_t word)
{
	return word_runs(word);
}

uint64_t prove_runs_class(uint64_t runs);
uint64_t prove_runs_class(uint64_t runs)
{
	return runs_class(runs);
}

uint64_t prove_bits_mask(uint64_t at, uint64_t n);
uint64_t prove_bits_mask(uint64_t at, uint64_t n)
{
	return bits_mask((unsigned)at, (unsigned)n);
}

#define EACH(k)                                                                                    \
	uint64_t prove_word_run_starts_##k(uint64_t word);                                         \
	uint64_t prove_word_run_starts_##k(uint64_t word)                                          \
	{                                                                                          \
		return word_run_starts(word, k);                                                   \
	}
EACH(0)
EACH(1)
EACH(2)
EACH(3)
EACH(4)
EACH(5)
EACH(6)

#define EACH_RUNS(k)                                                                               \
	uint64_t prove_runs_words_##k(uint64_t runs);                                              \
	uint64_t prove_runs_words_##k(uint64_t runs)                                               \
	{                                                                                          \
		return runs_words(runs, k);                                                        \
	}
EACH_RUNS(0)
EACH_RUNS(1)
EACH_RUNS(2)
EACH_RUNS(3)
EACH_RUNS(4)
EACH_RUNS(5)
EACH_RUNS(6)
EACH_RUNS(7)
EACH_RUNS(8)
EACH_RUNS(9)

/* ---- alloc/region.c: one entry of the firmware's map, rounded to pages ---- */

#include "../../../alloc/region.c"

static struct region_input rounded(uint64_t base, uint64_t pages, uint64_t kind)
{
	struct region_input e = {base, pages, (enum region_kind)kind};

	entry_round(&e);
	return e;
}

uint64_t prove_round_base(uint64_t base, uint64_t pages, uint64_t kind);
uint64_t prove_round_base(uint64_t base, uint64_t pages, uint64_t kind)
{
	return rounded(base, pages, kind).base;
}

uint64_t prove_round_pages(uint64_t base, uint64_t pages, uint64_t kind);
uint64_t prove_round_pages(uint64_t base, uint64_t pages, uint64_t kind)
{
	return rounded(base, pages, kind).pages;
}

uint64_t prove_bytes_to_pages(uint64_t bytes);
uint64_t prove_bytes_to_pages(uint64_t bytes)
{
	return bytes_to_pages(bytes);
}

/* ---- what the contracts for Frama-C take for granted ---- */

#include "../wp/facts.h"

SIZE_FACTS(FACT_FUNCTION)
PAGE_FACTS(FACT_FUNCTION)
BIT_FACTS(FACT_FUNCTION)
POWER_FACTS(FACT_FUNCTION)
