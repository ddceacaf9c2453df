/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: from a request to a size class, and from an address back to its slab.
 *
 *   bytes ──► class_of[] ──► this CPU's magazine ──► object        (kmalloc_fast.h)
 *                 └────────► its arena's current slab ──► first FREE slot ──► object
 *   object ──► page descriptor ──► slab header ──► slot ──► this CPU's magazine
 *
 * Invariant: a slot is LIVE exactly while its object belongs to a caller.
 * An address is accepted by kheap_free() only if it is the start of such an object:
 *
 *   state(desc(address)) = SLAB,  slot * object_bytes = address - base,  state(slot) = LIVE
 *
 * Lock: a slab is read and written under the lock of its arena; magazines
 * are their CPU's while interrupts are off. Objects are cleared and copied outside both.
 */
#include "kmalloc_debug.h"
#include "kmalloc_fast.h"
#include "kmalloc_guard.h"

static const char *const class_names[KMALLOC_CLASSES] = {
	"kmalloc-8",    "kmalloc-16",   "kmalloc-32",   "kmalloc-48",   "kmalloc-64",
	"kmalloc-80",   "kmalloc-96",   "kmalloc-112",  "kmalloc-128",  "kmalloc-144",
	"kmalloc-160",  "kmalloc-176",  "kmalloc-192",  "kmalloc-208",  "kmalloc-224",
	"kmalloc-240",  "kmalloc-256",  "kmalloc-288",  "kmalloc-320",  "kmalloc-352",
	"kmalloc-384",  "kmalloc-416",  "kmalloc-448",  "kmalloc-480",  "kmalloc-512",
	"kmalloc-576",  "kmalloc-640",  "kmalloc-704",  "kmalloc-768",  "kmalloc-832",
	"kmalloc-896",  "kmalloc-960",  "kmalloc-1024", "kmalloc-1152", "kmalloc-1280",
	"kmalloc-1408", "kmalloc-1536", "kmalloc-1664", "kmalloc-1792", "kmalloc-1920",
	"kmalloc-2048", "kmalloc-2304", "kmalloc-2560", "kmalloc-2816", "kmalloc-3072",
	"kmalloc-3328", "kmalloc-3584", "kmalloc-3840", "kmalloc-4096", "kmalloc-4608",
	"kmalloc-5120", "kmalloc-5632", "kmalloc-6144", "kmalloc-6656", "kmalloc-7168",
	"kmalloc-7680", "kmalloc-8192",
};

static const char *const header_names[KHEAP_HEADERS] = {"slab headers, 72", "slab headers, 136",
							"slab headers, 264", "slab headers, 520"};

void kheap_init(struct kheap *heap, struct page_allocator *pages)
{
	*heap = (struct kheap){
		.pages = pages,
		.lock = SPINLOCK_INIT(LOCK_RANK_KMALLOC),
		.cpus = 1,
	};
	list_init(&heap->caches);
	for (unsigned i = 0; i < PORT_CPUS_MAX; i++)
		heap->cpu[i] = heap->online[i] = i ? &heap->nobody : &heap->first_cpu;
	for (unsigned i = 0; i < KMALLOC_CLASSES; i++)
		cache_init(&heap->classes[i], heap, class_names[i], kmalloc_class_bytes(i),
			   KMEM_CLASS);
	for (unsigned i = 0; i < KMALLOC_CLASSES; i++)
		heap->classes[i].magazine = i;
	for (size_t i = KMALLOC_CLASSES, end = array_len(heap->class_of); i-- > 0;) {
		size_t first = i ? kmalloc_class_bytes((unsigned)i - 1) + 1u : 0;

		__builtin_memset(&heap->class_of[first], (int)i, end - first);
		end = first;
	}
	for (unsigned i = 0; i < KHEAP_HEADERS; i++)
		cache_init(&heap->headers[i], heap, header_names[i], slab_header_bytes(i),
			   KMEM_INTERNAL);
	cache_init(&heap->magazines, heap, "magazines", MAGAZINE_BYTES(MAGAZINE_LONG) + 8,
		   KMEM_INTERNAL);
	cache_init(&heap->cache_cache, heap, "caches", sizeof(struct kmem_cache), KMEM_INTERNAL);
	kheap_cpu_init(heap, 0, &heap->first_cpu, heap->first_arenas);
	for (unsigned i = 0; i <= KHEAP_MAGAZINES; i++)
		heap->nobody.magazines[i] = &magazine_none;
	port_heap_publish(heap, 0, &heap->first_cpu);
}

