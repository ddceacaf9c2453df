/* SPDX-License-Identifier: MIT */
/*
 * What region_build() must answer, worked out frame by frame over a small
 * window of frames: obvious, slow, and written without looking at region.c.
 */
#ifndef QUIRE_REGION_ORACLE_H
#define QUIRE_REGION_ORACLE_H

#include <quire/region.h>

#define ORACLE_NOTHING (-1)

/* It judges the fuzzed code, it is not to be explored itself. */
#define ORACLE_FN static inline __attribute__((no_sanitize("coverage")))

/* Wide enough that no sum of firmware's numbers wraps. */
typedef unsigned __int128 oracle_wide;

ORACLE_FN bool oracle_is_dropped(const struct region_input *e)
{
	oracle_wide end = (oracle_wide)e->base + (oracle_wide)e->pages * 4096;
	oracle_wide last_page;

	if (e->pages == 0 || end >= (oracle_wide)1 << 64)
		return true;
	if (e->kind != REGION_USABLE && e->kind != REGION_RECLAIMABLE)
		return false;
	/* Free memory where no CPU can address any? `last_page` is the last it wants, plus one. */
	last_page = e->kind == REGION_USABLE ? end / 4096 : (end + 4095) / 4096;
	return last_page > (oracle_wide)1 << 40;
}

ORACLE_FN bool oracle_covers(const struct region_input *e, uint64_t frame)
{
	oracle_wide first = (oracle_wide)frame * 4096, past = first + 4096;
	oracle_wide base = e->base, end = base + (oracle_wide)e->pages * 4096;

	if (oracle_is_dropped(e) || frame >= (uint64_t)1 << 40)
		return false;
	if (e->kind == REGION_USABLE)
		return base <= first && past <= end;
	return base < past && first < end;
}

/* The kind of a frame, or ORACLE_NOTHING. */
ORACLE_FN int oracle_kind(const struct region_input *in, size_t count, uint64_t frame)
{
	int kind = ORACLE_NOTHING;

	for (size_t i = 0; i < count; i++) {
		if ((int)in[i].kind > kind && oracle_covers(&in[i], frame))
			kind = (int)in[i].kind;
	}
	if (frame == 0 && (kind == REGION_USABLE || kind == REGION_RECLAIMABLE))
		kind = REGION_RESERVED;
	return kind;
}

#endif
