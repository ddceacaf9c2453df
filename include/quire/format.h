/* SPDX-License-Identifier: MIT */
/*
 * printf for the kernel. %d %i %u %x %X %o %c %s %p %% with flags (- 0 + space #), width and
 * precision (numbers or *), and h hh l ll z j t. No floating point. Pure; any context.
 */
#ifndef QUIRE_FORMAT_H
#define QUIRE_FORMAT_H

#include <quire/compiler.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Each piece of output goes to emit(context, text, length). Returns the number of characters. */
size_t format_to(void (*emit)(void *context, const char *text, size_t length), void *context,
		 const char *format, va_list args);

/* As C's snprintf: always terminates when size > 0, returns the length wanted. */
size_t format_buffer(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);
size_t format_buffer_v(char *buffer, size_t size, const char *format, va_list args);

/* "12.3 MiB", "300 B": at most 10 characters with the NUL. Returns buffer. */
char *format_bytes(char buffer[static 12], uint64_t bytes);

/* "1.234 ms", "12 s": at most 12 with the NUL. */
char *format_ns(char buffer[static 16], uint64_t ns);

/* "131,072": thousands separated; at most 27 with the NUL. */
char *format_count(char buffer[static 28], uint64_t count);

#endif
