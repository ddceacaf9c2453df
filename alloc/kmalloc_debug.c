/* SPDX-License-Identifier: MIT */
/*
 * Redzones and poison: wrong uses that the states of slots cannot show.
 *
 *                 asked for
 *   slot  │ object            │ redzone      │ 8 bytes │    live: what lies behind the object is checked
 *         │ poison                           │ of zone │    free: nobody may write
 *         ▲                                       ▲
 *         the slot's start, as always:            always the same: the end of this slot's
 *         alignment is kept                       redzone and the one before the next
 *
 *   slab  │ slot 0: never handed out │ slot 1 │ slot 2 │ …
 *           poison and zone: the redzone before the first object
 *
 * So an object has a redzone behind it, and the slot before its own has one in front of it. Room
 * for it comes from a larger class: the smallest that also keeps the alignment promised for the
 * size. A free slot is poison from the making of its slab to the end; whoever hands it out, lets it
 * out of quarantine (kmalloc_quarantine.c) or gives the slab's pages back looks at that first.
 *
 * A build with a shadow (PORT_REDZONE) sees the access itself: all that is kept of this there are
 * slot 0, the bytes asked for, and quarantine.
 *
 * Everything comes here, since the magazines are closed (quire/alloc_watch.h).
 *
 * Lock: none for redzones and poison, which are written by who moves the slot: allocating, freeing, or
 * taking it out of quarantine; the validator passes such by. A slab is given back under its
 * arena's lock.
 */
#include "kmalloc_debug.h"

#include "kmalloc_guard.h"
#include "kmalloc_walk.h"

#define BYTE_ZONE  0xcc
#define BYTE_FREED 0x6b
#define BYTE_FRESH 0xa5
#define FOOTER     16u /* at the end of a large object's pages: asked, ~asked */
#define LARGE_MAX  ((uint64_t)1 << (PAGE_ORDER_MAX + PAGE_SHIFT))
#define LOOKS      (PORT_REDZONE == 0) /* a shadow knows better */

static uint8_t *bytes_of(void *object)
{
	return object;
}

/* The first byte in [from, end) that is not `value`; `end` when all are. */
static uint64_t first_other(const void *object, uint64_t from, uint64_t end, uint8_t value)
{
	const uint8_t *bytes = object;

	while (from < end && bytes[from] == value)
		from++;
	return from;
}

/* ---- geometry ---- */

/* Has each slot of the cache a zone at its end? */
static bool has_zone(const struct kmem_cache *cache)
{
	return cache->kind == KMEM_CLASS || cache->object_bytes >= cache->wanted_bytes + DEBUG_ZONE;
}

static uint64_t poisoned_bytes(const struct kmem_cache *cache)
{
	return cache->object_bytes - (has_zone(cache) ? DEBUG_ZONE : 0);
}

uint32_t debug_typed_bytes(const struct kheap *heap, size_t bytes, uint32_t object_bytes,
			   size_t align)
{
	uint64_t with_zone = align_up(bytes + DEBUG_ZONE, align ? align : KMALLOC_MIN_ALIGN);

	if (!LOOKS || !heap->debug || with_zone > KMALLOC_SMALL_MAX)
		return object_bytes;
	return with_zone > object_bytes ? (uint32_t)with_zone : object_bytes;
}

/* Where `bytes` and a zone fit and the alignment stays; NULL: in no class. */
static struct kmem_cache *cache_with_room(struct kmem_cache *cache, size_t bytes)
{
	struct kheap *heap = cache->heap;
	uint64_t wanted = align_up(bytes + DEBUG_ZONE, kmalloc_alignment(cache, bytes));

	if (!LOOKS || cache->kind != KMEM_CLASS)
		return cache;
	if (wanted > KMALLOC_SMALL_MAX)
		return NULL;
	return &heap->classes[kmalloc_class(wanted)];
}

/* ---- what is wrong with a slot ---- */

uint64_t debug_asked(const struct slab *s, unsigned slot)
{
	const struct slab_debug *d = slab_debug(s->cache->heap, s);

	return d && d->asked[slot] ? d->asked[slot] : s->cache->object_bytes;
}

static void describe(const struct slab *s, unsigned slot, uint64_t asked, struct misuse *m)
{
	m->when = MISUSE_FOUND;
	m->allocator = "kmalloc";
	m->object = (uintptr_t)slab_object(s, slot);
	m->bytes = asked;
	m->cache = s->cache->name;
	m->allocated_by = track_address(s->track->allocated_by[slot]);
	m->freed_by = track_address(s->track->freed_by[slot]);
}

/* The first byte of a free slot that is not what it was left as; object_bytes when all are. */
static uint64_t first_written(const struct slab *s, unsigned slot)
{
	const void *object = slab_object(s, slot);
	uint64_t zone = poisoned_bytes(s->cache), end = s->cache->object_bytes;
	uint64_t at = LOOKS ? first_other(object, 0, zone, BYTE_FREED) : end;

	return at == zone ? first_other(object, zone, end, BYTE_ZONE) : at;
}

