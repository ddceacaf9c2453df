/* SPDX-License-Identifier: MIT */
/*
 * Text conversion and formatting for the loader.
 *
 * Invariant of every writer: used < size, and out[used] is the NUL.
 */
#include "text.h"
#include <quire/utf8.h>

struct writer {
	char *out;
	size_t size, used;
};

static struct writer writer_open(char *out, size_t size)
{
	if (size)
		out[0] = '\0';
	return (struct writer){out, size, 0};
}

/* All of it or nothing: a character is never cut in half. */
static bool put(struct writer *w, const char *bytes, size_t count)
{
	if (w->used + count >= w->size)
		return false;
	for (size_t i = 0; i < count; i++)
		w->out[w->used++] = bytes[i];
	w->out[w->used] = '\0';
	return true;
}

static bool put_code_point(struct writer *w, uint32_t c)
{
	char bytes[4];

	return put(w, bytes, utf8_encode(c, bytes));
}

static bool is_high_surrogate(uint32_t u)
{
	return u >= 0xd800 && u < 0xdc00;
}

static bool is_low_surrogate(uint32_t u)
{
	return u >= 0xdc00 && u < 0xe000;
}

/* Byte by byte: load options lie packed in their boot entry, at any address. */
static uint32_t unit(const void *in, size_t i)
{
	const unsigned char *b = in;

	return b[2 * i] | (uint32_t)b[2 * i + 1] << 8;
}

/* The code point at unit *i, stepping over it; U+FFFD for half a pair. */
static uint32_t next_code_point(const void *in, size_t units, size_t *i)
{
	uint32_t u = unit(in, (*i)++), v;

	if (!is_high_surrogate(u) && !is_low_surrogate(u))
		return u;
	if (is_low_surrogate(u) || *i >= units)
		return UTF8_REPLACEMENT;
	v = unit(in, *i);
	if (!is_low_surrogate(v))
		return UTF8_REPLACEMENT;
	(*i)++;
	return 0x10000 + ((u - 0xd800) << 10) + (v - 0xdc00);
}

size_t text_from_ucs2(char *out, size_t size, const void *in, size_t units)
{
	struct writer w = writer_open(out, size);

	for (size_t i = 0; i < units && unit(in, i);)
		if (!put_code_point(&w, next_code_point(in, units, &i)))
			break;
	return w.used;
}

static bool is_printable(uint32_t c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* The length of options as UCS-2 text, or 0 when they are not. */
static size_t ucs2_length(const void *in, size_t units)
{
	size_t i = 0;

	/*
	 * Random 16-bit values are mostly valid characters somewhere in Unicode;
	 * a command line starts in ASCII.
	 */
	if (units == 0 || unit(in, 0) >= 0x7f)
		return 0;
	while (i < units && unit(in, i)) {
		uint32_t c = next_code_point(in, units, &i);

		if (!is_printable(c) || c == UTF8_REPLACEMENT || c == 0xfffe || c == 0xffff)
			return 0;
	}
	return i;
}

/* The length of options as ASCII text, with nothing but NULs behind it, or 0 when they are not. */
static size_t ascii_length(const char *in, size_t bytes)
{
	size_t length = 0, i;

	while (length < bytes && is_printable((unsigned char)in[length]) &&
	       (unsigned char)in[length] < 0x80)
		length++;
	for (i = length; i < bytes && !in[i]; i++)
		;
	return i == bytes ? length : 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Remove "FS0:\EFI\BOOT\BOOTX64.EFI " from the front, and blanks. In place. */
static void drop_program_name(char *text)
{
	static const char suffix[] = ".efi";
	size_t end = 0, from = 0, n = 0;
	bool program;

	while (text[from] == ' ' || text[from] == '\t')
		from++;
	end = from;
	while (text[end] && text[end] != ' ' && text[end] != '\t')
		end++;
	program = end - from > 4;
	for (size_t i = 0; program && i < 4; i++)
		program = lower(text[end - 4 + i]) == suffix[i];
	if (program)
		from = end;
	while (text[from] == ' ' || text[from] == '\t')
		from++;
	while (text[from])
		text[n++] = text[from++];
	text[n] = '\0';
}

bool text_from_load_options(char *out, size_t size, const void *options, size_t bytes)
{
	struct writer w = writer_open(out, size);
	size_t length = ucs2_length(options, bytes / 2);

	if (bytes % 2 == 0 && length) {
		if (text_from_ucs2(out, size, options, length) == 0)
			return false;
	} else {
		length = ascii_length(options, bytes);
		if (length == 0 || !put(&w, options, length))
			return false;
	}
	drop_program_name(out);
	return out[0] != '\0';
}

static void put_number(struct writer *w, uint64_t value, unsigned base)
{
	char digits[20]; /* 2^64 has 20 decimal digits */
	size_t first = sizeof digits;

	do {
		digits[--first] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put(w, digits + first, sizeof digits - first);
}

static void put_string(struct writer *w, const char *text)
{
	while (*text && put(w, text, 1))
		text++;
}

void text_format(char *out, size_t size, const char *format, va_list args)
{
	struct writer w = writer_open(out, size);

	for (const char *f = format; *f; f++) {
		bool wide;
		char c;

		if (*f != '%') {
			put(&w, f, 1);
			continue;
		}
		f++;
		wide = f[0] == 'l' && f[1] == 'l';
		if (wide)
			f += 2;
		switch (*f) {
		case 's':
			put_string(&w, va_arg(args, const char *));
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put(&w, &c, 1);
			break;
		case 'u':
		case 'x':
			put_number(&w,
				   wide ? va_arg(args, unsigned long long)
					: va_arg(args, unsigned int),
				   *f == 'u' ? 10 : 16);
			break;
		case '\0':
			return;
		default:
			put(&w, f, 1);
			break;
		}
	}
}
