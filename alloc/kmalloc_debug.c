/* SPDX-License-Identifier: MIT */
/*
 * Redzones, poison and quarantine: wrong uses that the states of slots cannot show.
 *
 *                 asked for
 *   slot  │ object            │ redzone      │ 8 bytes │    live: what lies behind the object is checked
 *         │ poison                           │ of zone │    free: nobody may write
 *         ▲                                       ▲
 *         the slot's start, as always:            always the same: the end of this slot's
 *         alignment is kept                       redzone and the one before the next
 *
 * So an object has a redzone behind it, and the slot before its own has one in front of it (but
 * for the first of a slab). Room for it comes from a larger class: the smallest that also keeps the
 * alignment promised for the size. A freed object waits in quarantine: its slot stays LIVE in the
 * slab, HELD in the record, until QUARANTINE_LONG others were freed. So a second free, or a
 * write after the first, is seen before the slot has a new owner.
 *
 * Everything comes here, since the magazines are closed (quire/alloc_watch.h).
 *
 * Lock: heap->lock for the ring, and for taking a slot from its owner. Redzones and poison are
 * written by who moves the slot: allocating, freeing, or taking it out of the ring; the validator
 * passes such by.
 */
#include "kmalloc_debug.h"

#include "kmalloc_guard.h"
#include "kmalloc_walk.h"
#include <quire/errno.h>

#define BYTE_ZONE  0xcc
#define BYTE_FREED 0x6b
#define BYTE_FRESH 0xa5
#define FOOTER     16u /* at the end of a large object's pages: asked, ~asked */
#define LARGE_MAX  ((uint64_t)1 << (PAGE_ORDER_MAX + PAGE_SHIFT))

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

int kheap_debug_init(struct kheap *heap)
{
	pfn_t page = page_alloc_for(heap->pages, 0, PAGE_ZEROED, caller_address());

	_Static_assert(sizeof(struct kheap_debug) <= PAGE_BYTES, "one page");
	if (pfn_is_none(page))
		return -ENOMEM;
	heap->cpu_pages++;
	heap->debug = port_phys_to_virt(pfn_to_paddr(page));
	kheap_watch(heap, WATCH_DEBUG | WATCH_TRACK, 0);
	return 0;
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

	if (!heap->debug || with_zone > KMALLOC_SMALL_MAX)
		return object_bytes;
	return with_zone > object_bytes ? (uint32_t)with_zone : object_bytes;
}

/* Where `bytes` and a zone fit and the alignment stays; NULL: in no class. */
static struct kmem_cache *cache_with_room(struct kmem_cache *cache, size_t bytes)
{
	struct kheap *heap = cache->heap;
	uint64_t wanted = align_up(bytes + DEBUG_ZONE, kmalloc_alignment(cache, bytes));

	if (cache->kind != KMEM_CLASS)
		return cache;
	if (wanted > KMALLOC_SMALL_MAX)
		return NULL;
	return &heap->classes[kmalloc_class(wanted)];
}

/* ---- what is wrong with a slot ---- */

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

/* Poison all over? */
static bool was_written_free(const struct slab *s, unsigned slot, struct misuse *m)
{
	const void *object = slab_object(s, slot);
	uint64_t end = poisoned_bytes(s->cache), at = first_other(object, 0, end, BYTE_FREED);

	if (at == end)
		return false;
	describe(s, slot, s->cache->object_bytes, m);
	m->what = "write after free";
	m->address = m->object + at;
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
	uint64_t at = first_other(slab_object(s, slot), asked, end, BYTE_ZONE);

	if (!has_zone(s->cache) || at == end)
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

	if (slot == 0 || !has_zone(s->cache))
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
	if (slot)
		__builtin_memset(object - DEBUG_ZONE, BYTE_ZONE, DEBUG_ZONE);
}

/* ---- a slot's life ---- */

void debug_slab_made(const struct kheap *heap, struct slab *s)
{
	struct slab_debug *d = slab_debug(heap, s);

	for (unsigned slot = 0; slot < s->cache->slots; slot++) {
		uint8_t *object = slab_object(s, slot);

		__builtin_memset(object, BYTE_FREED, poisoned_bytes(s->cache));
		if (has_zone(s->cache))
			__builtin_memset(object + poisoned_bytes(s->cache), BYTE_ZONE, DEBUG_ZONE);
		debug_set_held(d, slot, DEBUG_MOVING);
	}
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
	__builtin_memset(object, BYTE_FRESH, asked);
	if (has_zone(s->cache))
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
	return object;
}

size_t debug_size(const struct kheap *heap, const struct slab *s, unsigned slot)
{
	const struct slab_debug *d = slab_debug(heap, s);

	if (!d)
		return s->cache->object_bytes;
	return debug_held(d, slot) == DEBUG_OWNED ? d->asked[slot] : 0;
}

