/* SPDX-License-Identifier: MIT */
/* What the commands that print tables share. */
#ifndef QUIRE_SHELL_TABLE_H
#define QUIRE_SHELL_TABLE_H

#include <quire/format.h>
#include <stdint.h>

typedef unsigned long long ull; /* what %llu wants */

/* Tenths of a per cent that `part` is of `whole`, rounded; 0 of 0 is 0. For counts below 2^54. */
static inline uint64_t per_mille(uint64_t part, uint64_t whole)
{
	return whole ? (part * 1000 + whole / 2) / whole : 0;
}

#endif
