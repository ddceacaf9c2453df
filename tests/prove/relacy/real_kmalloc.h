/* SPDX-License-Identifier: MIT */
/*
 * Between the models of kmalloc and the world they put it in (real_kmalloc.c): a heap of one class
 * with small slabs and magazines, and a few pages.
 */
#ifndef QUIRE_PROVE_REAL_KMALLOC_H
#define QUIRE_PROVE_REAL_KMALLOC_H

#include "prove.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROVE_HEAP_CPUS    2u
#define PROVE_SLAB_OBJECTS 2u /* in each slab; */
#define PROVE_ROOM         4u /* in each magazine: filled to 3, shed to 1 */
#define PROVE_PAGES        8u /* one of them for headers, */
#define PROVE_SLABS        6u /* not more for slabs at any time */
#define PROVE_OBJECTS      (PROVE_PAGES * PROVE_SLAB_OBJECTS)

/* A fresh heap that knows CPUs 0 .. PROVE_HEAP_CPUS - 1. Outside the run. */
void real_heap_reset(void);
/* Share what several CPUs use at once. In begin(), last. */
void real_heap_share(void);
/* What real_heap_reset() and all since have made of memory: save it, or bring it back. */
size_t real_heap_bytes(void);
void real_heap_save(void *to);
void real_heap_restore(const void *from);

/* On the CPU that runs. */
void *real_alloc(void);
void real_free(void *object);
void real_drain(void); /* this CPU's magazines and slabs, with interrupts off */
void real_trim(void);
const char *real_check(void);
void real_watch(uint32_t on, uint32_t off);
void real_close_and_open(void);  /* and look at all magazines in between */
void real_tick(void);            /* the guard's: with interrupts off */
void real_guard(uint32_t every); /* have some guarded objects, one in so many ticks */

/* 0 .. PROVE_OBJECTS - 1; or PROVE_OBJECTS for one that no slab has. */
unsigned real_index(const void *object);
/* Nobody allocates these pages: so many are left. */
void real_leave_pages(unsigned count);
unsigned real_pages_left(void);
void real_hoard_magazines(bool on); /* no CPU gets another one; outside the run */

uint64_t real_live(void);           /* as counted */
uint64_t real_cached(unsigned cpu); /* in its magazine */
uint64_t real_held(void);           /* pages of slabs */
uint64_t real_failures(void);       /* of allocations */
uint64_t real_refused(void);        /* frees */
void real_publish(void);            /* tell the CPUs anew; outside the run */
bool real_is_open(unsigned cpu);

#ifdef __cplusplus
}
#endif

#endif
