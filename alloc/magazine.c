/* SPDX-License-Identifier: MIT */
/*
 * Magazines: free objects in the hands of one CPU, a stack a cache. This file
 * moves objects between them and the slabs, many at a time.
 *
 *            fill: to 5/8                 pop: kmalloc
 *   slabs ────────────────► ┌──────────┐ ──────────────►  callers
 *         ◄──────────────── └──────────┘ ◄──────────────
 *            shed: to 3/8                 push: kfree
 *
 * In a burst of allocations, or of frees, the magazine's room grows from some KiB worth of
 * objects to the most it can hold; the first turn makes it small again.
 *
 * Three eighths of a magazine lie between each limit and its end, so no pattern of calls comes
 * here more often than once in that many. What was put in first is shed first.
 *
 * Invariant, for every cache:
 *
 *   slots that are CACHED = sum over CPUs of the objects in its magazines
 *   allocs = cache->allocs + sum of pops,  frees = cache->frees + sum of pushes,
 *   where pushes + pops = operations, pushes - pops = (top - counted) / 2
 *
 * A CPU gets a magazine when it first comes here for the cache, and loses it
 * when it is drained. It is a help, not a need: without the memory for one, objects
 * go between callers and slabs one by one. The same while anything watches (kmalloc_watch.c).
 *
 * Lock: only its CPU uses a magazine, with interrupts off; or who holds heap->lock with the
 * CPU closed. What changes `counted` or the pointer to the magazine also holds the lock of its
 * arena, so that others can count.
 */
#include "kmalloc_internal.h"

#include <quire/errno.h>

#define FILL_SLABS   2  /* so many slabs a fill takes from, */
#define BURST_SLABS  16 /* and in a burst */
#define BURST_STREAK 4  /* after so many fills, or sheds, in a row the next is part of a burst: */
#define BURST_PURE   8 /* if of the calls in between no more than one in so many was the other way */
#define FILL_TO      5 /* eighths of the room */
#define SHED_TO      3

struct magazine magazine_none;

/* ---- counts ---- */

struct magazine_counts magazine_counts(const struct magazine *m)
{
	uint64_t word = __atomic_load_n(&m->word, __ATOMIC_RELAXED);
	uint64_t top = word & 0xffff, operations = word >> 16;
	uint64_t more = (top - m->counted) / 2;

	if (top < m->counted)
		more = 0 - (m->counted - top) / 2;
	return (struct magazine_counts){
		.objects = top / 2,
		.frees = (operations + more) / 2,
		.allocs = (operations - more) / 2,
	};
}

struct magazine_counts cache_counts_locked(struct kmem_cache *cache)
{
	struct magazine_counts sum = {0};
	struct arena *a;

	for (unsigned i = 0; (a = arena_at(cache, i)) != NULL; i++) {
		struct magazine_counts c = {0};

		if (i && a == &cache->common)
			continue;
		arena_lock(a);
		if (i)
			c = magazine_counts(cache->heap->online[i - 1]->magazines[cache->magazine]);
		sum.objects += c.objects;
		sum.frees += c.frees + a->frees;
		sum.allocs += c.allocs + a->allocs;
		arena_unlock(a);
	}
	return sum;
}

/* `top` is about to change without an operation: hand the counts to the arena first. */
static struct magazine_counts magazine_count_locked(struct magazine *m)
{
	struct magazine_counts c = magazine_counts(m);

	m->arena->frees += c.frees;
	m->arena->allocs += c.allocs;
	m->counted = (uint16_t)(2 * c.objects);
	__atomic_store_n(&m->word, 2 * c.objects, __ATOMIC_RELAXED);
	return c;
}

static void magazine_set_top_locked(struct magazine *m, unsigned top)
{
	m->counted = (uint16_t)top;
	__atomic_store_n(&m->word, (uint64_t)top, __ATOMIC_RELAXED);
}

/* ---- to and from the slabs ---- */

