/* SPDX-License-Identifier: MIT */
/*
 * Contracts that Frama-C/WP proves of alloc/region.c, laid in front of the real file; the invariants
 * of loops stand at the loops. Unsigned overflow counts as an error: that C allows it is no help
 * when an address wraps.
 */
#include "builtins.h"
#include "facts.h"
#include <quire/errno.h>
#include <quire/region.h>

/*@ axiomatic Facts { PAGE_FACTS(FACT_AXIOM) } */

/*@ predicate ordered(struct region *r, integer n) =
  @   \forall integer i, j; 0 <= i < j < n ==> r[i].start.n + r[i].pages <= r[j].start.n;
  @ predicate limited(struct region *r, integer n) =
  @   \forall integer i; 0 <= i < n ==> r[i].start.n + r[i].pages <= PFN_LIMIT;
  @
  @ // region_check()'s normal form, by the numbers in a region.
  @ predicate managed(integer kind) = kind == REGION_USABLE || kind == REGION_RECLAIMABLE;
  @ predicate fine(integer kind, integer start, integer pages) =
  @   0 <= kind < REGION_KINDS && 1 <= pages && start + pages <= PFN_LIMIT &&
  @   (start == 0 ==> !managed(kind));
  @ predicate apart(integer kind, integer end, integer next_kind, integer next_start) =
  @   end < next_start || end == next_start && kind != next_kind;
  @ predicate normal(struct region *r, integer n) =
  @   (\forall integer i; 0 <= i < n ==> fine(r[i].kind, r[i].start.n, r[i].pages)) &&
  @   (\forall integer i; 1 <= i < n ==>
  @     apart(r[i - 1].kind, r[i - 1].start.n + r[i - 1].pages, r[i].kind, r[i].start.n));
  @ lemma normal_longer: \forall struct region *r, integer n, m; 0 <= n && m == n + 1 &&
  @   normal(r, n) && fine(r[n].kind, r[n].start.n, r[n].pages) && (n == 0 ||
  @     apart(r[n - 1].kind, r[n - 1].start.n + r[n - 1].pages, r[n].kind, r[n].start.n)) ==>
  @   normal(r, m);
  @ lemma normal_same{A, B}: \forall struct region *r, integer n; normal{A}(r, n) &&
  @   (\forall integer i; 0 <= i < n ==> \at(r[i].kind, A) == \at(r[i].kind, B) &&
  @     \at(r[i].start.n, A) == \at(r[i].start.n, B) && \at(r[i].pages, A) == \at(r[i].pages, B)) ==>
  @   normal{B}(r, n);
  @ lemma normal_fine: \forall struct region *r, integer n, i; 0 <= i < n && normal(r, n) ==>
  @   fine(r[i].kind, r[i].start.n, r[i].pages);
  @ lemma normal_apart: \forall struct region *r, integer n, i; 1 <= i < n && normal(r, n) ==>
  @   apart(r[i - 1].kind, r[i - 1].start.n + r[i - 1].pages, r[i].kind, r[i].start.n);
  @*/

/*@ requires \valid_read(r) && r->start.n + r->pages <= PFN_LIMIT;
  @ assigns \nothing;
  @ ensures \result == r->start.n + r->pages;
  @*/
static inline uint64_t region_end(const struct region *r);

/*@ assigns \nothing;
  @ ensures \result <==> managed(kind);
  @*/
static inline bool region_kind_is_managed(enum region_kind kind);

/*@ requires \valid_read(r);
  @ assigns \nothing;
  @ ensures \result <==> managed(r->kind);
  @*/
static inline bool region_is_managed(const struct region *r);

/*@ assigns \nothing;
  @ ensures \result == (bytes + 4095) / 4096;
  @*/
static inline uint64_t bytes_to_pages(uint64_t bytes);

/*@ assigns \nothing;
  @ ensures \result.n == n;
  @*/
static inline pfn_t pfn(uint64_t n);

