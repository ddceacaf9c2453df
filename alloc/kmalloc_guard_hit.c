/* SPDX-License-Identifier: MIT */
/*
 * Wrong uses of guarded objects: seen by a fault, by what is left around an object when it is
 * freed, or because it cannot be freed.
 *
 * A fault may come anywhere, also while this CPU holds heap->lock or a lock that ranks higher. So
 * kheap_guard_fault() takes none: it reads the slot as it is, and what it changes are page table
 * entries and atomic bits. At worst the report names the slot's next owner.
 */
#include "kmalloc_canary.h"
#include "kmalloc_guard.h"

static void describe(const struct guard *g, const struct guard_slot *s, struct misuse *m)
{
	m->object = s->object;
	m->bytes = s->bytes;
	m->cache = s->name;
	m->pfn = pfn_add(g->frames, (uint64_t)(s - g->slot));
	m->allocated_by = s->allocated_by;
	m->freed_by = s->freed_by;
}

/* Keep it for `kfence`; who reads while the ring goes round sees a mixture, and no harm is done. */
void guard_remember(struct guard *g, const struct misuse *m)
{
	uint64_t n = __atomic_fetch_add(&g->hits, 1, __ATOMIC_RELAXED);

	g->hit[n % KHEAP_GUARD_HITS] = *m;
}

bool kheap_guard_hit(struct kheap *heap, unsigned i, struct misuse *out)
{
	const struct guard *g = __atomic_load_n(&heap->guard, __ATOMIC_ACQUIRE);
	uint64_t hits = g ? __atomic_load_n(&g->hits, __ATOMIC_RELAXED) : 0;

	if (i >= hits || i >= KHEAP_GUARD_HITS)
		return false;
	*out = g->hit[(hits - 1 - i) % KHEAP_GUARD_HITS];
	return true;
}

/* ---- faults ---- */

/* A step beside a freed object is a use after its free all the same. */
static const char *fault_name(const struct guard_slot *s, uint64_t address, bool write)
{
	if (s->state == GUARD_FREED)
		return write ? "use after free: write" : "use after free: read";
	if (address < s->object)
		return write ? "write before the start of an object"
			     : "read before the start of an object";
	return write ? "write behind the end of an object" : "read behind the end of an object";
}

/* So that the culprit goes on: its object's own page, or one that stands for any guard page. */
static void open_page(struct guard *g, struct guard_slot *s, uint64_t page)
{
	uint64_t own = guard_slot_page(g, s);

	if (page == own) {
		port_guard_map(page, pfn_add(g->frames, (uint64_t)(s - g->slot)));
		return;
	}
	__atomic_fetch_or(&s->open, page < own ? GUARD_OPEN_BEFORE : GUARD_OPEN_BEHIND,
			  __ATOMIC_RELAXED);
	port_guard_map(page, pfn_add(g->frames, g->slots));
}

bool kheap_guard_fault(struct kheap *heap, uint64_t address, bool write, uintptr_t caller)
{
	struct guard *g = __atomic_load_n(&heap->guard, __ATOMIC_ACQUIRE);
	struct misuse m = {.allocator = "kmalloc", .address = address, .caller = caller};
	struct guard_slot *s;

	if (!g || !guard_owns(heap, (const void *)(uintptr_t)address))
		return false;
	if (port_guard_mapped(address)) /* meanwhile another CPU has made it so */
		return true;
	s = guard_slot_near(g, address);
	if (!s || __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == GUARD_UNUSED)
		return false;
	m.when = MISUSE_HAPPENED;
	m.what = fault_name(s, address, write);
	describe(g, s, &m);
	open_page(g, s, align_down(address, PAGE_BYTES));
	guard_remember(g, &m);
	port_misuse(&m);
	return true;
}

/* ---- frees ---- */

/* Has somebody written around the object? The byte next to it counts. */
static bool damaged(const struct guard *g, const struct guard_slot *s, struct misuse *m)
{
	uint64_t page = guard_slot_page(g, s), end = s->object + s->bytes;
	uint64_t before = canary_last_change(page, s->object);
	uint64_t behind = canary_first_change(end, page + PAGE_BYTES);

	if (behind < page + PAGE_BYTES) {
		m->what = "write behind the end of an object";
		m->address = behind;
		return true;
	}
	if (before != page - 1) {
		m->what = "write before the start of an object";
		m->address = before;
		return true;
	}
	return false;
}

const char *guard_diagnose(const struct kheap_about *about, struct misuse *m)
{
	if (!about->object)
		return "free of a foreign pointer";
	m->object = about->object;
	m->bytes = about->object_bytes;
	m->cache = about->cache;
	m->pfn = about->frame;
	m->allocated_by = about->allocated_by;
	m->freed_by = about->freed_by;
	if (m->address != m->object)
		return m->address - m->object < m->bytes ? "free of an interior pointer"
							 : "free of a pointer beside an object";
	return about->where == KHEAP_FREE_OBJECT ? "double free" : "free to the wrong cache";
}

void guard_free(struct kheap *heap, void *object, const struct kmem_cache *cache, uintptr_t caller)
{
	struct misuse m = {.when = MISUSE_FOUND, .allocator = "kmalloc", .caller = caller};
	port_irq_t irq = spin_lock(&heap->lock);
	struct guard *g = heap->guard;
	struct guard_slot *s = guard_slot_of(g, (uintptr_t)object);
	bool was_damaged;

	if (!s || s->state != GUARD_LIVE || s->object != (uintptr_t)object ||
	    (cache && s->cache != cache)) {
		kheap_refuse(heap, object, cache, caller, irq);
		return;
	}
	was_damaged = damaged(g, s, &m);
	if (was_damaged) {
		describe(g, s, &m);
		guard_remember(g, &m);
	}
	guard_end_locked(g, s, caller);
	spin_unlock(&heap->lock, irq);
	if (was_damaged)
		port_misuse(&m);
}
