/* SPDX-License-Identifier: MIT */
/*
 * Arenas: the slabs of one cache in the hands of one CPU. A CPU fills its magazines from its own
 * arena, and what it frees of others goes home to theirs, many at a time; so CPUs meet
 * neither at a lock nor in the words of states of one slab.
 *
 *   CPU 0: magazine ◄─► arena ──── slabs         magazine ◄─► arena :CPU 1
 *                         │  ▲                     │           │ ▲
 *                   leave │  │ adopt               │ home      │ │
 *                         ▼  │                     ▼           ▼ │
 *                     common arena             arena of CPU 0  common arena
 *
 * The common arena of a cache serves CPUs without magazines, and holds what CPUs leave when they
 * are drained (idle, or about to fail): whoever runs out of slabs adopts from there
 * before asking for pages. A request that would fail takes from everybody.
 *
 * Invariant, for every arena, between operations:
 *
 *   current = NULL  or  current->free > 0
 *   0 < s->free < objects   for s in partial
 *   s->free = 0             for s in full
 *   s->free = objects       for s in empty
 *   current = NULL  =>  partial and empty are empty
 *   partial[i] not empty  =>  bit i of filled
 *   s->owner = the arena's, for each of them
 * and
 *   cache->slabs = sum over its arenas of |{current}| + |partial| + |full| + |empty|
 *   heap->empty_pages = pages of all slabs in empty lists, about 1/64 of memory at most
 *
 * Empty slabs are kept for the next burst, in all not more than a small share of memory;
 * over that they go back at once, and all of them when the heap is trimmed.
 *
 * `partial` is a stack: the slab that was full most recently is the next
 * `current`. It has the fewest free objects, or nearly; so the fuller slabs fill
 * up again, and the emptier ones are left alone to empty. (As a queue the same
 * list held 8 to 12 % more memory in the churn of tests/bench.)
 *
 * Lock: the arena's; both, the CPU's first, where a slab changes hands.
 */
#include "kmalloc_internal.h"

#include <quire/assert.h>

static struct slab *slab_at(struct list *node)
{
	return node ? list_entry(node, struct slab, link) : NULL;
}

static unsigned arena_rank(const struct kmem_cache *cache, uint32_t owner)
{
	if (owner != ARENA_COMMON)
		return LOCK_RANK_ARENA;
	return cache_is_of_headers(cache) ? LOCK_RANK_HEADERS : LOCK_RANK_ARENA_COMMON;
}

void arena_init(struct arena *a, struct kmem_cache *cache, uint32_t owner)
{
	*a = (struct arena){
		.lock = SPINLOCK_INIT(arena_rank(cache, owner)),
		.cache = cache,
		.owner = owner,
	};
	for (unsigned i = 0; i < KMEM_FULLNESS; i++)
		list_init(&a->partial[i]);
	list_init(&a->full);
	list_init(&a->empty);
}

/* ---- which slab ---- */

static void keep_empty_locked(struct arena *a, struct slab *s)
{
	list_push_front(&a->empty, &s->link);
	__atomic_fetch_add(&a->cache->heap->empty_pages, slab_pages(a->cache), __ATOMIC_RELAXED);
}

static struct slab *take_empty_locked(struct arena *a)
{
	struct slab *s = slab_at(list_first(&a->empty));

	if (!s)
		return NULL;
	list_remove(&s->link);
	__atomic_fetch_sub(&a->cache->heap->empty_pages, slab_pages(a->cache), __ATOMIC_RELAXED);
	return s;
}

static bool may_keep_empty(const struct kmem_cache *cache)
{
	const struct kheap *heap = cache->heap;

	return __atomic_load_n(&heap->empty_pages, __ATOMIC_RELAXED) + slab_pages(cache) <=
	       __atomic_load_n(&heap->empty_most, __ATOMIC_RELAXED);
}

static void keep_partial_locked(struct arena *a, struct slab *s)
{
	unsigned list = slab_fullness(a->cache, s->free);

	a->filled |= 1u << list;
	list_push_front(&a->partial[list], &s->link);
}

/* The fullest. */
static struct slab *take_partial_locked(struct arena *a)
{
	for (; a->filled; a->filled &= a->filled - 1) {
		unsigned list = (unsigned)__builtin_ctz(a->filled);
		struct slab *s = slab_at(list_first(&a->partial[list]));

		if (!s)
			continue;
		list_remove(&s->link);
		return s;
	}
	return NULL;
}

static void choose_current_locked(struct arena *a)
{
	a->current = take_partial_locked(a);
	if (a->current)
		slab_quicken(a->current);
	else
		a->current = take_empty_locked(a);
}

void arena_current_full_locked(struct arena *a)
{
	list_push_front(&a->full, &a->current->link);
	choose_current_locked(a);
}

/* A slab in no list that has free objects. */
static void enlist_locked(struct arena *a, struct slab *s)
{
	if (!a->current)
		a->current = s;
	else if (s->free == a->cache->objects)
		keep_empty_locked(a, s);
	else
		keep_partial_locked(a, s);
}