static void make_poison(const struct slab *s, unsigned slot)
{
	uint8_t *object = slab_object(s, slot);
	uint64_t zone = poisoned_bytes(s->cache);

	if (!LOOKS)
		return;
	__builtin_memset(object, BYTE_FREED, zone);
	__builtin_memset(object + zone, BYTE_ZONE, s->cache->object_bytes - zone);
}

static bool was_written_free(const struct slab *s, unsigned slot, struct misuse *m)
{
	uint64_t at = first_written(s, slot);

	if (at == s->cache->object_bytes)
		return false;
	describe(s, slot, debug_asked(s, slot), m);
	m->what = at < poisoned_bytes(s->cache)
			  ? "write after free"
			  : "write behind a freed object, or before the next one";
	m->address = m->object + at;
	return true;
}

/* Slot 0, which nobody ever has: that was the user of the slot behind it. */
static bool was_written_front(const struct slab *s, struct misuse *m)
{
	uint64_t at = first_written(s, 0);

	if (at == s->cache->object_bytes)
		return false;
	describe(s, s->cache->first, debug_asked(s, s->cache->first), m);
	m->what = "write before the first object of a slab";
	m->address = s->base + at;
	return true;
}

/* In the zone the two neighbours share nobody can tell which of them it was. */
static const char *name_overrun(const struct slab *s, uint64_t asked, uint64_t at)
{
	if (at < poisoned_bytes(s->cache) || asked >= poisoned_bytes(s->cache))
		return "write behind the end of an object";
	return "write behind the end of an object, or before the next one";
}

static bool was_overrun(const struct slab *s, unsigned slot, uint64_t asked, struct misuse *m)
{
	uint64_t end = s->cache->object_bytes;
	uint64_t at = LOOKS && has_zone(s->cache)
			      ? first_other(slab_object(s, slot), asked, end, BYTE_ZONE)
			      : end;

	if (at == end)
		return false;
	describe(s, slot, asked, m);
	m->what = name_overrun(s, asked, at);
	m->address = m->object + at;
	m->freed_by = 0;
	return true;
}

/* The zone in front of it is the end of the slot before. */
static bool was_underrun(const struct slab *s, unsigned slot, uint64_t asked, struct misuse *m)
{
	uint8_t *object = slab_object(s, slot);
	uint64_t back = 1;

	if (!LOOKS || !has_zone(s->cache))
		return false;
	while (back <= DEBUG_ZONE && *(object - back) == BYTE_ZONE)
		back++;
	if (back > DEBUG_ZONE)
		return false;
	describe(s, slot, asked, m);
	m->what = "write before the start of an object";
	m->address = m->object - back;
	m->freed_by = 0;
	return true;
}

/* Repair what was reported, or the neighbour's free tells it again. */
static void mend_zones(const struct slab *s, unsigned slot)
{
	uint8_t *object = slab_object(s, slot);

	if (!has_zone(s->cache))
		return;
	__builtin_memset(object + poisoned_bytes(s->cache), BYTE_ZONE, DEBUG_ZONE);
	__builtin_memset(object - DEBUG_ZONE, BYTE_ZONE, DEBUG_ZONE);
}

/* ---- a slot's life ---- */

void debug_slab_made(const struct kheap *heap, struct slab *s)
{
	struct slab_debug *d = slab_debug(heap, s);

	for (unsigned slot = 0; slot < s->cache->slots; slot++) {
		make_poison(s, slot);
		debug_set_held(d, slot, DEBUG_MOVING);
	}
}

void debug_slab_gone(struct kheap *heap, const struct slab *s, uintptr_t caller)
{
	struct misuse m = {.caller = caller};
	bool wrong = was_written_front(s, &m);

	for (unsigned slot = s->cache->first; !wrong && slot < s->cache->slots; slot++)
		wrong = was_written_free(s, slot, &m);
	if (wrong)
		debug_note(heap, &m);
}

/* The slot has a new owner. */
static void slot_begin(struct kheap *heap, void *object, size_t asked, uintptr_t caller)
{
	struct slab *s = slab_of(heap, object);
	unsigned slot = slab_slot_around(s, (uintptr_t)object);
	struct slab_debug *d = slab_debug(heap, s);
	struct misuse m = {.caller = caller};
	bool wrong;

	if (!d)
		return;
	wrong = was_written_free(s, slot, &m);
	m.allocated_by = 0; /* the record names the new owner already */
	d->asked[slot] = (uint16_t)asked;
	if (LOOKS)
		__builtin_memset(object, BYTE_FRESH, asked);
	if (LOOKS && has_zone(s->cache))
		__builtin_memset(bytes_of(object) + asked, BYTE_ZONE,
				 s->cache->object_bytes - asked);
	debug_set_held(d, slot, DEBUG_OWNED);
	if (wrong)
		port_misuse(&m);
}

