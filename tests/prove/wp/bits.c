/* SPDX-License-Identifier: MIT */
/*
 * Contracts of the search in a set of 512 bits, in front of alloc/page_bits.h. That a summary says
 * what its bits hold (word_runs()) is prove_bits' part; from there on it is here.
 */
#include "builtins.h"
#include "facts.h"
#include <stdbool.h>

/*@ axiomatic Power {
  @   logic integer pow2(integer k); // defined for 0..7, by its values
  @   axiom pow2_0: pow2(0) == 1;
  @   axiom pow2_1: pow2(1) == 2;
  @   axiom pow2_2: pow2(2) == 4;
  @   axiom pow2_3: pow2(3) == 8;
  @   axiom pow2_4: pow2(4) == 16;
  @   axiom pow2_5: pow2(5) == 32;
  @   axiom pow2_6: pow2(6) == 64;
  @   axiom pow2_7: pow2(7) == 128;
  @ }
  @*/

/* The facts of sets, which do not say x, with the name for a bit that the contracts use. */
/*@ predicate bit(integer word, integer i) = BIT(word, i); */
/* clang-format off */
#undef BIT
#undef BIT_AT
#define BIT(word, k) bit(word, k)
#define BIT_AT(word, k, is) (bit(word, k) <==> (is))
#define BIT_AXIOM(name, when, then) axiom name: \forall integer k; 0 <= k && (when) ==> (then);
/* clang-format on */
/*@ axiomatic PowerFacts { POWER_FACTS(BIT_AXIOM) } */
#ifndef LOOP_ONLY /* where the others, and what stands on them, lead the provers astray */
/*@ axiomatic Facts { BIT_FACTS(BIT_AXIOM) } */
#endif

/*@ predicate ones(integer word, integer at, integer n) =
  @   \forall integer j; at <= j < at + n ==> bit(word, j);
  @
  @ // Where an aligned run of 2^k may start.
  @ predicate starts(integer i, integer k) = k == 0 || k == 1 && i % 2 == 0 ||
  @   k == 2 && i % 4 == 0 || k == 3 && i % 8 == 0 || k == 4 && i % 16 == 0 ||
  @   k == 5 && i % 32 == 0 || k == 6 && i == 0;
  @ predicate run_at(integer word, integer at, integer k) =
  @   starts(at, k) && ones(word, at, pow2(k));
  @*/

#ifndef LOOP_ONLY
/*@ lemma split: \forall integer w, b; 0 <= w && 0 <= b < 64 ==>
  @   (b + 64 * w) / 64 == w && (b + 64 * w) % 64 == b;
  @ lemma run_in_set: \forall uint64_t *bits, integer w, b, k; 0 <= w && 0 <= b < 64 &&
  @   run_at(bits[w], b, k) ==> run_at(bits[(b + 64 * w) / 64], (b + 64 * w) % 64, k);
  @*/
#endif

/*@ lemma pow2_range: \forall integer k; 0 <= k <= 6 ==> 1 <= pow2(k) <= 64;
  @
  @ lemma bit_and: \forall integer x, y, i; 0 <= i ==> (bit(x & y, i) <==> bit(x, i) && bit(y, i));
  @ lemma bit_right: \forall integer x, n, i; 0 <= i && 0 <= n ==> (bit(x >> n, i) <==> bit(x, i + n));
  @ lemma bit_left: \forall integer x, n, i; 0 <= n <= i ==> (bit(x << n, i) <==> bit(x, i - n));
  @ lemma bit_left_low: \forall integer x, n, i; 0 <= i < n ==> !bit(x << n, i);
  @ lemma bit_64: \forall uint64_t x; \forall integer i; 64 <= i ==> !bit(x, i);
  @ lemma bit_cut: \forall integer x, i; 0 <= i < 64 ==> (bit((uint64_t)x, i) <==> bit(x, i));
  @ lemma shift_is_power: \forall integer k; 0 <= k <= 6 ==> (uint32_t)(1 << k) == pow2(k);
  @ lemma power_next: \forall integer k; 0 <= k <= 6 ==> pow2((uint32_t)(1 + k)) == 2 * pow2(k);
  @ lemma ones_join: \forall integer w, at, n, m; 0 <= n && m == 2 * n ==>
  @   (ones(w, at, m) <==> ones(w, at, n) && ones(w, at + n, n));
  @*/

