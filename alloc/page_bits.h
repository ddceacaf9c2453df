/* SPDX-License-Identifier: MIT */
/*
 * 512 bits, and a summary of the aligned runs of ones in them.
 *
 * The page allocator uses the pair twice: a bit is a free frame of a pageblock,
 * and, one level up, a wholly free pageblock of a superblock.
 *
 *   bits[8]   the set
 *   runs      one byte a word; bit k (0..6) of byte w: bits[w] holds 2^k ones, naturally aligned
 *
 *     bits[w]   0000...0000 1111 0010        runs byte w   0 0 0 0 0 1 1 1
 *                                                              6 5 4 3 2 1 0
 *
 * Where a run of 2^k lies is then one mask and one count of trailing zeros away,
 * and what the largest run in all 512 bits is takes a dozen instructions,
 * whatever changed. Pure functions; the caller holds the lock.
 */
#ifndef QUIRE_PAGE_BITS_H
#define QUIRE_PAGE_BITS_H

#include <quire/compiler.h>
#include <stdbool.h>
#include <stdint.h>

#define BITS_WORDS 8
#define BITS_FULL  512u
#define CLASS_NONE 255u /* no ones at all */

#define RUNS_EVERY_WORD 0x0101010101010101ull /* bit 0 of every byte */
#define RUNS_ALL_FREE   (RUNS_EVERY_WORD * 0x7f)

/* Where a naturally aligned run of 2^k may start in a word. */
#define RUN_STARTS_1 0x5555555555555555ull
#define RUN_STARTS_2 0x1111111111111111ull
#define RUN_STARTS_3 0x0101010101010101ull
#define RUN_STARTS_4 0x0001000100010001ull
#define RUN_STARTS_5 0x0000000100000001ull

static inline unsigned bits_lowest(uint64_t word)
{
	return (unsigned)__builtin_ctzll(word);
}

/* `n` ones (1..64) from bit `at` up. */
static inline uint64_t bits_mask(unsigned at, unsigned n)
{
	return (~(uint64_t)0 >> (64 - n)) << at;
}

static inline bool bits_test(const uint64_t *bits, unsigned at)
{
	return bits[at / 64] >> (at % 64) & 1;
}

/* The summary byte of one word. A larger aligned run holds smaller ones: stop at the first lack. */
static inline uint64_t word_runs(uint64_t word)
{
	if (word == ~(uint64_t)0)
		return 0x7f;
	if (!word)
		return 0;
	word &= word >> 1 & RUN_STARTS_1;
	if (!word)
		return 0x01;
	word &= word >> 2 & RUN_STARTS_2;
	if (!word)
		return 0x03;
	word &= word >> 4 & RUN_STARTS_3;
	if (!word)
		return 0x07;
	word &= word >> 8 & RUN_STARTS_4;
	if (!word)
		return 0x0f;
	word &= word >> 16 & RUN_STARTS_5;
	return word ? 0x3f : 0x1f;
}

/* The starts of the aligned runs of 2^k ones in a word, k at most 6. */
static inline uint64_t word_run_starts(uint64_t word, unsigned k)
{
	static const uint64_t starts[] = {
		~(uint64_t)0,
		RUN_STARTS_1,
		RUN_STARTS_2,
		RUN_STARTS_3,
		RUN_STARTS_4,
		RUN_STARTS_5,
		1,
	};

	/*@ loop invariant i <= k;
	  @ loop invariant \forall integer j; 0 <= j ==>
	  @   (bit(word, j) <==> ones(\at(word, Pre), j, pow2(i)));
	  @ loop assigns i, word;
	  @ loop variant k - i;
	  @*/
	for (unsigned i = 0; i < k; i++)
		word &= word >> (1u << i);
	return word & starts[k];
}

