/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset for x86-64, without vector registers (the kernel may
 * not touch them). Bulk goes through REP MOVSQ/STOSQ: microcoded "fast strings"
 * on hardware (Intel optimisation manual section 3.7.6), and eight times fewer
 * steps than the byte forms where an emulator runs them one by one. REP costs
 * tens of cycles to start, so short runs are plain 8-byte moves.
 *
 * The odd tail of a run of 8 or more bytes is done as one more 8-byte move that
 * overlaps its neighbour:
 *
 *	|--8--|--8--|--8--|-5-|         n = 29
 *	              |--8--|           the last 8 bytes, read before anything is written
 */
#include "kasan.h"
#include <quire/string.h>
#include <stdint.h>

/* REP pays off from here on. */
#define REP_BYTES_MIN 128

/* An unaligned 8-byte word anywhere in memory. */
struct word {
	uint64_t v;
} __attribute__((packed, may_alias));

static inline uint64_t load8(const char *p)
{
	return ((const struct word *)(const void *)p)->v;
}

static inline void store8(char *p, uint64_t v)
{
	((struct word *)(void *)p)->v = v;
}

/* Rising addresses: right whenever `to` is not inside the source behind its start. */
static void copy_up(char *to, const char *from, size_t n)
{
	uint64_t tail;
	char *end = to + n;

	if (n < 8) {
		while (n--)
			*to++ = *from++;
		return;
	}
	tail = load8(from + n - 8);
	if (n >= REP_BYTES_MIN) {
		size_t words = n / 8;

		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	} else {
		for (; n >= 8; n -= 8, to += 8, from += 8)
			store8(to, load8(from));
	}
	store8(end - 8, tail);
}

/* Falling addresses, for `to` inside the source. REP with the direction flag set is slow anyway. */
static void copy_down(char *to, const char *from, size_t n)
{
	for (; n >= 8; n -= 8)
		store8(to + n - 8, load8(from + n - 8));
	while (n--)
		to[n] = from[n];
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	kasan_check((uintptr_t)from, bytes, false, caller_address());
	kasan_check((uintptr_t)to, bytes, true, caller_address());
	copy_up(to, from, bytes);
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	kasan_check((uintptr_t)from, bytes, false, caller_address());
	kasan_check((uintptr_t)to, bytes, true, caller_address());
	if ((uintptr_t)to - (uintptr_t)from < bytes)
		copy_down(to, from, bytes);
	else
		copy_up(to, from, bytes);
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	uint64_t pattern = (unsigned char)value * 0x0101010101010101ull;
	char *p = to, *end = p + bytes;

	kasan_check((uintptr_t)to, bytes, true, caller_address());
	if (bytes < 8) {
		while (p < end)
			*p++ = (char)value;
		return to;
	}
	if (bytes >= REP_BYTES_MIN) {
		size_t words = bytes / 8;

		__asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(pattern) : "memory");
	} else {
		for (; end - p >= 8; p += 8)
			store8(p, pattern);
	}
	store8(end - 8, pattern);
	return to;
}