void *debug_alloc(struct kmem_cache *cache, size_t bytes, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	struct kmem_cache *roomy;
	void *object;

	bytes += bytes == 0;
	roomy = cache_with_room(cache, bytes);
	if (!roomy)
		return large_alloc(heap, bytes, 0, caller);
	object = cache_alloc_plain(roomy, caller);
	if (!object && heap->debug->count) {
		debug_drain(heap);
		object = cache_alloc_plain(roomy, caller);
	}
	if (object)
		slot_begin(heap, object, bytes, caller);
	debug_tell(heap);
	return object;
}

size_t debug_size(const struct kheap *heap, const struct slab *s, unsigned slot)
{
	const struct slab_debug *d = slab_debug(heap, s);

	if (!d)
		return s->cache->object_bytes;
	return debug_held(d, slot) == DEBUG_OWNED ? d->asked[slot] : 0;
}

unsigned debug_object_end(const struct slab *s, unsigned slot, uint64_t asked, struct misuse m[2])
{
	unsigned wrong = was_underrun(s, slot, asked, &m[0]);

	wrong += was_overrun(s, slot, asked, &m[wrong]);
	if (wrong)
		mend_zones(s, slot);
	if (LOOKS)
		__builtin_memset(slab_object(s, slot), BYTE_FREED, poisoned_bytes(s->cache));
	return wrong;
}

bool debug_object_gone(const struct slab *s, unsigned slot, struct misuse *m)
{
	bool wrong = was_written_free(s, slot, m);

	if (wrong)
		make_poison(s, slot);
	return wrong;
}

/* ---- large objects ---- */

size_t debug_large_bytes(size_t bytes)
{
	return !LOOKS || bytes > LARGE_MAX - 2 * FOOTER ? bytes : bytes + 2 * FOOTER;
}

static uint64_t *footer_of(const void *object, uint64_t pages)
{
	return (uint64_t *)((uintptr_t)object + (pages << PAGE_SHIFT) - FOOTER);
}

/* The largest has no room for a redzone. */
static bool has_footer(uint64_t pages)
{
	return LOOKS && pages << PAGE_SHIFT < LARGE_MAX;
}

void debug_large_begin(void *object, size_t bytes, uint64_t pages)
{
	uint64_t *footer = footer_of(object, pages);

	if (!has_footer(pages))
		return;
	__builtin_memset(bytes_of(object) + bytes, BYTE_ZONE, (pages << PAGE_SHIFT) - bytes);
	footer[0] = bytes;
	footer[1] = ~(uint64_t)bytes;
}

size_t debug_large_size(const void *object, uint64_t pages)
{
	const uint64_t *footer = footer_of(object, pages);

	if (!pages || !has_footer(pages) || footer[0] != ~footer[1])
		return port_unpoisoned(object, pages << PAGE_SHIFT);
	return footer[0];
}

void debug_large_free(const struct kheap *heap, const void *object, uintptr_t caller)
{
	uint64_t pages = large_pages_locked(heap, object), asked, end, at;
	struct misuse m = {.when = MISUSE_FOUND, .allocator = "kmalloc", .caller = caller};

	if (!pages || !has_footer(pages))
		return;
	asked = debug_large_size(object, pages);
	end = (pages << PAGE_SHIFT) - FOOTER;
	at = asked < end ? first_other(object, asked, end, BYTE_ZONE) : end;
	if (asked < end && at == end)
		return;
	m.what = "write behind the end of an object";
	m.object = (uintptr_t)object;
	m.bytes = asked;
	m.address = m.object + at;
	m.allocated_by = page_caller(heap->pages, paddr_to_pfn(port_virt_to_phys(object)));
	port_misuse(&m);
}

/* ---- all at once ---- */

struct search {
	struct kheap *heap;
	struct misuse found;
	bool wrong;
};

static void look_at_slab(void *context, struct slab *s)
{
	struct search *search = context;
	struct slab_debug *d = slab_debug(search->heap, s);

	if (!d || search->wrong)
		return;
	search->wrong = was_written_front(s, &search->found);
	for (unsigned slot = s->cache->first; !search->wrong && slot < s->cache->slots; slot++) {
		bool is_live = slab_slot_state(s, slot) == SLOT_LIVE;
		enum debug_held held = debug_held(d, slot);

		if (is_live && held == DEBUG_OWNED)
			search->wrong = was_underrun(s, slot, d->asked[slot], &search->found) ||
					was_overrun(s, slot, d->asked[slot], &search->found);
		else if (!is_live || held == DEBUG_HELD)
			search->wrong = was_written_free(s, slot, &search->found);
	}
}

const char *debug_check(struct kheap *heap)
{
	struct search search = {.heap = heap, .found.caller = caller_address()};

	kheap_walk_slabs(heap, look_at_slab, &search);
	if (!search.wrong)
		return NULL;
	port_misuse(&search.found);
	return "kmalloc: memory beside an object or of a free one was written to";
}
