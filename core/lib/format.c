/* SPDX-License-Identifier: MIT */
/*
 * printf for the kernel.
 *
 * A conversion is parsed into a struct spec, its digits are made in a buffer,
 * and one function lays every field out the same way:
 *
 *	[blanks] [sign or 0x] [zeros] [body] [blanks]
 *	|<------------------ width ----------------->|     (when width is larger)
 *	                      |<- precision ->|            (numbers: zeros + body >= precision)
 *
 * Pure; no lock.
 */
#include <quire/format.h>
#include <quire/string.h>
#include <stdbool.h>

struct spec {
	bool left, plus, space, hash, zero;
	int width;
	int precision; /* -1: none given */
	unsigned bits; /* of the integer argument: 8, 16, 32, 64 */
	char conversion;
};

struct out {
	void (*emit)(void *context, const char *text, size_t length);
	void *context;
	size_t count;
};

static void put(struct out *o, const char *text, size_t length)
{
	if (length > 0)
		o->emit(o->context, text, length);
	o->count += length;
}

static void pad(struct out *o, char c, size_t length)
{
	char run[16];

	memset(run, c, sizeof run);
	for (; length > sizeof run; length -= sizeof run)
		put(o, run, sizeof run);
	put(o, run, length);
}

/* Lay out one field; see the picture above. */
static void put_field(struct out *o, const struct spec *s, const char *prefix, size_t zeros,
		      const char *body, size_t length)
{
	size_t prefix_length = strlen(prefix), used = prefix_length + zeros + length;
	size_t blanks = s->width > 0 && (size_t)s->width > used ? (size_t)s->width - used : 0;

	if (!s->left)
		pad(o, ' ', blanks);
	put(o, prefix, prefix_length);
	pad(o, '0', zeros);
	put(o, body, length);
	if (s->left)
		pad(o, ' ', blanks);
}

/* Digits of `value` into the end of a 64-byte buffer; 0 has none. Returns their start. */
static const char *digits_of(char buffer[static 64], uint64_t value, unsigned base, bool upper)
{
	const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char *p = buffer + 64;

	for (; value; value /= base)
		*--p = alphabet[value % base];
	return p;
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, const char *sign)
{
	unsigned base = 10;
	char buffer[64];
	const char *digits, *prefix = sign;
	size_t length, zeros = 0, wanted = s->precision < 0 ? 1 : (size_t)s->precision;

	if (s->conversion == 'x' || s->conversion == 'X' || s->conversion == 'p')
		base = 16;
	else if (s->conversion == 'o')
		base = 8;
	digits = digits_of(buffer, value, base, s->conversion == 'X');
	length = (size_t)(buffer + sizeof buffer - digits);
	if (base == 16 && s->hash && (value || s->conversion == 'p'))
		prefix = s->conversion == 'X' ? "0X" : "0x";
	if (base == 8 && s->hash && wanted <= length)
		wanted = length + 1;
	/* The 0 flag is a precision that fills the width; an explicit one overrides it. */
	if (s->zero && !s->left && s->precision < 0 && s->width > 0) {
		size_t room = (size_t)s->width, prefix_length = strlen(prefix);

		if (room > prefix_length && room - prefix_length > wanted)
			wanted = room - prefix_length;
	}
	if (wanted > length)
		zeros = wanted - length;
	put_field(o, s, prefix, zeros, digits, length);
}

static void put_signed(struct out *o, const struct spec *s, int64_t value)
{
	const char *sign = s->plus ? "+" : s->space ? " " : "";

	/* Negating in unsigned arithmetic is right for the most negative value too. */
	if (value < 0)
		put_number(o, s, 0 - (uint64_t)value, "-");
	else
		put_number(o, s, (uint64_t)value, sign);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	size_t length;

	if (!text)
		text = "(null)";
	length = s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision);
	put_field(o, s, "", 0, text, length);
}

static bool parse_flag(struct spec *s, char c)
{
	switch (c) {
	case '-':
		s->left = true;
		return true;
	case '+':
		s->plus = true;
		return true;
	case ' ':
		s->space = true;
		return true;
	case '#':
		s->hash = true;
		return true;
	case '0':
		s->zero = true;
		return true;
	default:
		return false;
	}
}

/* Wider than any field anybody wants; keeps the arithmetic far from overflow. */
#define FIELD_MAX 4096

