/* SPDX-License-Identifier: MIT */
/*
 * memcpy and friends, byte by byte: the loader copies a megabyte once. Built
 * with -fno-builtin, or the compiler would turn each loop into a call of itself.
 */
#include "lib.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	char *t = to;
	const char *f = from;

	while (bytes--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	char *t = to;
	const char *f = from;

	if (t <= f)
		for (size_t i = 0; i < bytes; i++)
			t[i] = f[i];
	else
		while (bytes--)
			t[bytes] = f[bytes];
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	char *t = to;

	while (bytes--)
		*t++ = (char)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *x = a, *y = b;

	for (; bytes; x++, y++, bytes--)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}