/* ---- quarantine ---- */

/* Out of quarantine, for good: as if it were freed now. */
static void let_go(struct kheap *heap, void *object, uintptr_t caller)
{
	struct slab *s = slab_of(heap, object);
	unsigned slot = slab_slot_around(s, (uintptr_t)object);
	uintptr_t freed_by = track_address(s->track->freed_by[slot]);
	struct misuse m = {.caller = caller};
	bool wrong = was_written_free(s, slot, &m);

	debug_set_held(slab_debug(heap, s), slot, DEBUG_MOVING);
	if (wrong)
		__builtin_memset(object, BYTE_FREED, poisoned_bytes(s->cache));
	kheap_free_plain(heap, object, freed_by);
	if (wrong)
		port_misuse(&m);
}

static void *quarantine_pop_locked(struct kheap_debug *d)
{
	void *oldest;

	if (!d->count)
		return NULL;
	oldest = (void *)d->held[d->first];
	d->first = (d->first + 1) % QUARANTINE_LONG;
	d->count--;
	return oldest;
}

/* Returns the one that has to leave, or NULL. */
static void *quarantine_push_locked(struct kheap_debug *d, void *object)
{
	void *oldest = d->count == QUARANTINE_LONG ? quarantine_pop_locked(d) : NULL;

	d->held[(d->first + d->count++) % QUARANTINE_LONG] = (uintptr_t)object;
	return oldest;
}

void debug_drain(struct kheap *heap)
{
	uintptr_t caller = caller_address();

	for (;;) {
		port_irq_t irq = spin_lock(&heap->lock);
		void *oldest = quarantine_pop_locked(heap->debug);

		spin_unlock(&heap->lock, irq);
		if (!oldest)
			return;
		let_go(heap, oldest, caller);
	}
}

/* Its caller has freed it: it is MOVING, so nobody else can. */
static void slot_end(struct kheap *heap, struct slab *s, unsigned slot, uintptr_t caller)
{
	struct slab_debug *d = slab_debug(heap, s);
	uint64_t asked = d->asked[slot];
	void *object = slab_object(s, slot), *oldest;
	struct misuse before = {.caller = caller}, behind = {.caller = caller};
	bool underrun = was_underrun(s, slot, asked, &before);
	bool overrun = was_overrun(s, slot, asked, &behind);
	port_irq_t irq;

	if (underrun || overrun)
		mend_zones(s, slot);
	s->track->freed_by[slot] = (uint32_t)caller;
	__builtin_memset(object, BYTE_FREED, poisoned_bytes(s->cache));
	irq = spin_lock(&heap->lock);
	debug_set_held(d, slot, DEBUG_HELD);
	oldest = quarantine_push_locked(heap->debug, object);
	spin_unlock(&heap->lock, irq);
	if (underrun)
		port_misuse(&before);
	if (overrun)
		port_misuse(&behind);
	if (oldest)
		let_go(heap, oldest, caller);
}

bool debug_free(struct kheap *heap, void *object, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&heap->lock);
	struct slab *s = slab_of(heap, object);
	unsigned slot = slab_is_ours(heap, s) ? slab_live_slot(s, (uintptr_t)object) : SLAB_NO_SLOT;
	struct slab_debug *d = slot == SLAB_NO_SLOT ? NULL : slab_debug(heap, s);

	if (!d) {
		spin_unlock(&heap->lock, irq);
		return false;
	}
	if (debug_held(d, slot) != DEBUG_OWNED) {
		kheap_refuse(heap, object, NULL, caller, irq);
		return true;
	}
	debug_set_held(d, slot, DEBUG_MOVING);
	spin_unlock(&heap->lock, irq);
	slot_end(heap, s, slot, caller);
	return true;
}

/* ---- large objects ---- */

size_t debug_large_bytes(size_t bytes)
{
	return bytes > LARGE_MAX - 2 * FOOTER ? bytes : bytes + 2 * FOOTER;
}

static uint64_t *footer_of(const void *object, uint64_t pages)
{
	return (uint64_t *)((uintptr_t)object + (pages << PAGE_SHIFT) - FOOTER);
}

/* The largest has no room for a redzone. */
static bool has_footer(uint64_t pages)
{
	return pages << PAGE_SHIFT < LARGE_MAX;
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
		return pages << PAGE_SHIFT;
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

	for (unsigned slot = 0; d && !search->wrong && slot < s->cache->slots; slot++) {
		bool is_live = slab_slot_state(s, slot) == SLOT_LIVE;
		enum debug_held held = debug_held(d, slot);

		if (is_live && held == DEBUG_OWNED)
			search->wrong = was_overrun(s, slot, d->asked[slot], &search->found);
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
