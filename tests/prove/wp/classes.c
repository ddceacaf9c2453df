/* SPDX-License-Identifier: MIT */
/*
 * Contracts of kmalloc's sizes and slots, in front of alloc/kmalloc_internal.h. Unsigned arithmetic
 * wraps, as in C: kmalloc_class_bytes() means it to.
 */
#include "builtins.h"
#include "facts.h"
#include <quire/kmalloc.h>

/*@ axiomatic Facts { SIZE_FACTS(FACT_AXIOM) } */

/* The table of kmalloc_class(), piece by piece. */
/*@ logic integer class_bytes(integer i) =
  @   i == 0 ? 8 :
  @   i <= 16 ? 16 * i :
  @   i <= 24 ? 32 * (i - 8) :
  @   i <= 32 ? 64 * (i - 16) :
  @   i <= 40 ? 128 * (i - 24) :
  @   i <= 48 ? 256 * (i - 32) : 512 * (i - 40);
  @*/

/*@ requires bytes <= KMALLOC_SMALL_MAX;
  @ assigns \nothing;
  @ ensures 0 <= \result < KMALLOC_CLASSES;
  @ ensures bytes <= class_bytes(\result);
  @ ensures \result > 0 ==> class_bytes(\result - 1) < bytes;
  @ ensures \forall integer i; 0 <= i < KMALLOC_CLASSES && bytes == class_bytes(i) ==> \result == i;
  @*/
static inline unsigned kmalloc_class(size_t bytes);

/*@ requires index < KMALLOC_CLASSES;
  @ assigns \nothing;
  @ ensures \result == class_bytes(index);
  @*/
static inline uint32_t kmalloc_class_bytes(unsigned index);

/*@ predicate reciprocal_of(integer reciprocal, integer bytes) =
  @   (reciprocal - 1) * bytes < 4294967296 <= reciprocal * bytes;
  @*/

/*@ requires 8 <= bytes <= KMALLOC_SMALL_MAX;
  @ assigns \nothing;
  @ ensures reciprocal_of(\result, bytes);
  @*/
static inline uint32_t slab_reciprocal(uint32_t bytes);

#include <kmalloc_internal.h>

/*@ predicate slab_sound(struct slab *s) = \valid_read(s) && \valid_read(s->cache) &&
  @   8 <= s->cache->object_bytes <= KMALLOC_SMALL_MAX &&
  @   s->cache->slots <= SLAB_OBJECTS_MAX &&
  @   reciprocal_of(s->cache->reciprocal, s->cache->object_bytes);
  @ predicate in_slab(struct slab *s, integer address) =
  @   s->base <= address < s->base + (4096 << SLAB_ORDER_MAX);
  @*/

/*@ requires slab_sound((struct slab *)s) && in_slab((struct slab *)s, address);
  @ assigns \nothing;
  @ ensures \result * s->cache->object_bytes <= address - s->base;
  @ ensures address - s->base < (\result + 1) * s->cache->object_bytes;
  @*/
static inline unsigned slab_slot_around(const struct slab *s, uint64_t address);

/* Believed: it reads a byte of the words of states, which WP's memory of typed cells cannot. */
/*@ assigns \nothing; */
static inline enum slot_state slab_slot_state(const struct slab *s, unsigned slot);

/*@ requires slab_sound((struct slab *)s) && in_slab((struct slab *)s, address);
  @ assigns \nothing;
  @ ensures \result != SLAB_NO_SLOT ==>
  @   \result < s->cache->slots && \result * s->cache->object_bytes == address - s->base;
  @*/
static inline unsigned slab_live_slot(const struct slab *s, uint64_t address);
