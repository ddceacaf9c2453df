/* SPDX-License-Identifier: MIT */
/*
 * Large objects: whole pages. Their only record is the first page's descriptor,
 * RUN with the length and a mark that says kmalloc made it.
 *
 *   2^k pages, up to 2 MiB   a block: from this CPU's page cache and back, without any lock
 *   any other number         a run, to the page
 *
 * Each CPU counts what it allocates and frees; an object may be freed on another.
 *
 * Invariant: live = sum(allocs) - sum(frees) >= 0;
 *            sum(pages) = the lengths of the live ones, 3 pages or more each.
 * Lock: none for blocks: one compare-and-swap makes the descriptor that of a free page (or, on
 * the slow way, takes the mark away), which of two frees of one object only one can. heap->lock
 * for freeing runs, with the same effect, for failures, and for the counts of CPUs that are
 * closed or not online.
 */
#include "kmalloc_debug.h"
#include "kmalloc_guard.h"

#define LARGE_PAGES_MAX ((uint64_t)1 << PAGE_ORDER_MAX)

/* ---- counts ---- */

/* Only this CPU adds, others look: no read-modify-write to be atomic. */
static inline void count(uint64_t *at, uint64_t change)
{
	__atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + change, __ATOMIC_RELAXED);
}

/* With interrupts off; `cpu` is this CPU's and no other's. */
static inline void count_alloc(struct kheap_cpu *cpu, uint64_t pages)
{
	count(&cpu->large.allocs, 1);
	count(&cpu->large.pages, pages);
}

static inline void count_free(struct kheap_cpu *cpu, uint64_t pages)
{
	count(&cpu->large.frees, 1);
	count(&cpu->large.pages, 0 - pages);
}

static void large_count_shared_locked(struct kheap *heap, uint64_t allocs, uint64_t frees,
				      uint64_t pages)
{
	count(&heap->nobody.large.allocs, allocs);
	count(&heap->nobody.large.frees, frees);
	count(&heap->nobody.large.pages, pages);
}

/* Those that are not online, or closed, share nobody's. */
static void large_count_shared(struct kheap *heap, uint64_t allocs, uint64_t frees, uint64_t pages)
{
	port_irq_t irq = spin_lock(&heap->lock);

	large_count_shared_locked(heap, allocs, frees, pages);
	spin_unlock(&heap->lock, irq);
}

static void large_count(struct kheap *heap, uint64_t allocs, uint64_t frees, uint64_t pages)
{
	port_irq_t irq = port_irq_save();
	struct kheap_cpu *cpu = heap->cpu[port_cpu()];

	if (cpu == &heap->nobody) {
		large_count_shared(heap, allocs, frees, pages);
	} else {
		count(&cpu->large.allocs, allocs);
		count(&cpu->large.frees, frees);
		count(&cpu->large.pages, pages);
	}
	port_irq_restore(irq);
}

static void add_counts(struct kheap_large *sum, const struct kheap_large *large)
{
	sum->allocs += __atomic_load_n(&large->allocs, __ATOMIC_RELAXED);
	sum->frees += __atomic_load_n(&large->frees, __ATOMIC_RELAXED);
	sum->pages += __atomic_load_n(&large->pages, __ATOMIC_RELAXED);
}

struct kheap_large large_counts(const struct kheap *heap)
{
	struct kheap_large sum = {0};

	add_counts(&sum, &heap->nobody.large);
	for (unsigned cpu = 0; cpu < heap->cpus; cpu++)
		if (heap->online[cpu] != &heap->nobody)
			add_counts(&sum, &heap->online[cpu]->large);
	return sum;
}

/* ---- for those who watch: all calls come the slow way then ---- */

static bool large_must_fail(struct kheap *heap, size_t bytes, uintptr_t caller)
{
	port_irq_t irq;
	bool injected;

	if (likely(!__atomic_load_n(&heap->watch, __ATOMIC_RELAXED)))
		return false;
	irq = spin_lock(&heap->lock);
	injected = kheap_must_fail(heap, caller);
	if (injected)
		kheap_record(heap, TRACE_KMALLOC, NULL, bytes, caller, true);
	spin_unlock(&heap->lock, irq);
	return injected;
}