/* ---- allocation ---- */

/* From this CPU's arena, and its magazine is filled. NULL when out of memory. */
static void *cache_alloc_here(struct kmem_cache *cache, uintptr_t caller)
{
	struct kheap_visit visit = kheap_enter(cache->heap);
	struct arena *a = arena_here(cache);
	struct magazine *m = magazine_there(cache);
	void *object;

	arena_lock(a);
	if (likely(m != NULL))
		object = magazine_refill_locked(m, caller);
	else
		object = arena_take_locked(a, caller);
	arena_unlock(a);
	/* Last, for it is a help, not a need. */
	if (unlikely(object && !m) && (m = magazine_own(cache, caller)) != NULL) {
		arena_lock(m->arena);
		magazine_fill_locked(m);
		arena_unlock(m->arena);
	}
	kheap_leave(cache->heap, visit);
	return object;
}

/* There is no page for another slab: a free slot of whomsoever. */
static cold_fn void *cache_alloc_anywhere(struct kmem_cache *cache, uintptr_t caller)
{
	struct kheap_visit visit = kheap_enter(cache->heap);
	void *object = NULL;
	struct arena *a;

	for (unsigned i = 0; !object && (a = arena_at(cache, i)) != NULL; i++) {
		arena_lock(a);
		if (a->current)
			object = arena_take_locked(a, caller);
		arena_unlock(a);
	}
	kheap_leave(cache->heap, visit);
	return object;
}

void *cache_alloc_plain(struct kmem_cache *cache, uintptr_t caller)
{
	void *object = cache_alloc_here(cache, caller);
	port_irq_t irq;

	if (likely(object))
		return object;
	irq = spin_lock(&cache->heap->lock);
	(void)kheap_trim_locked(cache->heap, caller);
	spin_unlock(&cache->heap->lock, irq);
	object = cache_alloc_here(cache, caller);
	if (!object)
		object = cache_alloc_anywhere(cache, caller);
	if (!object)
		__atomic_fetch_add(&cache->failures, 1, __ATOMIC_RELAXED);
	return object;
}

/* A guarded object, one with a redzone, a plain one, or none on purpose. */
static slow_fn void *cache_alloc_watched(struct kmem_cache *cache, size_t bytes, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	port_irq_t irq = spin_lock(&heap->lock);
	bool injected = kheap_must_fail(heap, caller);
	void *object = NULL;

	spin_unlock(&heap->lock, irq);
	if (!injected && guard_is_due(heap))
		object = guard_alloc(cache, bytes, caller);
	if (!injected && !object && heap->debug)
		object = debug_alloc(cache, bytes, caller);
	else if (!injected && !object)
		object = cache_alloc_plain(cache, caller);
	if (object && !guard_owns(heap, object))
		port_unpoison(object, bytes, cache->object_bytes);
	irq = spin_lock(&heap->lock);
	kheap_record(heap, TRACE_KMALLOC, object, bytes, caller, injected);
	spin_unlock(&heap->lock, irq);
	return object;
}

void *cache_alloc_slow(struct kmem_cache *cache, size_t bytes, uintptr_t caller)
{
	const struct kheap *heap = cache->heap;

	if (unlikely(__atomic_load_n(&heap->watch, __ATOMIC_RELAXED) || guard_is_due(heap)))
		return cache_alloc_watched(cache, bytes, caller);
	return cache_alloc_plain(cache, caller);
}

/* What the fast path has not: the usable bytes may be fewer than the cache's. */
static slow_fn void *cache_alloc_slower(struct kmem_cache *cache, size_t bytes, unsigned flags,
					uintptr_t caller)
{
	void *object = cache_alloc_slow(cache, bytes, caller);

	if (flags & KMALLOC_ZERO && object)
		__builtin_memset(object, 0, kheap_size(cache->heap, object));
	return object;
}

/* (slow_fn: one copy of each fast path is enough for those below.) */
slow_fn void *kheap_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller)
{
	uint32_t class;
	void *object;

	if (unlikely(port_padded(bytes) > KMALLOC_SMALL_MAX))
		return large_alloc(heap, bytes, flags, caller);
	class = kheap_class(heap, port_padded(bytes));
	object = magazine_pop(heap, class);
	if (unlikely(!object))
		return cache_alloc_slower(&heap->classes[class], bytes, flags, caller);
	if (flags & KMALLOC_ZERO)
		__builtin_memset(object, 0, heap->classes[class].object_bytes);
	return object;
}

