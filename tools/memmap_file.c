/* SPDX-License-Identifier: MIT */
/*
 * Parser of memory map files. Strict: whatever is not clearly a descriptor is
 * an error with its line number, for a plan made from half a map is worse
 * than none. What the descriptors say is not judged here.
 */
#include "memmap_file.h"
#include <errno.h>
#include <quire/memmap.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece of the text; not terminated. */
struct field {
	const char *start;
	size_t length;
};

enum {
	TYPE,
	BASE,
	PAGES,
	ATTRIBUTES,
	FIELDS
};

static int printf_like(3, 4) fail(struct memmap_file *map, size_t line, const char *format, ...)
{
	va_list args;

	map->error_line = line;
	va_start(args, format);
	vsnprintf(map->error, sizeof map->error, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Split up to FIELDS + 1 fields off the line; a field that starts with '#' ends it. */
static size_t split(const char *line, const char *end, struct field fields[FIELDS + 1])
{
	size_t count = 0;

	while (count <= FIELDS) {
		while (line < end && is_blank(*line))
			line++;
		if (line == end || *line == '#')
			break;
		fields[count].start = line;
		while (line < end && !is_blank(*line))
			line++;
		fields[count].length = (size_t)(line - fields[count].start);
		count++;
	}
	return count;
}

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* 0, -EINVAL for anything but digits, -ERANGE past 64 bits. 0x in front always means base 16. */
static int parse_number(struct field f, unsigned base, uint64_t *value)
{
	uint64_t sum = 0;

	if (f.length > 2 && f.start[0] == '0' && (f.start[1] == 'x' || f.start[1] == 'X')) {
		base = 16;
		f.start += 2;
		f.length -= 2;
	}
	for (size_t i = 0; i < f.length; i++) {
		if (digit_value(f.start[i]) >= base)
			return -EINVAL;
	}
	for (size_t i = 0; i < f.length; i++) {
		if (__builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit_value(f.start[i]), &sum))
			return -ERANGE;
	}
	*value = sum;
	return f.length > 0 ? 0 : -EINVAL;
}

/* A field for an error message: short, and nothing that upsets a terminal. */
struct quoted {
	char text[28];
};

static struct quoted quote(struct field f)
{
	struct quoted q = {""};
	size_t i;

	for (i = 0; i < f.length && i < 20; i++)
		q.text[i] = f.start[i] >= ' ' && f.start[i] <= '~' ? f.start[i] : '?';
	if (i < f.length)
		memcpy(&q.text[i], "...", 3);
	return q;
}

static int parse_field(struct memmap_file *map, size_t line, struct field f, unsigned base,
		       const char *what, uint64_t *value)
{
	switch (parse_number(f, base, value)) {
	case 0:
		return 0;
	case -ERANGE:
		return fail(map, line, "the %s '%s' does not fit in 64 bits", what, quote(f).text);
	default:
		return fail(map, line, "the %s '%s' is not a %s number", what, quote(f).text,
			    base == 16 ? "hexadecimal" : "decimal");
	}
}

static int parse_entry(struct memmap_file *map, struct memmap_entry *e, const struct field *fields,
		       size_t count)
{
	struct field attributes;
	int type, error;

	if (count != FIELDS)
		return fail(map, e->line,
			    "%s columns instead of 4: TYPE START_HEX PAGES ATTRIBUTES_HEX_OR_-",
			    count < FIELDS ? "fewer" : "more");
	type = memmap_type_from_name(fields[TYPE].start, fields[TYPE].length);
	if (type < 0)
		return fail(map, e->line, "unknown memory type '%s'", quote(fields[TYPE]).text);
	e->type = (uint32_t)type;
	error = parse_field(map, e->line, fields[BASE], 16, "start address", &e->base);
	if (!error)
		error = parse_field(map, e->line, fields[PAGES], 10, "page count", &e->pages);
	attributes = fields[ATTRIBUTES];
	e->attributes = 0;
	if (!error && !(attributes.length == 1 && attributes.start[0] == '-'))
		error = parse_field(map, e->line, attributes, 16, "attributes", &e->attributes);
	return error;
}

static int append(struct memmap_file *map, const struct memmap_entry *e)
{
	if (map->count == map->capacity) {
		size_t capacity = map->capacity ? 2 * map->capacity : 64;
		struct memmap_entry *entries =
			reallocarray(map->entries, capacity, sizeof *entries);

		if (!entries) {
			(void)fail(map, 0, "not enough memory for %zu entries", capacity);
			return -ENOMEM;
		}
		map->entries = entries;
		map->capacity = capacity;
	}
	map->entries[map->count++] = *e;
	return 0;
}

static int parse_line(struct memmap_file *map, size_t number, const char *line, const char *end)
{
	struct field fields[FIELDS + 1];
	struct memmap_entry e = {.line = number};
	size_t count;
	int error;

	if (line < end && end[-1] == '\r')
		end--;
	count = split(line, end, fields);
	if (count == 0)
		return 0;
	error = parse_entry(map, &e, fields, count);
	return error ? error : append(map, &e);
}

int memmap_file_parse(struct memmap_file *map, const char *text, size_t length)
{
	const char *end = text + length, *line = text;
	int error = 0;

	*map = (struct memmap_file){0};
	/* Editors of one large company begin a text with a byte order mark. */
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	for (size_t number = 1; line < end && !error; number++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *line_end = newline ? newline : end;

		error = parse_line(map, number, line, line_end);
		line = newline ? newline + 1 : end;
	}
	if (!error && map->count == 0)
		error = fail(map, 0, "no memory map entries in it");
	return error;
}

void memmap_file_free(struct memmap_file *map)
{
	free(map->entries);
	map->entries = NULL;
	map->count = map->capacity = 0;
}