/*@ assigns \nothing; */
const char *region_kind_name(enum region_kind kind);

/* ---- one entry of the firmware's map ---- */

/*@ predicate sound(integer kind, integer base, integer pages) =
  @   0 <= kind < REGION_KINDS && 1 <= pages && base % 4096 == 0 &&
  @   base / 4096 + pages <= PFN_LIMIT;
  @*/

/*@ requires \valid(e);
  @ assigns *e;
  @ ensures e->pages != 0 ==> sound(e->kind, e->base, e->pages);
  @ ensures e->kind == (\old(e->kind) < REGION_KINDS ? \old(e->kind) : REGION_RESERVED);
  @ ensures \old(e->base) + \old(e->pages) * 4096 > 0xffffffffffffffff ==> e->pages == 0;
  @ ensures e->kind == REGION_USABLE && e->pages != 0 ==> \old(e->base) <= e->base &&
  @   e->base + e->pages * 4096 <= \old(e->base) + \old(e->pages) * 4096;
  @ ensures e->kind == REGION_USABLE && e->pages != 0 ==> e->base < \old(e->base) + 4096 &&
  @   e->base + (e->pages + 1) * 4096 > \old(e->base) + \old(e->pages) * 4096;
  @ ensures e->kind != REGION_USABLE && e->pages != 0 ==>
  @   e->base <= \old(e->base) < e->base + 4096;
  @ ensures e->kind != REGION_USABLE && e->pages != 0 ==>
  @   e->base + (e->pages - 1) * 4096 < \old(e->base) + \old(e->pages) * 4096;
  @ ensures e->kind != REGION_USABLE && e->pages != 0 ==>
  @   \old(e->base) + \old(e->pages) * 4096 <= e->base + e->pages * 4096 ||
  @   e->base / 4096 + e->pages == PFN_LIMIT;
  @*/
static void entry_round(struct region_input *e);

/*@ requires \valid(in + (0 .. count - 1));
  @ assigns in[0 .. count - 1];
  @ ensures 0 <= \result <= count;
  @ ensures \forall integer i; 0 <= i < \result ==>
  @   sound(in[i].kind, in[i].base, in[i].pages);
  @*/
static size_t entries_round(struct region_input *in, size_t count);

/* ---- the sort: it stays inside the array and ends; that it sorts is not said here ---- */

/*@ requires \valid_read(a) && \valid_read(b);
  @ assigns \nothing;
  @ ensures \result <==> a->kind < b->kind || a->kind == b->kind && a->base < b->base;
  @*/
static bool entry_less(const struct region_input *a, const struct region_input *b);

#define ENTRIES_MAX 0x7fffffffffffffff

/*@ requires root < count <= ENTRIES_MAX && \valid(in + (0 .. count - 1));
  @ assigns in[0 .. count - 1];
  @*/
static void sift_down(struct region_input *in, size_t root, size_t count);

/*@ requires count <= ENTRIES_MAX && \valid(in + (0 .. count - 1));
  @ assigns in[0 .. count - 1];
  @*/
static void entries_sort(struct region_input *in, size_t count);

/*@ requires \valid_read(regions + (0 .. count - 1));
  @ requires ordered((struct region *)regions, count) && limited((struct region *)regions, count);
  @ assigns \nothing;
  @ ensures \result != \null ==> \exists integer i; 0 <= i < count && \result == regions + i &&
  @   regions[i].start.n <= frame.n < regions[i].start.n + regions[i].pages;
  @ ensures \result == \null ==> \forall integer i; 0 <= i < count ==>
  @   !(regions[i].start.n <= frame.n < regions[i].start.n + regions[i].pages);
  @*/
const struct region *region_find(const struct region *regions, size_t count, pfn_t frame);

/*@ requires \valid_read(regions + (0 .. count - 1));
  @ requires ordered((struct region *)regions, count) && limited((struct region *)regions, count);
  @ assigns \nothing;
  @ ensures \result <= PFN_LIMIT;
  @*/
