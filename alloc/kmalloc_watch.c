/* SPDX-License-Identifier: MIT */
/*
 * Closing the magazines of all CPUs, for a while (kheap_check()) or while anything
 * watches, and opening them again. See quire/alloc_watch.h for the picture.
 *
 *   cpu[n] = online[n]  <=>  watch = 0 and closers = 0 and CPU n owes no sample (kmalloc_guard.c)
 *   watch != 0 and closers = 0  =>  every magazine is empty
 *
 * A CPU that read its entry just before it changed may still be at work in a magazine, but nothing
 * of that outlasts an interrupt. Once each CPU has taken one, all come to the lock.
 *
 * Lock: heap->lock for `watch`, `closers`, cpu[], `fail` and `trace`.
 */
#include "kmalloc_internal.h"

static void publish(struct kheap *heap, unsigned cpu, struct kheap_cpu *seen)
{
	__atomic_store_n(&heap->cpu[cpu], seen, __ATOMIC_RELEASE);
	port_heap_publish(heap, cpu, seen);
}

void kheap_cpu_publish(struct kheap *heap, unsigned cpu)
{
	bool open = !heap->watch && !heap->closers &&
		    !__atomic_load_n(&heap->guard_due[cpu], __ATOMIC_RELAXED);

	publish(heap, cpu, open ? heap->online[cpu] : &heap->nobody);
}

/*
 * Looks at nothing, so what it writes is never what somebody else has just made of it: it may come
 * between the two writes of whoever opens or closes under the lock.
 */
void kheap_cpu_close(struct kheap *heap, unsigned cpu)
{
	publish(heap, cpu, &heap->nobody);
}

static void publish_all(struct kheap *heap)
{
	for (unsigned cpu = 0; cpu < heap->cpus; cpu++)
		kheap_cpu_publish(heap, cpu);
}

port_irq_t kheap_close(struct kheap *heap)
{
	port_irq_t irq = spin_lock(&heap->lock);

	heap->closers++;
	publish_all(heap);
	spin_unlock(&heap->lock, irq);
	port_cpus_sync();
	return spin_lock(&heap->lock);
}

void kheap_open_locked(struct kheap *heap)
{
	heap->closers--;
	publish_all(heap);
}

/* Closed from before `watch` changes until the magazines are empty: who changes it at the same
 * time cannot open them in between. */
void kheap_watch(struct kheap *heap, uint32_t on, uint32_t off)
{
	port_irq_t irq = kheap_close(heap);
	uint32_t was = heap->watch, watch = (was | on) & ~off;

	__atomic_store_n(&heap->watch, watch, __ATOMIC_RELAXED);
	spin_unlock(&heap->lock, irq);
	for (unsigned cpu = 0; watch && cpu < heap->cpus; cpu++)
		kheap_cpu_drain(heap, cpu);
	if (watch & ~was & WATCH_TRACK)
		(void)kheap_trim(heap); /* slabs kept for the next burst would remember nobody */
	irq = spin_lock(&heap->lock);
	kheap_open_locked(heap);
	spin_unlock(&heap->lock, irq);
}

void kheap_fail(struct kheap *heap, const struct alloc_fail_plan *plan)
{
	port_irq_t irq;

	kheap_watch(heap, 0, WATCH_FAIL);
	if (!plan || plan->mode == ALLOC_FAIL_OFF)
		return;
	irq = spin_lock(&heap->lock);
	heap->fail = (struct alloc_fail){.plan = *plan};
	spin_unlock(&heap->lock, irq);
	kheap_watch(heap, WATCH_FAIL, 0);
}

void kheap_trace(struct kheap *heap, struct alloc_trace *trace)
{
	port_irq_t irq;

	kheap_watch(heap, 0, WATCH_TRACE);
	irq = spin_lock(&heap->lock);
	heap->trace = trace;
	spin_unlock(&heap->lock, irq);
	if (trace)
		kheap_watch(heap, WATCH_TRACE, 0);
}

void kheap_record_watched(struct kheap *heap, enum alloc_operation operation, const void *object,
			  uint64_t bytes, uintptr_t caller, bool injected)
{
	const struct alloc_event event = {
		.operation = (uint8_t)operation,
		.address = (uintptr_t)object,
		.bytes = bytes,
		.caller = caller,
		.injected = injected,
	};

	alloc_trace_add(heap->trace, event);
}
