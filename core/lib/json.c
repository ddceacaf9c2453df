/* SPDX-License-Identifier: MIT */
/*
 * The JSON writer. needs_comma[d] says whether something stands at depth d
 * already; depth 1 is the outer object. Strings are made valid whatever comes:
 * control characters are escaped, and bytes that are not UTF-8 become U+FFFD.
 * Pure; no lock.
 */
#include <quire/assert.h>
#include <quire/format.h>
#include <quire/json.h>
#include <quire/string.h>
#include <quire/utf8.h>

static void put(struct json *j, const char *text)
{
	j->emit(j->context, text, strlen(text));
}

static void put_char(struct json *j, char c)
{
	j->emit(j->context, &c, 1);
}

/* One code point of a string. */
static void put_escaped(struct json *j, uint32_t c)
{
	char text[8];

	if (c == '"' || c == '\\') {
		format_buffer(text, sizeof text, "\\%c", (int)c);
		put(j, text);
	} else if (c == '\n') {
		put(j, "\\n");
	} else if (c == '\t') {
		put(j, "\\t");
	} else if (c < 0x20 || c == 0x7f) {
		format_buffer(text, sizeof text, "\\u%04x", c);
		put(j, text);
	} else {
		j->emit(j->context, text, utf8_encode(c, text));
	}
}

static void put_quoted(struct json *j, const char *text)
{
	struct utf8 decoder = {0};
	uint32_t out[2];

	put_char(j, '"');
	for (; *text; text++) {
		unsigned n = utf8_decode(&decoder, (uint8_t)*text, out);

		for (unsigned i = 0; i < n; i++)
			put_escaped(j, out[i]);
	}
	if (utf8_unfinished(&decoder))
		put_escaped(j, UTF8_REPLACEMENT);
	put_char(j, '"');
}

/* The comma before and the key in front of the next thing. */
static void lead_in(struct json *j, const char *key)
{
	if (j->needs_comma[j->depth])
		put_char(j, ',');
	j->needs_comma[j->depth] = true;
	if (key) {
		put_quoted(j, key);
		put_char(j, ':');
	}
}

static void open(struct json *j, char bracket)
{
	assert(j->depth < JSON_DEPTH);
	put_char(j, bracket);
	j->needs_comma[++j->depth] = false;
}

static void close(struct json *j, char bracket)
{
	assert(j->depth > 0);
	j->depth--;
	put_char(j, bracket);
}

void json_begin(struct json *j, void (*emit)(void *, const char *, size_t), void *context)
{
	*j = (struct json){.emit = emit, .context = context};
	open(j, '{');
}

void json_end(struct json *j)
{
	assert(j->depth == 1);
	close(j, '}');
	put_char(j, '\n');
}

void json_object(struct json *j, const char *key)
{
	lead_in(j, key);
	open(j, '{');
}

void json_object_end(struct json *j)
{
	close(j, '}');
}

void json_array(struct json *j, const char *key)
{
	lead_in(j, key);
	open(j, '[');
}

void json_array_end(struct json *j)
{
	close(j, ']');
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	format_buffer(text, sizeof text, "%llu", (unsigned long long)value);
	lead_in(j, key);
	put(j, text);
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	format_buffer(text, sizeof text, "\"0x%llx\"", (unsigned long long)value);
	lead_in(j, key);
	put(j, text);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead_in(j, key);
	put(j, value ? "true" : "false");
}

void json_string(struct json *j, const char *key, const char *value)
{
	lead_in(j, key);
	if (value)
		put_quoted(j, value);
	else
		put(j, "null");
}