static void large_record(struct kheap *heap, enum alloc_operation operation, const void *object,
			 uint64_t bytes, uintptr_t caller)
{
	port_irq_t irq;

	if (likely(!__atomic_load_n(&heap->watch, __ATOMIC_RELAXED)))
		return;
	irq = spin_lock(&heap->lock);
	kheap_record(heap, operation, object, bytes, caller, false);
	spin_unlock(&heap->lock, irq);
}

/* ---- allocation ---- */

static pfn_t large_take(struct kheap *heap, uint64_t pages, uintptr_t caller)
{
	unsigned order;
	pfn_t head;

	if (!page_object_is_block(pages))
		return page_alloc_run_for(heap->pages, pages, PAGE_OBJECT, caller);
	order = (unsigned)__builtin_ctzll(pages);
	head = page_alloc_slow(heap->pages, order, PAGE_ANY, caller);
	if (!pfn_is_none(head))
		page_set_object(heap->pages, head, order, caller);
	return head;
}

/* There is none, or none of that size: trim and try again. */
static slow_fn pfn_t large_take_hard(struct kheap *heap, uint64_t pages, uintptr_t caller)
{
	pfn_t head = PFN_NONE;
	port_irq_t irq;

	if (pages <= LARGE_PAGES_MAX && kheap_trim(heap))
		head = large_take(heap, pages, caller);
	if (pfn_is_none(head)) {
		irq = spin_lock(&heap->lock);
		heap->large_failures++;
		spin_unlock(&heap->lock, irq);
	}
	return head;
}

/* A large object is never guarded. Were this CPU closed until a small one comes, all were slow. */
static void large_postpone_sample(struct kheap *heap)
{
	port_irq_t irq;

	if (likely(!guard_is_due(heap)))
		return;
	irq = spin_lock(&heap->lock);
	guard_postpone_locked(heap);
	spin_unlock(&heap->lock, irq);
}

static slow_fn void *large_alloc_slow(struct kheap *heap, size_t bytes, unsigned flags,
				      uintptr_t caller)
{
	uint64_t pages = bytes_to_pages(unlikely(heap->debug) ? debug_large_bytes(bytes) : bytes);
	pfn_t head = PFN_NONE;
	void *object;

	if (PORT_REDZONE && !(bytes & PAGE_MASK))
		pages++; /* or there would be no room for a redzone */
	large_postpone_sample(heap);
	if (large_must_fail(heap, bytes, caller))
		return NULL;
	if (likely(pages <= LARGE_PAGES_MAX))
		head = large_take(heap, pages, caller);
	if (unlikely(pfn_is_none(head)))
		head = large_take_hard(heap, pages, caller);
	if (unlikely(pfn_is_none(head))) {
		large_record(heap, TRACE_KMALLOC, NULL, bytes, caller);
		return NULL;
	}
	large_count(heap, 1, 0, pages);
	object = port_phys_to_virt(pfn_to_paddr(head));
	large_record(heap, TRACE_KMALLOC, object, bytes, caller);
	if (flags & KMALLOC_ZERO)
		__builtin_memset(object, 0, pages << PAGE_SHIFT);
	if (unlikely(heap->debug))
		debug_large_begin(object, bytes, pages);
	port_unpoison(object, bytes, pages << PAGE_SHIFT);
	return object;
}

void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller)
{
	uint64_t pages = bytes_to_pages(bytes);

	if (likely(page_object_is_block(pages) && !(flags & KMALLOC_ZERO))) {
		unsigned order = (unsigned)__builtin_ctzll(pages);
		port_irq_t irq = port_irq_save();
		unsigned self = port_cpu();
		struct kheap_cpu *cpu = heap->cpu[self];
		struct page_allocator *pa = heap->pages;
		pfn_t head;

		if (likely(cpu != &heap->nobody &&
			   page_cache_pop(pa, pa->cpu[self], order,
					  DESC_OBJECT(order) | DESC_CALLER(caller), &head))) {
			count_alloc(cpu, pages);
			port_irq_restore(irq);
			return port_phys_to_virt(pfn_to_paddr(head));
		}
		port_irq_restore(irq);
	}
	return large_alloc_slow(heap, bytes, flags, caller);
}