void arena_refilled_locked(struct arena *a, struct slab *s, uint32_t was, uintptr_t caller)
{
	const struct kmem_cache *cache = a->cache;
	bool is_empty = s->free == cache->objects, is_wanted = true;

	if (s == a->current)
		return;
	if (!was && is_empty && a->current && slab_is_quick(s) && may_keep_empty(cache)) {
		list_remove(&s->link); /* nearly all, where slabs have few objects */
		keep_empty_locked(a, s);
		return;
	}
	if (was && !is_empty && slab_fullness(cache, was) == slab_fullness(cache, s->free))
		return;
	list_remove(&s->link);
	if (!slab_is_quick(s) && slab_may_be_quick(s) && (is_empty || !a->current)) {
		slab_quicken(s);
		is_wanted = !is_empty;
	}
	if (is_empty && a->current && (!is_wanted || !may_keep_empty(cache)))
		slab_destroy(s, caller);
	else
		enlist_locked(a, s);
}

/*
 * Magazines hand out what was freed last, whichever slab it is of; so a slab that is
 * nearly empty need never become so. Therefore such slabs are picked, and what is freed of
 * them goes straight back to them: kmalloc_fast.h does not serve them.
 */
void arena_choose_draining_locked(struct arena *a)
{
	for (unsigned i = KMEM_FULLNESS; i > 1; i--) {
		list_for_each (node, &a->partial[i - 1]) {
			struct slab *s = slab_at(node);

			if (!slab_is_quick(s))
				break; /* those behind it were picked before it */
			slab_slow_down(s);
		}
	}
}

/* ---- from hand to hand ---- */

static void slab_change_hands_locked(struct slab *s, const struct arena *to)
{
	__atomic_store_n(&s->owner, (uint16_t)to->owner, __ATOMIC_RELAXED);
}

static struct slab *adopt_locked(struct arena *a)
{
	struct arena *common = &a->cache->common;
	struct slab *s;

	if (a == common)
		return NULL;
	arena_lock(common);
	s = common->current;
	if (s) {
		choose_current_locked(common);
		slab_change_hands_locked(s, a);
		slab_quicken(s);
	}
	arena_unlock(common);
	return s;
}

void arena_leave(struct arena *a)
{
	struct arena *common = &a->cache->common;
	struct slab *s;

	arena_lock(a);
	arena_lock(common);
	while ((s = a->current) != NULL) {
		choose_current_locked(a);
		slab_change_hands_locked(s, common);
		enlist_locked(common, s);
	}
	arena_unlock(common);
	arena_unlock(a);
}

struct slab *arena_grow_locked(struct arena *a, uintptr_t caller)
{
	assert(!a->current);
	a->current = adopt_locked(a);
	if (!a->current)
		a->current = slab_create(a, caller);
	return a->current;
}

/* ---- caches with a common arena only: the allocator's own books ---- */

void *cache_take(struct kmem_cache *cache, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&cache->common.lock);
	void *object = arena_take_locked(&cache->common, caller);

	spin_unlock(&cache->common.lock, irq);
	return object;
}

void cache_put(struct kheap *heap, const void *object, uintptr_t caller)
{
	struct slab *home = slab_of(heap, object);
	struct arena *a = &home->cache->common;
	port_irq_t irq = spin_lock(&a->lock);

	slab_put_locked(a, home, slab_slot_around(home, (uintptr_t)object), caller);
	spin_unlock(&a->lock, irq);
}

/* ---- giving back ---- */

void arena_trim_locked(struct arena *a, uintptr_t caller)
{
	struct slab *s;

	while ((s = take_empty_locked(a)) != NULL)
		slab_destroy(s, caller);
	s = a->current;
	if (!s || s->free < a->cache->objects)
		return;
	choose_current_locked(a);
	slab_destroy(s, caller);
}

void cache_trim_locked(struct kmem_cache *cache, uintptr_t caller)
{
	struct arena *a;

	for (unsigned i = 0; (a = arena_at(cache, i)) != NULL; i++) {
		arena_lock(a);
		arena_trim_locked(a, caller);
		arena_unlock(a);
	}
}

static uint64_t pages_held(const struct kheap *heap)
{
	return __atomic_load_n(&heap->slab_pages_held, __ATOMIC_RELAXED) +
	       __atomic_load_n(&heap->track_pages_held, __ATOMIC_RELAXED);
}

uint64_t kheap_trim_locked(struct kheap *heap, uintptr_t caller)
{
	uint64_t before = pages_held(heap), after;

	magazine_drain_cpu_locked(heap, heap->online[port_cpu()], caller);
	list_for_each (node, &heap->caches) {
		struct kmem_cache *cache = list_entry(node, struct kmem_cache, link);

		if (!cache_is_of_headers(cache))
			cache_trim_locked(cache, caller);
	}
	for (unsigned i = 0; i < KHEAP_HEADERS; i++) /* last: the others just returned theirs */
		cache_trim_locked(&heap->headers[i], caller);
	after = pages_held(heap);
	return after < before ? before - after : 0; /* others allocate meanwhile */
}
