/* SPDX-License-Identifier: MIT */
/*
 * What the contracts take for granted about bit operations, which Frama-C's provers see as functions
 * they know little of. Each fact is text that both languages read: for every x and k of 64 bits,
 * `when` implies `then`. WP takes it for an axiom; prove_bits compiles it as C and has z3
 * prove it, so nothing here is believed.
 */
#ifndef QUIRE_PROVE_WP_FACTS_H
#define QUIRE_PROVE_WP_FACTS_H

#include <stdint.h>

/* 2^k, as a sum of cases: what a linear prover can use. */
/* clang-format off */
#define POWER(k) ((k) == 0 ? 1 : (k) == 1 ? 2 : (k) == 2 ? 4 : (k) == 3 ? 8 : (k) == 4 ? 16 : \
		  (k) == 5 ? 32 : (k) == 6 ? 64 : (k) == 7 ? 128 : (k) == 8 ? 256 : \
		  (k) == 9 ? 512 : (k) == 10 ? 1024 : (k) == 11 ? 2048 : (k) == 12 ? 4096 : 8192)

/* For kmalloc's sizes. */
#define SIZE_FACTS(FACT) \
	FACT(or_128, x < 8192, x <= (x | 128) && 128 <= (x | 128) && \
		(x < 128 ? (x | 128) == x + 128 : x < 256 ? (x | 128) == x : \
		 x < 512 ? (x | 128) < 512 : x < 1024 ? (x | 128) < 1024 : \
		 x < 2048 ? (x | 128) < 2048 : x < 4096 ? (x | 128) < 4096 : (x | 128) < 8192)) \
	FACT(xor_31, x <= 31, (31 ^ x) == 31 - x) \
	FACT(shift_left, k <= 13 && x <= 65535, (x << k) == x * POWER(k)) \
	FACT(shift_right, k <= 13, (x >> k) == x / POWER(k))

/* For bytes and pages. */
#define PAGE_FACTS(FACT) \
	FACT(low_12, 1, (x & 4095) == x % 4096) \
	FACT(pages_of, k == 12, (x >> k) == x / 4096) \
	FACT(bytes_of, k == 12 && x < 4503599627370496, (x << k) == x * 4096)

/* For sets of bits: which bits the constants of page_bits.h have, and 2^k as a shift. */
#define BIT(word, k) (((word) & ((uint64_t)1 << (k))) != 0)
#define BIT_AT(word, k, is) ((is) ? BIT(word, k) : !BIT(word, k))
#define BIT_FACTS(FACT) \
	FACT(all_ones, k < 64, BIT(0xffffffffffffffff, k)) \
	FACT(every_2, k < 64, BIT_AT(0x5555555555555555, k, k % 2 == 0)) \
	FACT(every_4, k < 64, BIT_AT(0x1111111111111111, k, k % 4 == 0)) \
	FACT(every_8, k < 64, BIT_AT(0x0101010101010101, k, k % 8 == 0)) \
	FACT(every_16, k < 64, BIT_AT(0x0001000100010001, k, k % 16 == 0)) \
	FACT(every_32, k < 64, BIT_AT(0x0000000100000001, k, k % 32 == 0)) \
	FACT(only_0, k < 64, BIT_AT(1, k, k == 0))
#define POWER_FACTS(FACT) FACT(power, k <= 6, ((uint64_t)1 << k) == POWER(k))

#define FACT_AXIOM(name, when, then) axiom name: \forall uint64_t x, k; (when) ==> (then);
/* clang-format on */

#define FACT_FUNCTION(name, when, then)                                                            \
	uint64_t prove_fact_##name(uint64_t x, uint64_t k);                                        \
	uint64_t prove_fact_##name(uint64_t x, uint64_t k)                                         \
	{                                                                                          \
		(void)x, (void)k;                                                                  \
		return !(when) || (then);                                                          \
	}

#endif