/* Eight free slots in a row: their states are one word, and all of them are ours to change. */
static inline uintptr_t *slab_take_word_locked(struct slab *s, unsigned word, uintptr_t *to)
{
	uint64_t bytes = s->cache->object_bytes, object = s->base + word * 8 * bytes;
	uintptr_t state = (uintptr_t)&s->states[word];

	__atomic_store_n(&s->states[word], SLOT_CACHED * SLOT_EACH, __ATOMIC_RELAXED);
#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++, object += bytes) {
		to[2 * i] = object;
		to[2 * i + 1] = state + i;
	}
	return to + 16;
}

/*
 * Free slots of the slab into the magazine, while it is not as full as `want`; `whole` leaves the
 * rest of a word for the next time. Returns its top.
 */
static unsigned slab_take_many_locked(struct slab *s, struct magazine *m, unsigned top,
				      unsigned want, bool whole)
{
	uint64_t bytes = s->cache->object_bytes;
	unsigned words = slab_words(s->cache), word = s->word;
	uintptr_t *to = &m->slots[top], *end = &m->slots[want];

	for (; word < words && to < end; word++) {
		uint64_t bits = slab_free_bits(s, word);

		if (bits == SLOT_FREE_ALL && end - to >= 16) {
			to = slab_take_word_locked(s, word, to);
			continue;
		}
		if (whole && end - to < 16)
			break;
		for (; bits && to < end; bits &= bits - 1, to += 2) {
			unsigned slot = word * 8 + (unsigned)__builtin_ctzll(bits) / 8;
			uint8_t *state = slab_state(s, slot);

			slot_set(state, SLOT_CACHED);
			to[0] = s->base + slot * bytes;
			to[1] = (uintptr_t)state;
		}
		if (bits)
			break;
	}
	s->word = (uint16_t)word;
	s->free -= (unsigned)(to - &m->slots[top]) / 2;
	return (unsigned)(to - m->slots);
}

/* Are the states of eight objects those of eight slots in a row, upwards (1) or downwards (-1)? */
static inline bool states_in_row(const uintptr_t *slots, int way)
{
	uintptr_t first = slots[1], wrong = slots[15] ^ (first + (uintptr_t)(7 * way));

	if (wrong)
		return false;
#pragma GCC unroll 6
	for (int i = 1; i < 7; i++)
		wrong |= slots[2 * i + 1] ^ (first + (uintptr_t)(i * way));
	return !wrong;
}

/*
 * Objects that lie at `slots` become FREE: eight at once where neighbours were freed one after
 * the other, else one. Returns how many. Eight states need not be a word, but are ours.
 */
static inline unsigned states_put(const uintptr_t *slots, unsigned count)
{
	uint64_t *eight = NULL;

	if (count >= 16 && states_in_row(slots, 1))
		eight = (uint64_t *)slots[1];
	else if (count >= 16 && states_in_row(slots, -1))
		eight = (uint64_t *)slots[15];
	if (!eight) {
		slot_set((uint8_t *)slots[1], SLOT_FREE);
		return 1;
	}
	__builtin_memcpy(eight, &(uint64_t){SLOT_FREE_ALL}, sizeof *eight);
	return 8;
}

/* The objects at `slots` of the arena's slabs go back, neighbours together; others move to the
 * front. Returns how many slots those take (two an object). */
static unsigned arena_put_many_locked(struct arena *a, uintptr_t *slots, unsigned count,
				      uintptr_t caller)
{
	const struct kheap *heap = a->cache->heap;
	unsigned left = 0;

	for (unsigned i = 0; i < count;) {
		struct slab *s = slab_of(heap, (void *)slots[i]);
		uintptr_t first = (uintptr_t)s->states, span = a->cache->slots;
		unsigned was, put = 0;

		if (unlikely(slab_arena(s) != a)) {
			slots[left++] = slots[i++];
			slots[left++] = slots[i++];
			continue;
		}
		was = s->free;
		for (unsigned done; i < count && slots[i + 1] - first < span; i += 2 * done) {
			done = states_put(&slots[i], count - i);
			put += done;
		}
		s->word = 0;
		s->free = (uint16_t)(was + put);
		arena_refilled_locked(a, s, was, caller);
	}
	return left;
}

