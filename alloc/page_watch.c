/* SPDX-License-Identifier: MIT */
/*
 * Closing the caches of all CPUs, for a while (page_check()) or while anything
 * watches, and opening them again. See quire/alloc_watch.h for the picture.
 *
 *   cpu[n] = caches[n]  <=>  CPU n is online, watch = 0 and closers = 0, and it awaits no
 *                            sample (page_pattern.c; it alone closes its entry for that)
 *   watch != 0 and closers = 0  =>  every cache is empty
 *
 * A CPU that read its entry just before it changed may still be at work in its cache, with
 * interrupts off. Once each CPU has been seen outside of such a stretch, all come to the lock.
 *
 * Lock: pa->lock for `watch`, `closers`, cpu[], `fail` and `trace`.
 */
#include "page_internal.h"

void page_cpu_publish(struct page_allocator *pa, unsigned cpu)
{
	bool open = pa->caches[cpu] && !pa->watch && !pa->closers;

	__atomic_store_n(&pa->cpu[cpu], open ? pa->caches[cpu] : &page_cpu_closed,
			 __ATOMIC_RELEASE);
}

static void publish_all(struct page_allocator *pa)
{
	for (unsigned cpu = 0; cpu < pa->cpus; cpu++)
		page_cpu_publish(pa, cpu);
}

port_irq_t page_close(struct page_allocator *pa)
{
	port_irq_t irq = spin_lock(&pa->lock);

	pa->closers++;
	publish_all(pa);
	spin_unlock(&pa->lock, irq);
	port_cpus_sync();
	return spin_lock(&pa->lock);
}

void page_open_locked(struct page_allocator *pa)
{
	pa->closers--;
	publish_all(pa);
}

/* Closed from before `watch` changes until the caches are empty: who changes it at the same
 * time cannot open them in between. */
void page_watch(struct page_allocator *pa, uint32_t on, uint32_t off)
{
	port_irq_t irq = page_close(pa);
	uint32_t watch = (pa->watch | on) & ~off;

	__atomic_store_n(&pa->watch, watch, __ATOMIC_RELAXED);
	if (!(watch & WATCH_DEBUG))
		pattern_end(pa);
	page_unlock_and_report(pa, irq, caller_address());
	for (unsigned cpu = 0; watch && cpu < pa->cpus; cpu++)
		page_cpu_drain(pa, cpu);
	irq = spin_lock(&pa->lock);
	page_open_locked(pa);
	spin_unlock(&pa->lock, irq);
}

void page_fail(struct page_allocator *pa, const struct alloc_fail_plan *plan)
{
	port_irq_t irq;

	page_watch(pa, 0, WATCH_FAIL);
	if (!plan || plan->mode == ALLOC_FAIL_OFF)
		return;
	irq = spin_lock(&pa->lock);
	pa->fail = (struct alloc_fail){.plan = *plan};
	spin_unlock(&pa->lock, irq);
	page_watch(pa, WATCH_FAIL, 0);
}

void page_trace(struct page_allocator *pa, struct alloc_trace *trace)
{
	port_irq_t irq;

	page_watch(pa, 0, WATCH_TRACE);
	irq = spin_lock(&pa->lock);
	pa->trace = trace;
	spin_unlock(&pa->lock, irq);
	if (trace)
		page_watch(pa, WATCH_TRACE, 0);
}

void page_record_watched(struct page_allocator *pa, enum alloc_operation operation, uint64_t frame,
			 uint64_t pages, uintptr_t caller, bool injected)
{
	const struct alloc_event event = {
		.operation = (uint8_t)operation,
		.address = frame == PFN_NONE.n ? 0 : frame << PAGE_SHIFT,
		.bytes = pages << PAGE_SHIFT,
		.caller = caller,
		.injected = injected,
	};

	alloc_trace_add(pa->trace, event);
}
