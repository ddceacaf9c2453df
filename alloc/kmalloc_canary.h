/* SPDX-License-Identifier: MIT */
/*
 * Bytes that nobody should change, and which of them somebody did. The value depends on the
 * address, so that a byte copied from next door does not pass.
 */
#ifndef QUIRE_KMALLOC_CANARY_H
#define QUIRE_KMALLOC_CANARY_H

#include <quire/types.h>

static inline uint8_t canary_at(uint64_t address)
{
	return (uint8_t)(0xa8 ^ (address & 7));
}

static inline void canary_fill(uint64_t from, uint64_t end)
{
	for (; from < end && from % 8; from++)
		*(uint8_t *)(uintptr_t)from = canary_at(from);
	for (; from + 8 <= end; from += 8)
		*(uint64_t *)(uintptr_t)from = 0xafaeadacabaaa9a8u;
	for (; from < end; from++)
		*(uint8_t *)(uintptr_t)from = canary_at(from);
}

/* The first changed byte in [from, end), or `end`. */
static inline uint64_t canary_first_change(uint64_t from, uint64_t end)
{
	while (from < end && *(const uint8_t *)(uintptr_t)from == canary_at(from))
		from++;
	return from;
}

/* The last one, or `from` - 1. */
static inline uint64_t canary_last_change(uint64_t from, uint64_t end)
{
	while (end > from && *(const uint8_t *)(uintptr_t)(end - 1) == canary_at(end - 1))
		end--;
	return end - 1;
}

#endif