/*
 * Slabs start at a multiple of their size, so an object is aligned to the lowest set bit of its
 * class; and the class of a multiple of `align` is itself one: classes in a group are a step
 * apart that is a power of two, and either align divides the step, or the step divides align
 * and the multiple is a class itself. Runs are aligned to their size rounded up.
 */
void *kheap_alloc_aligned(struct kheap *heap, size_t bytes, size_t align, unsigned flags,
			  uintptr_t caller)
{
	if (align == 0 || (align & (align - 1)) || align > KMALLOC_ALIGN_MAX)
		return NULL;
	if (bytes > SIZE_MAX - align)
		return NULL;
	return kheap_alloc(heap, align_up(bytes ? bytes : 1, align), flags, caller);
}

void *kmem_cache_take(struct kmem_cache *cache)
{
	void *object = magazine_pop(cache->heap, cache->magazine);

	return likely(object) ? object
			      : cache_alloc_slower(cache, cache->wanted_bytes, 0, caller_address());
}

void *kmem_cache_take_zeroed(struct kmem_cache *cache)
{
	void *object = magazine_pop(cache->heap, cache->magazine);

	if (unlikely(!object))
		return cache_alloc_slower(cache, cache->wanted_bytes, KMALLOC_ZERO,
					  caller_address());
	return __builtin_memset(object, 0, cache->object_bytes);
}

/* ---- free ---- */

/* A live object of a slab: into this CPU's magazine or back to its slab. False: it is not. */
static bool slab_free(struct kheap *heap, struct slab *s, void *object, uintptr_t caller)
{
	unsigned slot = slab_live_slot(s, (uintptr_t)object);
	struct magazine *m = NULL;
	struct arena *a;
	bool is_live;

	if (slot == SLAB_NO_SLOT)
		return false;
	port_poison(object, s->cache->object_bytes, POISON_FREED);
	if (slab_may_be_quick(s))
		m = magazine_own(s->cache, caller);
	/* Those that ought to empty too, where they are another CPU's: they go home many at a time. */
	if (m && (slab_is_quick(s) || slab_arena(s) != m->arena)) {
		if (m->top >= m->room)
			magazine_make_room(m, caller);
		return magazine_push_slow(m, s, slot);
	}
	a = slab_lock(s);
	is_live = slab_of(heap, object) == s && slab_slot_state(s, slot) == SLOT_LIVE;
	if (likely(is_live))
		slab_put_locked(a, s, slot, caller);
	arena_unlock(a);
	return is_live;
}

/* What comes out of quarantine was recorded when it went in. */
static cold_fn void record_free(struct kheap *heap, const struct slab *s, const void *object,
				uintptr_t caller)
{
	unsigned slot = slab_live_slot(s, (uintptr_t)object);

	if (slot != SLAB_NO_SLOT && !slab_slot_is_held(heap, s, slot))
		kheap_record(heap, TRACE_KFREE, object, s->cache->object_bytes, caller, false);
}

void kheap_free_plain(struct kheap *heap, void *object, uintptr_t caller)
{
	struct kheap_visit visit = kheap_enter(heap);
	struct slab *s;
	bool is_ours, is_freed;
	port_irq_t irq;

	s = slab_of(heap, object);
	is_ours = slab_is_ours(heap, s);
	if (unlikely(visit.locked)) {
		guard_postpone_locked(heap);
		if (is_ours)
			record_free(heap, s, object, caller);
	}
	is_freed = is_ours && slab_free(heap, s, object, caller);
	kheap_leave(heap, visit);
	if (likely(is_freed))
		return;
	irq = spin_lock(&heap->lock);
	if (is_ours || !large_free_locked(heap, object, caller))
		kheap_refuse(heap, object, NULL, caller, irq);
	else
		spin_unlock(&heap->lock, irq);
}

void kheap_free_slower(struct kheap *heap, void *object, uintptr_t caller)
{
	if (unlikely(guard_owns(heap, object)))
		guard_free(heap, object, NULL, caller);
	else if (likely(!heap->debug) || !debug_free(heap, object, caller))
		kheap_free_plain(heap, object, caller);
}

static slow_fn void kheap_free_debugged(struct kheap *heap, void *object, uintptr_t caller)
{
	debug_large_free(heap, object, caller);
	large_free(heap, object, caller);
}

