/* SPDX-License-Identifier: MIT */
/*
 * A firmware map in normal form: sorted, disjoint, maximal regions.
 *
 * The entries are sorted by (kind, address) in place, which leaves one run of
 * ascending entries a kind. A sweep then goes up the address space with one
 * cursor a kind; at every frame the most restrictive kind that covers it wins:
 *
 *   usable       |-----------------------------------|      |------|
 *   runtime               |--------|
 *   reserved                   |--------|
 *                ----------------------------------------------------> address
 *   out          | usable |runt| reserved| usable     |      |usable|
 *
 * The sweep only stops where some entry starts or ends, so it takes at most
 * two steps an entry and REGION_KINDS comparisons a step: with the heapsort,
 * O(n log n) whatever the firmware wrote, and no memory of its own.
 *
 * Invariant, for every frame f:
 *   kind(out, f) = max { kind(e) : rounded entry e covers f }, but
 *   kind(out, 0) = reserved where that would be usable or reclaimable;
 *   no two neighbours in `out` touch and have one kind.
 * Lock: none. The code touches nothing but its arguments.
 *
 * Comments that begin with an at sign are for Frama-C, which proves them: tests/prove/wp/region.c.
 */
#include <quire/errno.h>
#include <quire/region.h>

static const char *const kind_names[REGION_KINDS] = {
	[REGION_USABLE] = "usable",
	[REGION_RECLAIMABLE] = "reclaimable",
	[REGION_METADATA] = "metadata",
	[REGION_KERNEL] = "kernel",
	[REGION_ACPI] = "acpi",
	[REGION_NVS] = "nvs",
	[REGION_RUNTIME] = "runtime",
	[REGION_PERSISTENT] = "persistent",
	[REGION_UNACCEPTED] = "unaccepted",
	[REGION_RESERVED] = "reserved",
	[REGION_MMIO] = "mmio",
	[REGION_BAD] = "bad",
};

const char *region_kind_name(enum region_kind kind)
{
	return (unsigned)kind < REGION_KINDS ? kind_names[kind] : "unknown";
}

/*
 * Round one entry to whole pages. Afterwards its base is page aligned and it
 * ends at or below PFN_LIMIT; pages = 0 says that nothing is left of it.
 *
 *   bytes   0x1800          0x3800
 *             |---------------|           2 pages, unaligned
 *   usable        |------|                0x2000..0x3000: only what is wholly there
 *   others  |-----------------|           0x1000..0x4000: whatever it touches
 *
 * No CPU addresses memory past PFN_LIMIT. An entry that claims free memory
 * there is garbage as a whole; of the others the part below still warns us off.
 */
static void entry_round(struct region_input *e)
{
	uint64_t end_bytes, start, end;

	if ((unsigned)e->kind >= REGION_KINDS)
		e->kind = REGION_RESERVED;
	if (e->pages > (UINT64_MAX - e->base) >> PAGE_SHIFT)
		e->pages = 0; /* wraps */
	if (e->pages == 0)
		return;
	end_bytes = e->base + (e->pages << PAGE_SHIFT);
	if (e->kind == REGION_USABLE) {
		start = bytes_to_pages(e->base);
		end = end_bytes >> PAGE_SHIFT;
	} else {
		start = e->base >> PAGE_SHIFT;
		end = bytes_to_pages(end_bytes);
	}
	if (end > PFN_LIMIT)
		end = region_kind_is_managed(e->kind) ? start : PFN_LIMIT;
	e->base = start << PAGE_SHIFT;
	e->pages = end > start ? end - start : 0;
}

