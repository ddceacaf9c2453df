/* SPDX-License-Identifier: MIT */
/*
 * A ring of allocator events: the last so many calls of kmalloc and the page
 * allocator, in the order in which they took effect. Part of watching (quire/alloc_watch.h).
 *
 *              capacity
 *   |<------------------------------->|
 *   | 8 | 9 | 10 | 3 | 4 | 5 | 6 | 7  |      recorded = 11; numbers 0 to 2 are overwritten
 *
 * Whoever watches brings the memory, sets `trace` of the allocators, and takes it back when
 * both have ceased to watch.
 */
#ifndef QUIRE_ALLOC_TRACE_H
#define QUIRE_ALLOC_TRACE_H

#include <quire/spinlock.h>

enum alloc_operation {
	TRACE_KMALLOC,
	TRACE_KFREE,
	TRACE_PAGE_ALLOC, /* a block */
	TRACE_PAGE_FREE,
	TRACE_RUN_ALLOC,
	TRACE_RUN_FREE,
	TRACE_BULK_ALLOC, /* up to 512 single pages a record; the address is the first one's */
	TRACE_BULK_FREE,
	TRACE_OPERATIONS,
};

struct alloc_event {
	uint64_t cycles;  /* port_cycles() */
	uint64_t address; /* virtual of objects, physical of pages; 0: there was none */
	uint64_t bytes;   /* asked for; when freed, those of the object or block */
	uintptr_t caller;
	uint16_t cpu;
	uint8_t operation; /* enum alloc_operation */
	bool injected;     /* failed because of a plan (quire/alloc_fail.h) */
};

struct alloc_trace {
	struct spinlock lock; /* LOCK_RANK_TRACE */
	uint64_t capacity;
	uint64_t recorded; /* since it began, or was cleared */
	struct alloc_event events[];
};

/* Lay one over `bytes` of memory; it must be room for one event or more. */
struct alloc_trace *alloc_trace_init(void *memory, uint64_t bytes);

/* Time and CPU are filled in here. Interrupts off. NULL is allowed: records nothing. */
void alloc_trace_add(struct alloc_trace *trace, struct alloc_event event);

/* A copy of event `number`, counted from 0; false when it is overwritten, or yet to come. */
bool alloc_trace_read(struct alloc_trace *trace, uint64_t number, struct alloc_event *out);

/* How many have been recorded; the oldest that alloc_trace_read() still has. */
uint64_t alloc_trace_recorded(struct alloc_trace *trace, uint64_t *oldest);

/* Forget all. */
void alloc_trace_clear(struct alloc_trace *trace);

/* "kmalloc", "page_free", ... */
const char *alloc_operation_name(enum alloc_operation operation);

#endif
