/* SPDX-License-Identifier: MIT */
/* Every slab of a heap, one after the other. */
#ifndef QUIRE_KMALLOC_WALK_H
#define QUIRE_KMALLOC_WALK_H

#include "kmalloc_internal.h"

/*
 * Call `visit` for each slab, internal ones too, with the heap closed and locked. It must
 * neither allocate nor report. Context as for kheap_watch().
 */
void kheap_walk_slabs(struct kheap *heap, void (*visit)(void *context, struct slab *s),
		      void *context);

#endif