/* Round all entries and move those of which something is left to the front; returns how many. */
static size_t entries_round(struct region_input *in, size_t count)
{
	size_t kept = 0;

	/*@ loop invariant 0 <= kept <= i <= count;
	  @ loop invariant \forall integer j; 0 <= j < kept ==>
	  @   sound(in[j].kind, in[j].base, in[j].pages);
	  @ loop assigns i, kept, in[0 .. count - 1];
	  @ loop variant count - i;
	  @*/
	for (size_t i = 0; i < count; i++) {
		entry_round(&in[i]);
		/*@ assert in[i].pages != 0 ==> sound(in[i].kind, in[i].base, in[i].pages); */
		/*@ assert \forall integer j; 0 <= j < kept ==>
		  @   sound(in[j].kind, in[j].base, in[j].pages); */
		if (in[i].pages != 0) {
			in[kept] = in[i];
			/*@ assert sound(in[kept].kind, in[kept].base, in[kept].pages); */
			/*@ assert \forall integer j; 0 <= j < kept ==>
			  @   sound(in[j].kind, in[j].base, in[j].pages); */
			kept++;
		}
	}
	return kept;
}

static bool entry_less(const struct region_input *a, const struct region_input *b)
{
	return a->kind != b->kind ? a->kind < b->kind : a->base < b->base;
}

static void sift_down(struct region_input *in, size_t root, size_t count)
{
	struct region_input moving = in[root];
	size_t child;

	/*@ loop invariant root < count;
	  @ loop assigns root, child, in[0 .. count - 1];
	  @ loop variant count - root;
	  @*/
	for (; (child = 2 * root + 1) < count; root = child) {
		if (child + 1 < count && entry_less(&in[child], &in[child + 1]))
			child++;
		if (!entry_less(&moving, &in[child]))
			break;
		in[root] = in[child];
	}
	in[root] = moving;
}

/* Heapsort: in place, and no order of entries makes it slow. */
static void entries_sort(struct region_input *in, size_t count)
{
	/*@ loop invariant root <= count / 2;
	  @ loop assigns root, in[0 .. count - 1];
	  @ loop variant root;
	  @*/
	for (size_t root = count / 2; root > 0; root--)
		sift_down(in, root - 1, count);
	/*@ loop invariant left <= count;
	  @ loop assigns left, in[0 .. count - 1];
	  @ loop variant left;
	  @*/
	for (size_t left = count; left > 1; left--) {
		struct region_input largest = in[0];

		in[0] = in[left - 1];
		in[left - 1] = largest;
		sift_down(in, 0, left - 1);
	}
}

/* The entries of one kind, ascending by base; in[next] is the first not yet wholly passed. */
struct cursor {
	size_t next, end;
};

static void cursors_init(struct cursor cursors[REGION_KINDS], const struct region_input *in,
			 size_t count)
{
	size_t i = 0;

	/*@ loop invariant kind <= REGION_KINDS && i <= count;
	  @ loop invariant \forall integer k; 0 <= k < kind ==>
	  @   cursors[k].next <= cursors[k].end <= count;
	  @ loop assigns kind, i, cursors[0 .. REGION_KINDS - 1];
	  @ loop variant REGION_KINDS - kind;
	  @*/
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		cursors[kind].next = i;
		/*@ loop invariant cursors[kind].next <= i <= count;
		  @ loop assigns i;
		  @ loop variant count - i;
		  @*/
		while (i < count && in[i].kind == (enum region_kind)kind)
			i++;
		cursors[kind].end = i;
	}
}

/* The first frame at or after `at` that this kind covers, and the end of the entry it lies in. */
static bool cursor_covers_from(struct cursor *c, const struct region_input *in, uint64_t at,
			       uint64_t *start, uint64_t *end)
{
	/*@ loop invariant \at(c->next, Pre) <= c->next <= c->end;
	  @ loop invariant \forall integer i; \at(c->next, Pre) <= i < c->next ==>
	  @   in[i].base / PAGE_BYTES + in[i].pages <= at;
	  @ loop assigns c->next, *start, *end;
	  @ loop variant c->end - c->next;
	  @*/
	for (; c->next < c->end; c->next++) {
		*start = in[c->next].base >> PAGE_SHIFT;
		*end = *start + in[c->next].pages;
		if (*end > at) {
			if (*start < at)
				*start = at;
			return true;
		}
	}
	return false;
}

