/* SPDX-License-Identifier: MIT */
/*
 * Contracts that Frama-C/WP proves of alloc/region.c, laid in front of the real file; the invariants
 * of loops stand at the loops. Unsigned overflow counts as an error: that C allows it is no help
 * when an address wraps.
 */
#include <quire/region.h>

/*@ predicate ordered(struct region *r, integer n) =
  @   \forall integer i, j; 0 <= i < j < n ==> r[i].start.n + r[i].pages <= r[j].start.n;
  @ predicate limited(struct region *r, integer n) =
  @   \forall integer i; 0 <= i < n ==> r[i].start.n + r[i].pages <= PFN_LIMIT;
  @*/

/*@ requires \valid_read(r) && r->start.n + r->pages <= PFN_LIMIT;
  @ assigns \nothing;
  @ ensures \result == r->start.n + r->pages;
  @*/
static inline uint64_t region_end(const struct region *r);

/*@ requires \valid_read(regions + (0 .. count - 1));
  @ requires ordered((struct region *)regions, count) && limited((struct region *)regions, count);
  @ assigns \nothing;
  @ ensures \result != \null ==> \exists integer i; 0 <= i < count && \result == regions + i &&
  @   regions[i].start.n <= frame.n < regions[i].start.n + regions[i].pages;
  @ ensures \result == \null ==> \forall integer i; 0 <= i < count ==>
  @   !(regions[i].start.n <= frame.n < regions[i].start.n + regions[i].pages);
  @*/
const struct region *region_find(const struct region *regions, size_t count, pfn_t frame);

#include "../../../alloc/region.c"
