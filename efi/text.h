/* SPDX-License-Identifier: MIT */
/* Text between two worlds: the firmware's UCS-2 and everyone else's UTF-8. Pure code. */
#ifndef QUIRE_EFI_TEXT_H
#define QUIRE_EFI_TEXT_H

#include <quire/compiler.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool text_equals(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/*
 * Little-endian UCS-2 (or UTF-16), at any alignment, to UTF-8, up to a NUL or `units`. Unpaired surrogates
 * become U+FFFD. Writes at most `size` bytes, always NUL-terminated, never half a
 * character. Returns the length written.
 */
size_t text_from_ucs2(char *out, size_t size, const void *in, size_t units);

/*
 * The load options of a boot entry as a command line. Firmware passes
 * binary there too (its own GUIDs, leftovers), so only what can be nothing but
 * text is taken: UCS-2 or, as efibootmgr writes by default, plain ASCII. A leading
 * program name, as the UEFI shell passes, is dropped. False, and `out` empty, for anything else.
 */
bool text_from_load_options(char *out, size_t size, const void *options, size_t bytes);

/*
 * A small printf: %s %c %u %x and, with ll, 64-bit %llu %llx; %% for itself. Cuts to fit,
 * always NUL-terminated.
 */
void text_format(char *out, size_t size, const char *format, va_list args);

#endif