/*
 * The first stretch at or after `at` that one kind wins: it starts where any
 * kind covers a frame, belongs to the most restrictive kind there, and lasts
 * until that entry ends or a more restrictive one starts.
 */
static bool sweep_next(struct cursor cursors[REGION_KINDS], const struct region_input *in,
		       uint64_t at, struct region *won)
{
	uint64_t won_start = UINT64_MAX, won_end = UINT64_MAX;
	uint64_t start, end;

	/*@ loop invariant kinds <= REGION_KINDS;
	  @ loop invariant \forall integer k; 0 <= k < REGION_KINDS ==>
	  @   cursors[k].next <= cursors[k].end == \at(cursors[k].end, Pre);
	  @ loop invariant won_start == UINT64_MAX && won_end == UINT64_MAX ||
	  @   at <= won_start < won_end <= PFN_LIMIT && won->kind < REGION_KINDS;
	  @ loop assigns kinds, start, end, won_start, won_end, won->kind,
	  @   cursors[0 .. REGION_KINDS - 1].next;
	  @ loop variant kinds;
	  @*/
	for (unsigned kinds = REGION_KINDS; kinds > 0; kinds--) {
		if (!cursor_covers_from(&cursors[kinds - 1], in, at, &start, &end))
			continue;
		if (start < won_start) {
			/* Nothing more restrictive covers `start`; what does later ends this. */
			won_end = end < won_start ? end : won_start;
			won_start = start;
			won->kind = (enum region_kind)(kinds - 1);
		}
	}
	won->start = pfn(won_start);
	won->pages = won_end - won_start;
	return won_start != UINT64_MAX;
}

struct output {
	struct region *regions;
	size_t count, capacity;
};

/* Append a stretch, joining it to the last region when that is of its kind and touches. */
static int output_add(struct output *o, struct region stretch)
{
	struct region *last = o->count > 0 ? &o->regions[o->count - 1] : NULL;

	if (last && last->kind == stretch.kind && region_end(last) == stretch.start.n) {
		last->pages += stretch.pages;
		return 0;
	}
	if (o->count == o->capacity)
		return -ENOSPC;
	o->regions[o->count++] = stretch;
	return 0;
}

int region_build(struct region_input *in, size_t count, struct region *out, size_t capacity,
		 size_t *out_count)
{
	struct output o = {out, 0, capacity};
	struct cursor cursors[REGION_KINDS];
	struct region stretch;
	uint64_t at = 0;
	int error = 0;

	*out_count = 0;
	if (count == 0)
		return 0; /* `in` may be NULL then */
	count = entries_round(in, count);
	entries_sort(in, count);
	cursors_init(cursors, in, count);
	while (error == 0 && sweep_next(cursors, in, at, &stretch)) {
		if (stretch.start.n == 0 && region_is_managed(&stretch)) {
			/* Page 0 alone, as reserved; the sweep goes on behind it. */
			stretch.kind = REGION_RESERVED;
			stretch.pages = 1;
		}
		at = region_end(&stretch);
		error = output_add(&o, stretch);
	}
	*out_count = o.count;
	return error;
}

const char *region_check(const struct region *regions, size_t count)
{
	/*@ loop invariant 0 <= i <= count;
	  @ loop invariant normal((struct region *)regions, i);
	  @ loop assigns i;
	  @ loop variant count - i;
	  @*/
	for (size_t i = 0; i < count; i++) {
		const struct region *r = &regions[i];

		if ((unsigned)r->kind >= REGION_KINDS)
			return "region of no known kind";
		if (r->pages == 0)
			return "empty region";
		if (r->start.n >= PFN_LIMIT || r->pages > PFN_LIMIT - r->start.n)
			return "region past the highest physical address";
		if (r->start.n == 0 && region_is_managed(r))
			return "page 0 is up for use";
		if (i == 0)
			continue;
		if (r->start.n < r[-1].start.n)
			return "regions not sorted";
		if (r->start.n < region_end(&r[-1]))
			return "regions overlap";
		if (r->start.n == region_end(&r[-1]) && r->kind == r[-1].kind)
			return "neighbours of one kind not merged";
	}
	return NULL;
}