/* Objects of other arenas: one lock for all of one. */
static void objects_send_home(const struct kheap *heap, uintptr_t *slots, unsigned count,
			      uintptr_t caller)
{
	while (count) {
		struct arena *a = slab_lock(slab_of(heap, (void *)slots[0]));

		count = arena_put_many_locked(a, slots, count, caller);
		arena_unlock(a);
	}
}

/* Shed what lies lowest, down to `keep`. Drops the arena's lock for a while if others own some. */
static void magazine_shed_locked(struct magazine *m, unsigned keep, uintptr_t caller)
{
	struct arena *a = m->arena;
	unsigned gone, others;

	if (m->top <= keep)
		return;
	gone = m->top - keep;
	others = arena_put_many_locked(a, m->slots, gone, caller);
	if (others) {
		arena_unlock(a);
		objects_send_home(a->cache->heap, m->slots, others, caller);
		arena_lock(a);
	}
	for (unsigned i = 0; i < keep; i++)
		m->slots[i] = m->slots[gone + i];
	magazine_set_top_locked(m, keep);
}

/* ---- magazines come and go ---- */

struct magazine *magazine_there(const struct kmem_cache *cache)
{
	struct magazine *m;

	if (cache->magazine >= KHEAP_MAGAZINES)
		return NULL;
	m = cache->heap->cpu[port_cpu()]->magazines[cache->magazine];
	return m == &magazine_none ? NULL : m;
}

struct magazine *magazine_own(struct kmem_cache *cache, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	struct kheap_cpu *cpu = heap->cpu[port_cpu()];
	struct magazine **place, *m;

	if (cache->magazine >= KHEAP_MAGAZINES || cpu == &heap->nobody)
		return NULL;
	place = &cpu->magazines[cache->magazine];
	if (likely(*place != &magazine_none))
		return *place;
	m = cache_take(&heap->magazines, caller);
	if (!m)
		return NULL;
	*m = (struct magazine){
		.room = (uint16_t)(2 * cache->room),
		.arena = &cpu->arenas[cache->magazine],
	};
	arena_lock(m->arena);
	*place = m;
	arena_unlock(m->arena);
	return m;
}

static void magazine_drop(struct magazine **place, uintptr_t caller)
{
	struct magazine *m = *place;
	struct arena *a = m->arena;

	if (m == &magazine_none)
		return;
	arena_lock(a);
	(void)magazine_count_locked(m);
	magazine_shed_locked(m, 0, caller);
	*place = &magazine_none;
	arena_unlock(a);
	cache_put(a->cache->heap, m, caller);
}

/* One fill more (way 1), or one shed (-1), after so many calls with it and against it. */
static bool magazine_in_burst(struct magazine *m, int way, uint64_t with, uint64_t against)
{
	bool on = m->streak * way >= 0 && against * BURST_PURE <= with;

	m->streak = on ? m->streak + way : 0;
	return m->streak * way > BURST_STREAK;
}

void magazine_fill_locked(struct magazine *m)
{
	struct arena *a = m->arena;
	unsigned top, want, room = 2u * a->cache->room, slabs = FILL_SLABS;
	struct magazine_counts c = magazine_count_locked(m);
	bool burst = magazine_in_burst(m, 1, c.allocs, c.frees);
	struct slab *s;

	if (burst) {
		room = 2 * MAGAZINE_LONG;
		slabs = BURST_SLABS;
	}
	m->room = (uint16_t)room;
	want = burst ? room : room / 8 * FILL_TO;
	for (top = m->top; slabs && top < want && (s = a->current) && !s->track; slabs--) {
		top = slab_take_many_locked(s, m, top, want, burst && top);
		if (s->free)
			break;
		arena_current_full_locked(a);
	}
	magazine_set_top_locked(m, top);
	arena_choose_draining_locked(a);
}

void *magazine_refill_locked(struct magazine *m, uintptr_t caller)
{
	struct arena *a = m->arena;
	unsigned top;

	if (unlikely(!a->current) && !arena_grow_locked(a, caller))
		return NULL;
	magazine_fill_locked(m);
	top = m->top;
	if (unlikely(!top)) /* a tracked slab */
		return arena_take_locked(a, caller);
	slot_set((uint8_t *)m->slots[top - 1], SLOT_LIVE);
	__atomic_store_n(&m->word, m->word + MAGAZINE_OPERATION - 2, __ATOMIC_RELAXED);
	return (void *)m->slots[top - 2];
}