uint64_t region_pages(const struct region *regions, size_t count, enum region_kind kind);

/*@ requires \valid_read(regions + (0 .. count - 1)) && start.n + pages <= 0xffffffffffffffff;
  @ requires ordered((struct region *)regions, count) && limited((struct region *)regions, count);
  @ assigns \nothing;
  @ ensures \result <= PFN_LIMIT && \result <= pages;
  @*/
uint64_t region_overlap_pages(const struct region *regions, size_t count, pfn_t start,
			      uint64_t pages);

/*@ requires \valid_read(regions + (0 .. count - 1));
  @ assigns \nothing;
  @ ensures \result == \null <==> normal((struct region *)regions, count);
  @*/
const char *region_check(const struct region *regions, size_t count);

#include "../../../alloc/region.c"

/* ---- the sweep, whose types the file defines itself ---- */

/*@ requires \valid(cursors + (0 .. REGION_KINDS - 1)) && \valid_read(in + (0 .. count - 1));
  @ requires \separated(cursors + (0 .. REGION_KINDS - 1), in + (0 .. count - 1));
  @ assigns cursors[0 .. REGION_KINDS - 1];
  @ ensures \forall integer k; 0 <= k < REGION_KINDS ==> cursors[k].next <= cursors[k].end <= count;
  @*/
static void cursors_init(struct cursor cursors[REGION_KINDS], const struct region_input *in,
			 size_t count);

/*@ requires \valid(c) && \valid(start) && \valid(end) && c->next <= c->end;
  @ requires \valid_read(in + (0 .. c->end - 1));
  @ requires \separated(c, start, end, in + (0 .. c->end - 1));
  @ requires \forall integer i; c->next <= i < c->end ==>
  @   sound(in[i].kind, in[i].base, in[i].pages);
  @ assigns c->next, *start, *end;
  @ ensures \old(c->next) <= c->next <= c->end;
  @ ensures \forall integer i; \old(c->next) <= i < c->next ==> in[i].base / 4096 + in[i].pages <= at;
  @ ensures \result <==> c->next < c->end;
  @ ensures \result ==> at <= *start < *end <= PFN_LIMIT;
  @ ensures \result ==> *end == in[c->next].base / 4096 + in[c->next].pages &&
  @   *start == \max(at, in[c->next].base / 4096);
  @*/
static bool cursor_covers_from(struct cursor *c, const struct region_input *in, uint64_t at,
			       uint64_t *start, uint64_t *end);

/*@ requires \valid(cursors + (0 .. REGION_KINDS - 1)) && \valid(won);
  @ requires \separated(cursors + (0 .. REGION_KINDS - 1), won);
  @ requires \forall integer k; 0 <= k < REGION_KINDS ==> cursors[k].next <= cursors[k].end &&
  @   \valid_read(in + (0 .. cursors[k].end - 1)) &&
  @   \separated(in + (0 .. cursors[k].end - 1), won) &&
  @   \separated(in + (0 .. cursors[k].end - 1), cursors + (0 .. REGION_KINDS - 1));
  @ requires \forall integer k, i; 0 <= k < REGION_KINDS && 0 <= i < cursors[k].end ==>
  @   sound(in[i].kind, in[i].base, in[i].pages);
  @ assigns cursors[0 .. REGION_KINDS - 1].next, *won;
  @ ensures \forall integer k; 0 <= k < REGION_KINDS ==>
  @   cursors[k].next <= cursors[k].end == \old(cursors[k].end);
  @ ensures \result ==> won->kind < REGION_KINDS && 1 <= won->pages && at <= won->start.n &&
  @   won->start.n + won->pages <= PFN_LIMIT;
  @*/
static bool sweep_next(struct cursor cursors[REGION_KINDS], const struct region_input *in,
		       uint64_t at, struct region *won);