uint64_t region_pages(const struct region *regions, size_t count, enum region_kind kind)
{
	uint64_t pages = 0;

	/*@ loop invariant 0 <= i <= count;
	  @ loop invariant pages <= (i == 0 ? 0 : regions[i - 1].start.n + regions[i - 1].pages);
	  @ loop assigns i, pages;
	  @ loop variant count - i;
	  @*/
	for (size_t i = 0; i < count; i++) {
		if (regions[i].kind == kind)
			pages += regions[i].pages;
	}
	return pages;
}

const struct region *region_find(const struct region *regions, size_t count, pfn_t frame)
{
	size_t low = 0, high = count;

	/* Below `low` all regions end at or before the frame; from `high` on all start after it. */
	/*@ loop invariant 0 <= low <= high <= count;
	  @ loop invariant \forall integer i; 0 <= i < low ==>
	  @   regions[i].start.n + regions[i].pages <= frame.n;
	  @ loop invariant \forall integer i; high <= i < count ==> frame.n < regions[i].start.n;
	  @ loop assigns low, high;
	  @ loop variant high - low;
	  @*/
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct region *r = &regions[middle];

		if (frame.n < r->start.n)
			high = middle;
		else if (frame.n >= region_end(r))
			low = middle + 1;
		else
			return r;
	}
	return NULL;
}

uint64_t region_overlap_pages(const struct region *regions, size_t count, pfn_t start,
			      uint64_t pages)
{
	uint64_t end = start.n + pages, sum = 0;

	/*@ loop invariant 0 <= i <= count;
	  @ loop invariant sum <= (i == 0 ? 0 : regions[i - 1].start.n + regions[i - 1].pages);
	  @ loop invariant sum == 0 || i > 0 && start.n + sum <=
	  @   \min(end, regions[i - 1].start.n + regions[i - 1].pages);
	  @ loop assigns i, sum;
	  @ loop variant count - i;
	  @*/
	for (size_t i = 0; i < count; i++) {
		uint64_t from = regions[i].start.n, to = region_end(&regions[i]);

		if (from < start.n)
			from = start.n;
		if (to > end)
			to = end;
		if (to > from)
			sum += to - from;
	}
	return sum;
}

bool region_carve(struct region *regions, size_t *count, size_t capacity, pfn_t start,
		  uint64_t pages, enum region_kind kind)
{
	struct region *r = regions, *end = regions + *count;
	uint64_t before, after;

	while (r < end && region_end(r) <= start.n)
		r++;
	if (pages == 0 || r == end || r->start.n > start.n || region_end(r) - start.n < pages ||
	    r->kind == kind)
		return false;
	before = start.n - r->start.n;
	after = region_end(r) - start.n - pages;
	/* A neighbour of that kind would have to be merged with. */
	if ((!before && r > regions && r[-1].kind == kind && region_end(&r[-1]) == start.n) ||
	    (!after && r + 1 < end && r[1].kind == kind && r[1].start.n == start.n + pages))
		return false;
	if (*count + (before != 0) + (after != 0) > capacity)
		return false;
	for (struct region *to = end - 1; to > r; to--)
		to[(before != 0) + (after != 0)] = *to;
	if (after)
		r[(before != 0) + 1] = (struct region){pfn(start.n + pages), after, r->kind};
	if (before)
		(r++)->pages = before;
	*r = (struct region){start, pages, kind};
	*count += (before != 0) + (after != 0);
	return true;
}
