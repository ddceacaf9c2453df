/* SPDX-License-Identifier: MIT */
/* What the commands that print tables share. */
#ifndef QUIRE_SHELL_TABLE_H
#define QUIRE_SHELL_TABLE_H

#include <quire/format.h>
#include <stdint.h>

typedef unsigned long long ull; /* what %llu wants */

/* "97.3 %" of whole, as tenths; 0 of 0 is 0. */
static inline uint64_t per_mille(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return 0;
	/* The 128-bit product cannot overflow; the quotient fits as part <= whole. */
	return (uint64_t)(((unsigned __int128)part * 1000 + whole / 2) / whole);
}

#endif