/* The words where an aligned run of 2^k ones starts, as bit 0 of their bytes. */
static inline uint64_t runs_words(uint64_t runs, unsigned k)
{
	if (likely(k <= 6))
		return runs >> k & RUNS_EVERY_WORD;
	runs = runs >> 6 & RUNS_EVERY_WORD; /* words that are all ones */
	runs &= runs >> 8 & RUN_STARTS_4;
	if (k >= 8)
		runs &= runs >> 16 & RUN_STARTS_5;
	if (k >= 9)
		runs &= runs >> 32;
	return runs;
}

/* Order of the largest aligned run in all 512 bits: 0..9 or CLASS_NONE. */
static inline unsigned runs_class(uint64_t runs)
{
	uint64_t any = runs | runs >> 32;

	any |= any >> 16;
	any = (any | any >> 8) & 0x7f;
	if (!any)
		return CLASS_NONE;
	if (likely(any < 0x40))
		return 63u - (unsigned)__builtin_clzll(any);
	if (runs == RUNS_ALL_FREE)
		return 9;
	if (runs_words(runs, 8))
		return 8;
	return runs_words(runs, 7) ? 7 : 6;
}

/* The lowest aligned run of 2^k in the words `words` (from runs_words(), not 0). */
static inline unsigned bits_find(const uint64_t *bits, uint64_t words, unsigned k)
{
	unsigned word = bits_lowest(words) / 8;

	if (k >= 6)
		return word * 64;
	return word * 64 + bits_lowest(word_run_starts(bits[word], k));
}

/* Store a word and keep the summary true. */
static inline void bits_store(uint64_t *bits, uint64_t *runs, unsigned word, uint64_t value)
{
	unsigned shift = word * 8;

	bits[word] = value;
	*runs = (*runs & ~((uint64_t)0xff << shift)) | word_runs(value) << shift;
}

/* bits_set() and bits_clear() across words: with ones = ~0 or 0. */
static inline void bits_fill(uint64_t *bits, uint64_t *runs, unsigned at, unsigned n, uint64_t ones)
{
	do {
		unsigned word = at / 64, room = 64 - at % 64, m = n < room ? n : room;
		uint64_t mask = bits_mask(at % 64, m);

		bits_store(bits, runs, word, (bits[word] & ~mask) | (ones & mask));
		at += m;
		n -= m;
	} while (n);
}

/* Set the `n` (1..512) bits from `at` up; they must fit. */
static inline void bits_set(uint64_t *bits, uint64_t *runs, unsigned at, unsigned n)
{
	if (likely(at % 64 + n <= 64))
		bits_store(bits, runs, at / 64, bits[at / 64] | bits_mask(at % 64, n));
	else
		bits_fill(bits, runs, at, n, ~(uint64_t)0);
}

static inline void bits_clear(uint64_t *bits, uint64_t *runs, unsigned at, unsigned n)
{
	if (likely(at % 64 + n <= 64))
		bits_store(bits, runs, at / 64, bits[at / 64] & ~bits_mask(at % 64, n));
	else
		bits_fill(bits, runs, at, n, 0);
}

/* The same for a set whose runs nobody asks for. */
static inline void bits_set_plain(uint64_t *bits, unsigned at, unsigned n)
{
	unsigned word = at / 64;

	if (n == BITS_FULL) { /* mostly so at boot, and once a GiB */
		for (word = 0; word < BITS_WORDS; word++)
			bits[word] = ~(uint64_t)0;
		return;
	}
	for (at %= 64; unlikely(at + n > 64); at = 0, word++) {
		bits[word] |= bits_mask(at, 64 - at);
		n -= 64 - at;
	}
	bits[word] |= bits_mask(at, n);
}

static inline void bits_clear_plain(uint64_t *bits, unsigned at, unsigned n)
{
	unsigned word = at / 64;

	for (at %= 64; unlikely(at + n > 64); at = 0, word++) {
		bits[word] &= ~bits_mask(at, 64 - at);
		n -= 64 - at;
	}
	bits[word] &= ~bits_mask(at, n);
}

#endif