void magazine_make_room(struct magazine *m, uintptr_t caller)
{
	struct arena *a = m->arena;
	unsigned room = 2u * a->cache->room, keep = room / 8 * SHED_TO;
	struct magazine_counts c;

	arena_lock(a);
	c = magazine_count_locked(m);
	if (magazine_in_burst(m, -1, c.frees, c.allocs)) {
		room = 2 * MAGAZINE_LONG;
		keep = m->top % 16u; /* eights go in one step */
	}
	m->room = (uint16_t)room;
	magazine_shed_locked(m, keep & ~1u, caller);
	arena_unlock(a);
}

bool magazine_push_slow(struct magazine *m, struct slab *s, unsigned slot)
{
	uint8_t *state = slab_state(s, slot);
	unsigned top = m->top;

	if (slot_state(state) != SLOT_LIVE)
		return false;
	slot_set(state, SLOT_CACHED);
	m->slots[top] = (uintptr_t)slab_object(s, slot);
	m->slots[top + 1] = (uintptr_t)state;
	__atomic_store_n(&m->word, m->word + MAGAZINE_OPERATION + 2, __ATOMIC_RELAXED);
	return true;
}

void magazine_drain_cpu_locked(struct kheap *heap, struct kheap_cpu *cpu, uintptr_t caller)
{
	for (unsigned i = 0; cpu != &heap->nobody && i < KHEAP_MAGAZINES; i++) {
		magazine_drop(&cpu->magazines[i], caller);
		if (cpu->arenas[i].cache)
			arena_leave(&cpu->arenas[i]);
	}
}

void magazine_drain_cache_locked(struct kmem_cache *cache, uintptr_t caller)
{
	struct kheap *heap = cache->heap;

	for (unsigned cpu = 0; cache->magazine < KHEAP_MAGAZINES && cpu < heap->cpus; cpu++)
		if (heap->online[cpu] != &heap->nobody)
			magazine_drop(&heap->online[cpu]->magazines[cache->magazine], caller);
}

/* ---- CPUs ---- */

void kheap_cpu_init(struct kheap *heap, unsigned cpu, struct kheap_cpu *c, struct arena *arenas)
{
	for (unsigned i = 0; i <= KHEAP_MAGAZINES; i++)
		c->magazines[i] = &magazine_none;
	c->arenas = arenas;
	list_for_each (node, &heap->caches) {
		struct kmem_cache *cache = list_entry(node, struct kmem_cache, link);

		if (cache->magazine < KHEAP_MAGAZINES)
			arena_init(&arenas[cache->magazine], cache, cpu);
	}
}

/* What a CPU gets, in one run of pages. */
struct cpu_memory {
	struct kheap_cpu cpu;
	struct arena arenas[KHEAP_MAGAZINES];
};

int kheap_cpu_online(struct kheap *heap, unsigned cpu)
{
	uint64_t pages = bytes_to_pages(sizeof(struct cpu_memory));
	struct cpu_memory *memory;
	port_irq_t irq;
	pfn_t head;

	if (cpu >= PORT_CPUS_MAX || heap->online[cpu] != &heap->nobody)
		return -EINVAL;
	head = page_alloc_run_for(heap->pages, pages, PAGE_ZEROED, caller_address());
	if (pfn_is_none(head))
		return -ENOMEM;
	memory = port_phys_to_virt(pfn_to_paddr(head));
	irq = spin_lock(&heap->lock);
	kheap_cpu_init(heap, cpu, &memory->cpu, memory->arenas);
	heap->online[cpu] = &memory->cpu;
	kheap_cpu_publish(heap, cpu);
	heap->cpu_pages += pages;
	if (heap->cpus <= cpu)
		heap->cpus = cpu + 1;
	spin_unlock(&heap->lock, irq);
	return 0;
}

void kheap_cpu_drain(struct kheap *heap, unsigned cpu)
{
	port_irq_t irq = spin_lock(&heap->lock);

	magazine_drain_cpu_locked(heap, heap->online[cpu], caller_address());
	spin_unlock(&heap->lock, irq);
}