/* ---- and back ---- */

uint64_t large_pages_locked(const struct kheap *heap, const void *object)
{
	paddr_t address = port_virt_to_phys(object);
	pfn_t frame = paddr_to_pfn(address);

	if ((address.a & PAGE_MASK) || frame.n >= heap->pages->pfn_limit)
		return 0;
	if (!page_is_object(page_desc(heap->pages, frame)))
		return 0;
	return page_run_pages(heap->pages, frame);
}

/* False, and nothing has changed, when no object of 2^k pages starts there. */
must_check static bool large_free_block(struct kheap *heap, void *object, uintptr_t caller,
					bool locked)
{
	paddr_t address = port_virt_to_phys(object);
	pfn_t head = paddr_to_pfn(address);
	unsigned order;
	uint64_t pages;

	if ((address.a & PAGE_MASK) || head.n >= heap->pages->pfn_limit)
		return false;
	if (!page_clear_object(heap->pages, head, &order))
		return false;
	pages = (uint64_t)1 << order;
	if (locked) {
		large_count_shared_locked(heap, 0, 1, 0 - pages);
		kheap_record(heap, TRACE_KFREE, object, pages << PAGE_SHIFT, caller, false);
	} else {
		large_count(heap, 0, 1, 0 - pages);
		large_record(heap, TRACE_KFREE, object, pages << PAGE_SHIFT, caller);
	}
	page_free_slow(heap->pages, head, order, caller);
	return true;
}

static slow_fn void large_free_slow(struct kheap *heap, void *object, uintptr_t caller)
{
	if (unlikely(!large_free_block(heap, object, caller, false)))
		kheap_free_slower(heap, object, caller);
}

/* Into this CPU's page cache; false, and nothing has changed, when it is not that easy. */
must_check static inline bool large_free_fast(struct kheap *heap, pfn_t head, uintptr_t caller)
{
	unsigned self = port_cpu(), order;
	struct kheap_cpu *cpu = heap->cpu[self];
	struct page_allocator *pa = heap->pages;
	uint32_t seen = (uint32_t)__atomic_load_n(&pa->descs[head.n].word, __ATOMIC_RELAXED);

	if (unlikely(cpu == &heap->nobody || (seen & 15) != (PAGE_RUN | PAGE_OBJECT)))
		return false;
	order = (unsigned)__builtin_ctz(seen >> DESC_PAGES_SHIFT);
	if (unlikely(order >= PAGE_CACHE_ORDERS ||
		     !page_cache_push(pa, pa->cpu[self], head, order, DESC_OBJECT(order), true,
				      caller)))
		return false;
	count_free(cpu, (uint64_t)1 << order);
	return true;
}

void large_free(struct kheap *heap, void *object, uintptr_t caller)
{
	paddr_t address = port_virt_to_phys(object);
	pfn_t head = paddr_to_pfn(address);

	if (likely(!(address.a & PAGE_MASK) && head.n < heap->pages->pfn_limit)) {
		port_irq_t irq = port_irq_save();
		bool done = large_free_fast(heap, head, caller);

		port_irq_restore(irq);
		if (likely(done))
			return;
	}
	large_free_slow(heap, object, caller);
}

bool large_free_locked(struct kheap *heap, void *object, uintptr_t caller)
{
	uint64_t pages = large_pages_locked(heap, object);

	if (!pages)
		return false;
	if (page_object_is_block(pages)) /* it was not one a moment ago */
		return large_free_block(heap, object, caller, true);
	page_free_object_run(heap->pages, paddr_to_pfn(port_virt_to_phys(object)), caller);
	large_count_shared_locked(heap, 0, 1, 0 - pages);
	kheap_record(heap, TRACE_KFREE, object, pages << PAGE_SHIFT, caller, false);
	return true;
}
