/* SPDX-License-Identifier: MIT */
/*
 * Strings, a byte at a time: they are short and nothing hot uses them. Copies and
 * fills of memory, which are hot, live in core/arch/<cpu>/memory_ops.c.
 */
#include <quire/string.h>

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

void *memchr(const void *s, int value, size_t bytes)
{
	const unsigned char *x = s;

	for (size_t i = 0; i < bytes; i++)
		if (x[i] == (unsigned char)value)
			return (void *)(size_t)(x + i);
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t size)
{
	size_t n = 0;

	while (n < size && s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		if (x != y)
			return x < y ? -1 : 1;
		if (!x)
			return 0;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, (size_t)-1);
}

/* C lets strchr() and friends drop const; going through size_t says that it is meant. */
char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(size_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)(size_t)found;
	}
}

char *strstr(const char *s, const char *wanted)
{
	size_t length = strlen(wanted);

	for (;; s++) {
		if (!strncmp(s, wanted, length))
			return (char *)(size_t)s;
		if (!*s)
			return NULL;
	}
}