#ifndef LOOP_ONLY
/*@ // From word w on there is an aligned run of 2^k; of whole words where k > 6.
  @ predicate run_from(uint64_t *bits, integer w, integer k) =
  @   k <= 6 ? \exists integer at; 0 <= at < 64 && run_at(bits[w], at, k) :
  @   k == 7 ? w % 2 == 0 && run_at(bits[w], 0, 6) && run_at(bits[w + 1], 0, 6) :
  @   k == 8 ? w % 4 == 0 && \forall integer j; 0 <= j < 4 ==> run_at(bits[w + j], 0, 6) :
  @   w == 0 && \forall integer j; 0 <= j < 8 ==> run_at(bits[j], 0, 6);
  @ predicate words_of(uint64_t *bits, integer words, integer k) =
  @   (\forall integer i; 0 <= i < 64 && bit(words, i) ==> i % 8 == 0) &&
  @   (\forall integer w; 0 <= w < 8 ==> (bit(words, 8 * w) <==> run_from(bits, w, k)));
  @ lemma bit_zero: \forall integer i; 0 <= i ==> !bit(0, i);
  @ lemma eighth: \forall integer i; 0 <= i < 64 && i % 8 == 0 ==> 8 * (i / 8) == i;
  @ lemma word_of: \forall uint64_t *bits, integer words, k, i; words_of(bits, words, k) &&
  @   0 <= i < 64 && bit(words, i) ==> i % 8 == 0 && run_from(bits, i / 8, k);
  @ lemma starts_some: \forall integer word, found, k; 0 <= k <= 6 &&
  @   (\exists integer at; 0 <= at < 64 && run_at(word, at, k)) &&
  @   (\forall integer i; 0 <= i < 64 ==> (bit(found, i) <==> run_at(word, i, k))) ==> found != 0;
  @ lemma whole: \forall integer word, at; 0 <= at < 64 && run_at(word, at, 6) ==> run_at(word, 0, 6);
  @*/
#endif

/*@ requires word != 0;
  @ assigns \nothing;
  @ ensures 0 <= \result <= 63 && bit(word, \result);
  @ ensures \forall integer i; 0 <= i < \result ==> !bit(word, i);
  @*/
int __builtin_ctzll(unsigned long long word);
int __builtin_clzll(unsigned long long word);

/*@ requires word != 0;
  @ assigns \nothing;
  @ ensures \result <= 63 && bit(word, \result);
  @ ensures \forall integer i; 0 <= i < \result ==> !bit(word, i);
  @*/
static inline unsigned bits_lowest(uint64_t word);

/*@ requires 1 <= n <= 64 && at <= 63 && at + n <= 64;
  @ assigns \nothing;
  @ ensures \forall integer i; 0 <= i < 64 ==> (bit(\result, i) <==> at <= i < at + n);
  @*/
static inline uint64_t bits_mask(unsigned at, unsigned n);

/*@ requires at < 512 && \valid_read(bits + (0 .. 7));
  @ assigns \nothing;
  @ ensures \result <==> bit(bits[at / 64], at % 64);
  @*/
static inline bool bits_test(const uint64_t *bits, unsigned at);

/*@ requires k <= 6;
  @ assigns \nothing;
  @ ensures where: \forall integer i; 0 <= i < 64 ==> (bit(\result, i) <==> run_at(word, i, k));
  @*/
static inline uint64_t word_run_starts(uint64_t word, unsigned k);

/*@ requires k <= 9;
  @ assigns \nothing;
  @ ensures k <= 6 ==> \forall integer i; 0 <= i < 64 ==>
  @   (bit(\result, i) <==> i % 8 == 0 && bit(runs, i + k));
  @*/
static inline uint64_t runs_words(uint64_t runs, unsigned k);

#ifndef LOOP_ONLY
/*@ requires \valid_read(bits + (0 .. 7)) && k <= 9 && words != 0;
  @ requires words_of((uint64_t *)bits, words, k);
  @ assigns \nothing;
  @ ensures \result < 512;
  @ ensures k < 6 ==> run_at(bits[\result / 64], \result % 64, k);
  @ ensures k == 6 ==> run_at(bits[\result / 64], 0, 6);
  @ ensures k >= 6 ==> \result % 64 == 0 && run_from((uint64_t *)bits, \result / 64, k);
  @ ensures \forall integer w; 0 <= w < \result / 64 ==> !run_from((uint64_t *)bits, w, k);
  @*/
static inline unsigned bits_find(const uint64_t *bits, uint64_t words, unsigned k);
#endif

#include <page_bits.h>
