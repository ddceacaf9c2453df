/* SPDX-License-Identifier: MIT */
/*
 * What Frama-C does not know of C11 and the compiler. This is believed, not proved: the contract of
 * a builtin is what its manual says, and an atomic access, by one CPU alone, is an access.
 */
#ifndef QUIRE_PROVE_WP_BUILTINS_H
#define QUIRE_PROVE_WP_BUILTINS_H

#define _Thread_local
#define _Alignas(bytes)
#define __builtin_expect(value, expected)  (value)
#define __builtin_constant_p(value)        0
#define __atomic_load_n(from, order)       (*(from))
#define __atomic_store_n(to, value, order) ((void)(*(to) = (value)))
/* Of functions nothing is proved of: only so that they can be read. */
#define __atomic_exchange_n(to, value, order) (*(to) = (value))
#define __atomic_compare_exchange_n(to, expected, value, weak, success, failure)                   \
	(*(to) == *(expected) ? (*(to) = (value), 1) : (*(expected) = *(to), 0))

/* Leading zeros; said for every power of two, as far as a size of kmalloc goes. */
/* clang-format off */
#define CLZ_SAYS(k, power) \
	((power) <= x ==> \result <= 31 - (k)) && (x < (power) ==> \result > 31 - (k))
/* clang-format on */
/*@ requires x != 0;
  @ assigns \nothing;
  @ ensures 0 <= \result <= 31;
  @ ensures CLZ_SAYS(7, 128) && CLZ_SAYS(8, 256) && CLZ_SAYS(9, 512) && CLZ_SAYS(10, 1024);
  @ ensures CLZ_SAYS(11, 2048) && CLZ_SAYS(12, 4096) && CLZ_SAYS(13, 8192);
  @*/
int __builtin_clz(unsigned x);

#endif
