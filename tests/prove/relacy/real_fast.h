/* SPDX-License-Identifier: MIT */
/* Between the models and the restartable runs (real_fast.c). */
#ifndef QUIRE_PROVE_REAL_FAST_H
#define QUIRE_PROVE_REAL_FAST_H

#include "prove.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slab;

void *real_pop(uint64_t index);
bool real_push(struct slab *s, void *object);
/* As trap_dispatch() does, to a frame with that RIP and RDX; or as if the run ended before its commit. */
void real_rewind(uint64_t *rip, uint64_t rdx, bool without_commit);
/* Where a CPU's magazines stand, relative to GS. */
extern const unsigned real_gs_heap;

#ifdef __cplusplus
}
#endif

#endif