/* Jumps on, whatever it is: a frame would cost large objects 20 instructions. */
void kheap_free_slow(struct kheap *heap, void *object, uintptr_t caller)
{
	if (!object)
		return;
	if (unlikely(heap->debug))
		kheap_free_debugged(heap, object, caller);
	else
		large_free(heap, object, caller);
}

slow_fn void kheap_free(struct kheap *heap, void *object, uintptr_t caller)
{
	if (unlikely(!kheap_free_fast(heap, object)))
		kheap_free_slow(heap, object, caller);
}

static slow_fn void kmem_cache_free_slow(struct kmem_cache *cache, void *object, uintptr_t caller)
{
	struct kheap *heap = cache->heap;
	const struct slab *s = slab_of(heap, object);

	if (!object)
		return;
	if (unlikely(guard_owns(heap, object)))
		guard_free(heap, object, cache, caller);
	else if (unlikely(!s || s->cache != cache))
		kheap_refuse(heap, object, cache, caller, spin_lock(&heap->lock));
	else
		kheap_free_slow(heap, object, caller);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	struct kheap *heap = cache->heap;
	struct slab *s = slab_of_fast(heap, object);

	if (unlikely(!s || s->cache != cache || !magazine_push(heap, s, object)))
		kmem_cache_free_slow(cache, object, caller_address());
}

/* ---- sizes of live objects ---- */

static size_t size_in_slab(const struct kheap *heap, const struct slab *s, const void *object)
{
	struct arena *a = slab_lock(s);
	unsigned slot = SLAB_NO_SLOT;
	size_t bytes = 0;

	if (slab_of(heap, object) == s)
		slot = slab_live_slot(s, (uintptr_t)object);
	if (slot != SLAB_NO_SLOT)
		bytes = port_unpoisoned(object, debug_size(heap, s, slot));
	arena_unlock(a);
	return bytes;
}

static size_t size_elsewhere_locked(const struct kheap *heap, const void *object)
{
	if (unlikely(guard_owns(heap, object)))
		return guard_size_locked(heap, object);
	if (unlikely(heap->debug))
		return debug_large_size(object, large_pages_locked(heap, object));
	return port_unpoisoned(object, large_pages_locked(heap, object) << PAGE_SHIFT);
}

size_t kheap_size(struct kheap *heap, const void *object)
{
	struct kheap_visit visit = kheap_enter(heap);
	const struct slab *s = slab_of(heap, object);
	bool is_ours = slab_is_ours(heap, s);
	size_t bytes = is_ours ? size_in_slab(heap, s, object) : 0;
	port_irq_t irq;

	kheap_leave(heap, visit);
	if (is_ours)
		return bytes;
	irq = spin_lock(&heap->lock);
	bytes = size_elsewhere_locked(heap, object);
	spin_unlock(&heap->lock, irq);
	return bytes;
}

/* Would an object of `bytes` be of the same kind as one that has `usable` bytes? */
static bool same_fit(size_t usable, size_t bytes)
{
	if (bytes > usable)
		return false;
	if (bytes > KMALLOC_SMALL_MAX)
		return bytes_to_pages(bytes) == usable >> PAGE_SHIFT;
	return usable <= KMALLOC_SMALL_MAX && kmalloc_class(bytes) == kmalloc_class(usable);
}

void *kheap_realloc(struct kheap *heap, void *object, size_t bytes, uintptr_t caller)
{
	size_t usable;
	void *moved;

	if (!object)
		return kheap_alloc(heap, bytes, 0, caller);
	usable = kheap_size(heap, object);
	if (unlikely(!usable)) {
		kheap_refuse(heap, object, NULL, caller, spin_lock(&heap->lock));
		return NULL;
	}
	if (same_fit(usable, bytes))
		return object;
	moved = kheap_alloc(heap, bytes, 0, caller);
	if (!moved)
		return bytes <= usable ? object : NULL; /* shrinking never fails */
	__builtin_memcpy(moved, object, bytes < usable ? bytes : usable);
	kheap_free(heap, object, caller);
	return moved;
}

uint64_t kheap_trim(struct kheap *heap)
{
	port_irq_t irq;
	uint64_t pages;

	if (unlikely(heap->debug))
		debug_drain(heap);
	irq = spin_lock(&heap->lock);
	pages = kheap_trim_locked(heap, caller_address());
	spin_unlock(&heap->lock, irq);
	if (unlikely(heap->debug))
		debug_tell(heap);
	return pages;
}
