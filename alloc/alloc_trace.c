/* SPDX-License-Identifier: MIT */
/*
 * The ring of events. See quire/alloc_trace.h.
 *
 * Invariant: event number i, for recorded - capacity <= i < recorded, is events[i mod capacity].
 * Lock: its own, the innermost of the allocators'; events come with theirs held, so that their
 * order is that in which they took effect.
 */
#include <quire/alloc_trace.h>
#include <quire/assert.h>
#include <quire/port.h>

struct alloc_trace *alloc_trace_init(void *memory, uint64_t bytes)
{
	struct alloc_trace *trace = memory;

	assert(bytes >= sizeof *trace + sizeof trace->events[0]);
	*trace = (struct alloc_trace){
		.lock = SPINLOCK_INIT(LOCK_RANK_TRACE),
		.capacity = (bytes - sizeof *trace) / sizeof trace->events[0],
	};
	return trace;
}

void alloc_trace_add(struct alloc_trace *trace, struct alloc_event event)
{
	port_irq_t irq;

	if (!trace)
		return;
	event.cpu = (uint16_t)port_cpu();
	irq = spin_lock(&trace->lock);
	event.cycles = port_cycles();
	trace->events[trace->recorded++ % trace->capacity] = event;
	spin_unlock(&trace->lock, irq);
}

static uint64_t oldest_locked(const struct alloc_trace *trace)
{
	return trace->recorded > trace->capacity ? trace->recorded - trace->capacity : 0;
}

bool alloc_trace_read(struct alloc_trace *trace, uint64_t number, struct alloc_event *out)
{
	port_irq_t irq = spin_lock(&trace->lock);
	bool there = number < trace->recorded && number >= oldest_locked(trace);

	if (there)
		*out = trace->events[number % trace->capacity];
	spin_unlock(&trace->lock, irq);
	return there;
}

uint64_t alloc_trace_recorded(struct alloc_trace *trace, uint64_t *oldest)
{
	port_irq_t irq = spin_lock(&trace->lock);
	uint64_t recorded = trace->recorded;

	*oldest = oldest_locked(trace);
	spin_unlock(&trace->lock, irq);
	return recorded;
}

void alloc_trace_clear(struct alloc_trace *trace)
{
	port_irq_t irq = spin_lock(&trace->lock);

	trace->recorded = 0;
	spin_unlock(&trace->lock, irq);
}

const char *alloc_operation_name(enum alloc_operation operation)
{
	static const char *const names[TRACE_OPERATIONS] = {
		[TRACE_KMALLOC] = "kmalloc",       [TRACE_KFREE] = "kfree",
		[TRACE_PAGE_ALLOC] = "page_alloc", [TRACE_PAGE_FREE] = "page_free",
		[TRACE_RUN_ALLOC] = "run_alloc",   [TRACE_RUN_FREE] = "run_free",
		[TRACE_BULK_ALLOC] = "bulk_alloc", [TRACE_BULK_FREE] = "bulk_free",
	};

	return operation < TRACE_OPERATIONS ? names[operation] : "?";
}
