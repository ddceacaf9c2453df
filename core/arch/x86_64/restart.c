/* SPDX-License-Identifier: MIT */
/*
 * Starting interrupted runs over; quire_fast.h says what they are and why.
 *
 * Every interrupt asks before anything else: in whatever comes next objects may be allocated,
 * and another thread may run. All runs lie in the few functions that alloc/kmalloc*.c makes of them,
 * close together in the image, so that two comparisons answer nearly always.
 *
 * Constant data: no lock.
 */
#include "restart.h"

/* From the first run's start to the last one's end; the linker keeps the order of neither. */
static uint64_t lowest, span;

void restart_init(void)
{
	uint64_t low = ~(uint64_t)0, high = 0;

	for (const struct restartable *r = __start_restartable; r < __stop_restartable; r++) {
		low = r->start < low ? r->start : low;
		high = r->commit > high ? r->commit : high;
	}
	lowest = low;
	span = high - low;
}

const struct restartable *restartable_at(uint64_t rip)
{
	for (const struct restartable *r = __start_restartable; r < __stop_restartable; r++)
		if (rip > r->start && rip <= r->commit)
			return r;
	return NULL;
}

void restart_rewind(struct trap_frame *f)
{
	const struct restartable *r;

	if (likely(f->rip - lowest > span))
		return;
	r = restartable_at(f->rip);
	if (!r)
		return;
	if (f->rip == r->commit)
		*(volatile uint8_t *)(uintptr_t)f->rdx = (uint8_t)r->undo;
	f->rip = r->start;
}