static const char *parse_decimal(const char *f, int *value)
{
	int v = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		if (v < FIELD_MAX)
			v = v * 10 + (*f - '0');
	*value = v < FIELD_MAX ? v : FIELD_MAX;
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->bits = 32;
	switch (*f) {
	case 'h':
		if (f[1] == 'h') {
			s->bits = 8;
			return f + 2;
		}
		s->bits = 16;
		return f + 1;
	case 'l':
		s->bits = 64;
		return f[1] == 'l' ? f + 2 : f + 1;
	case 'z':
	case 'j':
	case 't':
		s->bits = 64;
		return f + 1;
	default:
		return f;
	}
}

/* A va_list inside a struct, so that a pointer to it has one meaning on every ABI. */
struct arguments {
	va_list list;
};

static int argument_field(struct arguments *a)
{
	int v = va_arg(a->list, int);

	if (v > FIELD_MAX)
		return FIELD_MAX;
	return v < -FIELD_MAX ? -FIELD_MAX : v;
}

/* Everything between % and the conversion letter. */
static const char *parse_spec(const char *f, struct spec *s, struct arguments *a)
{
	*s = (struct spec){.precision = -1};
	while (parse_flag(s, *f))
		f++;
	if (*f == '*') {
		s->width = argument_field(a);
		if (s->width < 0) {
			s->left = true;
			s->width = -s->width;
		}
		f++;
	} else {
		f = parse_decimal(f, &s->width);
	}
	if (*f == '.') {
		f++;
		if (*f == '*') {
			s->precision = argument_field(a);
			f++;
		} else {
			f = parse_decimal(f, &s->precision);
		}
		if (s->precision < 0)
			s->precision = -1;
	}
	f = parse_length(f, s);
	s->conversion = *f;
	return *f ? f + 1 : f;
}

static uint64_t unsigned_argument(const struct spec *s, struct arguments *a)
{
	uint64_t v = s->bits == 64 ? va_arg(a->list, uint64_t) : va_arg(a->list, unsigned);

	return s->bits == 64 ? v : v & ((1ull << s->bits) - 1);
}

static int64_t signed_argument(const struct spec *s, struct arguments *a)
{
	int64_t v = s->bits == 64 ? va_arg(a->list, int64_t) : va_arg(a->list, int);

	if (s->bits == 8)
		return (int8_t)v;
	return s->bits == 16 ? (int16_t)v : v;
}

static void convert(struct out *o, struct spec *s, struct arguments *a)
{
	char c;

	switch (s->conversion) {
	case 'd':
	case 'i':
		put_signed(o, s, signed_argument(s, a));
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		put_number(o, s, unsigned_argument(s, a), "");
		break;
	case 'p':
		s->hash = true;
		put_number(o, s, (uintptr_t)va_arg(a->list, void *), "");
		break;
	case 'c':
		c = (char)va_arg(a->list, int);
		put_field(o, s, "", 0, &c, 1);
		break;
	case 's':
		put_string(o, s, va_arg(a->list, const char *));
		break;
	case '%':
		put(o, "%", 1);
		break;
	default: /* not ours: show it rather than lose it */
		put(o, "%", 1);
		put(o, &s->conversion, s->conversion != 0);
		break;
	}
}

size_t format_to(void (*emit)(void *context, const char *text, size_t length), void *context,
		 const char *format, va_list args)
{
	struct out o = {.emit = emit, .context = context};
	struct arguments a;
	struct spec s;

	va_copy(a.list, args);
	while (*format) {
		const char *percent = strchr(format, '%');

		if (!percent) {
			put(&o, format, strlen(format));
			break;
		}
		put(&o, format, (size_t)(percent - format));
		format = parse_spec(percent + 1, &s, &a);
		convert(&o, &s, &a);
	}
	va_end(a.list);
	return o.count;
}

struct buffer {
	char *text;
	size_t size, used;
};

static void emit_to_buffer(void *context, const char *text, size_t length)
{
	struct buffer *b = context;
	size_t room = b->size - b->used;

	if (length > room)
		length = room;
	memcpy(b->text + b->used, text, length);
	b->used += length;
}

size_t format_buffer_v(char *buffer, size_t size, const char *format, va_list args)
{
	struct buffer b = {.text = buffer, .size = size ? size - 1 : 0};
	size_t wanted = format_to(emit_to_buffer, &b, format, args);

	if (size)
		buffer[b.used] = 0;
	return wanted;
}

size_t format_buffer(char *buffer, size_t size, const char *format, ...)
{
	va_list args;
	size_t wanted;

	va_start(args, format);
	wanted = format_buffer_v(buffer, size, format, args);
	va_end(args);
	return wanted;
}
