/* SPDX-License-Identifier: MIT */
/*
 * Closing the caches of all CPUs, for a while (page_check()) or while anything
 * watches, and opening them again. See quire/alloc_watch.h for the picture.
 *
 *   cpu[n] = caches[n]  <=>  CPU n is online, watch = 0 and closers = 0
 *   watch != 0 and closers = 0  =>  every cache is empty
 *
 * A CPU that read its entry just before it changed may still be at work in its cache, with
 * interrupts off. Once each CPU has been seen outside of such a stretch, all come to the lock.
 *
 * Lock: pa->lock for `watch`, `closers` and cpu[].
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
	spin_unlock(&pa->lock, irq);
	for (unsigned cpu = 0; watch && cpu < pa->cpus; cpu++)
		page_cpu_drain(pa, cpu);
	irq = spin_lock(&pa->lock);
	page_open_locked(pa);
	spin_unlock(&pa->lock, irq);
}
