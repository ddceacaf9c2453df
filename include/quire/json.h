/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer: one object on one line, commas and quoting looked after.
 * Nesting up to JSON_DEPTH. Text goes to an emit function as it is made.
 */
#ifndef QUIRE_JSON_H
#define QUIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 8

struct json {
	void (*emit)(void *context, const char *text, size_t length);
	void *context;
	unsigned depth;
	bool needs_comma[JSON_DEPTH + 1];
};

void json_begin(struct json *j, void (*emit)(void *, const char *, size_t),
		void *context); /* "{" */
void json_end(struct json *j);  /* "}\n" */
/* key is NULL inside arrays. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_hex(struct json *j, const char *key,
	      uint64_t value); /* "0x1f" as a string: JSON numbers lose bits */
void json_bool(struct json *j, const char *key, bool value);
void json_string(struct json *j, const char *key, const char *value); /* NULL writes null */

#endif
