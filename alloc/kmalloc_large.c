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
 * Lock: none for blocks: freeing begins by taking the mark away, which of two frees of one
 * object only one can. heap->lock for freeing runs, with the same effect, for failures, and
 * for the counts of CPUs that are closed or not online.
 */
#include "kmalloc_internal.h"

#define LARGE_PAGES_MAX ((uint64_t)1 << PAGE_ORDER_MAX)

/* ---- counts ---- */

/* Only this CPU adds, others look: no read-modify-write to be atomic. */
static inline void count(uint64_t *at, uint64_t change)
{
	if (change)
		__atomic_store_n(at, *at + change, __ATOMIC_RELAXED);
}

static void large_count_shared_locked(struct kheap *heap, uint64_t allocs, uint64_t frees,
				      uint64_t pages)
{
	count(&heap->nobody.large.allocs, allocs);
	count(&heap->nobody.large.frees, frees);
	count(&heap->nobody.large.pages, pages);
}

/* Those that are not online, or closed, share nobody's. */
static cold_fn void large_count_shared(struct kheap_cpu *nobody, uint64_t allocs, uint64_t frees,
				       uint64_t pages)
{
	struct kheap *heap = container_of(nobody, struct kheap, nobody);
	port_irq_t irq = spin_lock(&heap->lock);

	large_count_shared_locked(heap, allocs, frees, pages);
	spin_unlock(&heap->lock, irq);
}

static inline void large_count(struct kheap *heap, uint64_t allocs, uint64_t frees, uint64_t pages)
{
	port_irq_t irq = port_irq_save();
	struct kheap_cpu *cpu = heap->cpu[port_cpu()];

	if (unlikely(cpu == &heap->nobody)) {
		large_count_shared(cpu, allocs, frees, pages);
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

/* ---- allocation ---- */

static pfn_t large_take(struct kheap *heap, uint64_t pages, uintptr_t caller)
{
	unsigned order;
	pfn_t head;

	if (!page_object_is_block(pages))
		return page_alloc_run_for(heap->pages, pages, PAGE_OBJECT, caller);
	order = (unsigned)__builtin_ctzll(pages);
	head = page_alloc_inline(heap->pages, order, PAGE_ANY, caller);
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

void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller)
{
	uint64_t pages = bytes_to_pages(bytes);
	pfn_t head = PFN_NONE;
	void *object;

	if (likely(pages <= LARGE_PAGES_MAX))
		head = large_take(heap, pages, caller);
	if (unlikely(pfn_is_none(head)))
		head = large_take_hard(heap, pages, caller);
	if (unlikely(pfn_is_none(head)))
		return NULL;
	large_count(heap, 1, 0, pages);
	object = port_phys_to_virt(pfn_to_paddr(head));
	if (flags & KMALLOC_ZERO)
		__builtin_memset(object, 0, pages << PAGE_SHIFT);
	return object;
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
must_check static inline __attribute__((always_inline)) bool
large_free_block(struct kheap *heap, void *object, uintptr_t caller, bool locked)
{
	paddr_t address = port_virt_to_phys(object);
	pfn_t head = paddr_to_pfn(address);
	unsigned order;

	if ((address.a & PAGE_MASK) || head.n >= heap->pages->pfn_limit)
		return false;
	if (!page_clear_object(heap->pages, head, &order))
		return false;
	if (locked)
		large_count_shared_locked(heap, 0, 1, 0 - ((uint64_t)1 << order));
	else
		large_count(heap, 0, 1, 0 - ((uint64_t)1 << order));
	page_free_inline(heap->pages, head, order, caller);
	return true;
}

void large_free(struct kheap *heap, void *object, uintptr_t caller)
{
	if (unlikely(!large_free_block(heap, object, caller, false)))
		kheap_free_slower(heap, object, caller);
}

bool large_free_locked(struct kheap *heap, void *object, uintptr_t caller)
{
	uint64_t pages = large_pages_locked(heap, object);

	if (!pages)
		return false;
	if (page_object_is_block(pages)) /* it was not one a moment ago */
		return large_free_block(heap, object, caller, true);
	page_free_run_for(heap->pages, paddr_to_pfn(port_virt_to_phys(object)), caller);
	large_count_shared_locked(heap, 0, 1, 0 - pages);
	return true;
}
