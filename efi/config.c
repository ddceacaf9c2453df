/* SPDX-License-Identifier: MIT */
/*
 * The parser of quire.cfg. The file comes from a stick that anyone may have
 * edited with anything, so every byte is distrusted: a line is either taken
 * whole or ignored with one warning, and the parser never fails.
 *
 * Invariant: every text in struct config is NUL-terminated within its array.
 */
#include "config.h"

/* A piece of the file; not terminated. */
struct piece {
	const char *at;
	size_t bytes;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct piece trim(struct piece p)
{
	while (p.bytes && is_blank(p.at[0])) {
		p.at++;
		p.bytes--;
	}
	while (p.bytes && is_blank(p.at[p.bytes - 1]))
		p.bytes--;
	return p;
}

static bool piece_is(struct piece p, const char *word)
{
	size_t i = 0;

	while (i < p.bytes && word[i] && p.at[i] == word[i])
		i++;
	return i == p.bytes && !word[i];
}

/* Control characters would reach terminals and logs; tabs are harmless. */
static bool has_control(struct piece p)
{
	for (size_t i = 0; i < p.bytes; i++) {
		unsigned char c = (unsigned char)p.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* The setters return NULL, or what is wrong with the value. */
static const char *set_text(char *out, size_t size, struct piece value)
{
	if (value.bytes >= size)
		return "value too long";
	for (size_t i = 0; i < value.bytes; i++)
		out[i] = value.at[i];
	out[value.bytes] = '\0';
	return NULL;
}

static const char *set_number(uint32_t *out, struct piece value)
{
	uint32_t n = 0;

	/* Eight digits cannot overflow, and nobody counts further here. */
	if (value.bytes == 0 || value.bytes > 8)
		return "not a number";
	for (size_t i = 0; i < value.bytes; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return "not a number";
		n = n * 10 + (uint32_t)(value.at[i] - '0');
	}
	*out = n;
	return NULL;
}

static const char *set(struct config *out, struct piece key, struct piece value)
{
	const char *wrong;

	if (piece_is(key, "cmdline")) {
		wrong = set_text(out->cmdline, sizeof out->cmdline, value);
		out->has_cmdline |= !wrong;
		return wrong;
	}
	if (piece_is(key, "autorun"))
		return set_text(out->autorun, sizeof out->autorun, value);
	if (piece_is(key, "fail"))
		return set_text(out->fail, sizeof out->fail, value);
	if (piece_is(key, "map"))
		return set_text(out->map, sizeof out->map, value);
	if (piece_is(key, "refuse"))
		return set_number(&out->refuse, value);
	if (piece_is(key, "stale"))
		return set_number(&out->stale, value);
	return "unknown key";
}

static const char *parse_line(struct config *out, struct piece line)
{
	struct piece key = {line.at, 0};
	struct piece value;

	line = trim(line);
	if (line.bytes == 0 || line.at[0] == '#')
		return NULL;
	if (has_control(line))
		return "control characters";
	key.at = line.at;
	while (key.bytes < line.bytes && key.at[key.bytes] != '=')
		key.bytes++;
	if (key.bytes == line.bytes)
		return "no '='";
	value.at = key.at + key.bytes + 1;
	value.bytes = line.bytes - key.bytes - 1;
	return set(out, trim(key), trim(value));
}

/* Windows editors put a byte order mark first, or save UTF-16. */
static bool skip_mark(struct piece *rest)
{
	const unsigned char *b = (const unsigned char *)rest->at;

	if (rest->bytes >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf) {
		rest->at += 3;
		rest->bytes -= 3;
	}
	return !(rest->bytes >= 2 &&
		 ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff)));
}

void config_parse(struct config *out, const char *text, size_t bytes, config_warn *warn,
		  void *context)
{
	struct piece rest = {text, bytes};

	if (!skip_mark(&rest)) {
		warn(context, 1, "the file is UTF-16; save it as UTF-8");
		return;
	}
	for (unsigned number = 1; rest.bytes; number++) {
		struct piece line = {rest.at, 0};
		const char *wrong;

		while (line.bytes < rest.bytes && rest.at[line.bytes] != '\n')
			line.bytes++;
		wrong = parse_line(out, line);
		if (wrong)
			warn(context, number, wrong);
		/* Step over the line and, where there is one, its end. */
		rest.at += line.bytes;
		rest.bytes -= line.bytes;
		if (rest.bytes) {
			rest.at++;
			rest.bytes--;
		}
	}
}
