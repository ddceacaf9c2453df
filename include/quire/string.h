/* SPDX-License-Identifier: MIT */
/*
 * The part of C's <string.h> the kernel has, with C's meaning, plus the two BSD
 * functions that cannot overflow. Pure; any context.
 *
 * The four mem* functions are also what the compiler calls for copies and
 * fills of its own. They know the CPU: core/arch/<cpu>/memory_ops.c.
 */
#ifndef QUIRE_STRING_H
#define QUIRE_STRING_H

#include <stddef.h>

#ifdef QUIRE_HOSTED
#include <string.h>
#else
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *s, int value, size_t bytes);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t size);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *wanted);
#endif

/*
 * Copy / append to a buffer of `size` bytes, cut to fit, always terminated
 * (when size > 0). They return the length they tried to make: a result >= size
 * means it was cut.
 */
size_t strlcpy(char *to, const char *from, size_t size);
size_t strlcat(char *to, const char *from, size_t size);

#endif
