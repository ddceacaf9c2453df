/* SPDX-License-Identifier: MIT */
/*
 * Regions: a firmware map in normal form.
 *
 * In: descriptors as the firmware wrote them, in any order, overlapping,
 * empty, unaligned. Out: regions sorted by address, disjoint, and maximal (no
 * two neighbours of one kind touch). Pure code: no firmware types, no memory
 * of its own, no state. Any context.
 */
#ifndef QUIRE_REGION_H
#define QUIRE_REGION_H

#include <quire/compiler.h>
#include <quire/types.h>

/*
 * From least to most restrictive: where two descriptors overlap, the larger
 * value wins. KERNEL and METADATA are the kernel's own: it lays what it
 * already occupies over the map before handing the rest to the page allocator.
 */
enum region_kind {
	REGION_USABLE,      /* free RAM */
	REGION_RECLAIMABLE, /* free once boot services are gone */
	REGION_METADATA,    /* descriptor array, boot pool (not a firmware kind) */
	REGION_KERNEL,      /* kernel image, hand-over data (not a firmware kind) */
	REGION_ACPI,        /* ACPI tables */
	REGION_NVS,         /* ACPI non-volatile: never touch */
	REGION_RUNTIME,     /* runtime services */
	REGION_PERSISTENT,  /* NVDIMM */
	REGION_UNACCEPTED,  /* confidential guest memory not yet accepted */
	REGION_RESERVED,
	REGION_MMIO,
	REGION_BAD,
	REGION_KINDS,
};

/* One descriptor as given: bytes, so that unaligned ones can be told. */
struct region_input {
	uint64_t base;  /* bytes, any alignment */
	uint64_t pages; /* 4 KiB each */
	enum region_kind kind;
};

struct region {
	pfn_t start;
	uint64_t pages; /* at least 1 */
	enum region_kind kind;
};

/* One past its last frame. */
static inline uint64_t region_end(const struct region *r)
{
	return r->start.n + r->pages;
}

/* Is it, or can it become, the page allocator's? */
static inline bool region_kind_is_managed(enum region_kind kind)
{
	return kind == REGION_USABLE || kind == REGION_RECLAIMABLE;
}

static inline bool region_is_managed(const struct region *r)
{
	return region_kind_is_managed(r->kind);
}

/* "usable", "reclaimable", ... */
const char *region_kind_name(enum region_kind kind);

/*
 * Bring `count` descriptors into normal form.
 *
 * Drops empty descriptors and those that wrap past 2^64; shrinks usable ones to
 * whole pages and grows all others to them; where kinds overlap the more
 * restrictive wins; merges. Page 0 is never usable or reclaimable: it becomes
 * reserved. Past PFN_LIMIT there is nothing: a usable or reclaimable descriptor
 * that reaches there is dropped whole as garbage, any other loses that part.
 *
 * `in` is working space: afterwards it holds the descriptors that were left,
 * rounded and in another order. Writes at most `capacity` regions to `out` and
 * their number to `*out_count`.
 *
 * Returns 0, or -ENOSPC when `out` is too small (nothing useful is in `out`
 * then). An output of 2 * count + 1 regions always suffices.
 * Time O(n log n); no memory beyond the arguments.
 */
must_check int region_build(struct region_input *in, size_t count, struct region *out,
			    size_t capacity, size_t *out_count);

/*
 * Make [start, start + pages) a region of `kind`, in place: it lies inside one region of another
 * kind, which is split into up to three. False, and nothing changed, when it does not, when a
 * neighbour of `kind` touches it (they would have to be merged), or when there is no room. O(n).
 */
must_check bool region_carve(struct region *regions, size_t *count, size_t capacity, pfn_t start,
			     uint64_t pages, enum region_kind kind);

/* The validator: NULL when sorted, disjoint, maximal, non-empty; else what is wrong. O(n). */
const char *region_check(const struct region *regions, size_t count);

/* Pages of one kind. O(n). */
uint64_t region_pages(const struct region *regions, size_t count, enum region_kind kind);

/* The region that holds a frame, or NULL. O(log n). */
const struct region *region_find(const struct region *regions, size_t count, pfn_t frame);

/* Pages that lie both in [start, start + pages) and in a region of `regions`, whatever its kind.
 * O(n). */
uint64_t region_overlap_pages(const struct region *regions, size_t count, pfn_t start,
			      uint64_t pages);

#endif
