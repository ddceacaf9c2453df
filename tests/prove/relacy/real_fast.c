/* SPDX-License-Identifier: MIT */
/*
 * Under test: the restartable runs of core/arch/x86_64/quire_fast.h, as the compiler
 * makes them, and restart.c, which starts them over. They are not called but interpreted (x86.hpp).
 */
#define QUIRE_PROVE_PORT_H /* the kernel's own: the offsets from GS are in it */
#include "real_fast.h"
#include "../../../core/arch/x86_64/quire_port.h"
#include <kmalloc_internal.h>

#include "../../../core/arch/x86_64/quire_fast.h"
#include "../../../core/arch/x86_64/restart.c"

#define raw_fn __attribute__((noinline, disable_sanitizer_instrumentation))

raw_fn void *real_pop(uint64_t index)
{
	return magazine_pop(NULL, index);
}

raw_fn bool real_push(struct slab *s, void *object)
{
	return magazine_push(NULL, s, object);
}

const unsigned real_gs_heap = PORT_GS_HEAP;

void real_rewind(uint64_t *rip, uint64_t rdx, bool without_commit)
{
	struct trap_frame f = {.rip = *rip, .rdx = rdx};
	const struct restartable *r;

	if (!span)
		restart_init();
	r = restartable_at(*rip);
	if (without_commit && r && r->commit == *rip)
		return;
	restart_rewind(&f);
	*rip = f.rip;
}
