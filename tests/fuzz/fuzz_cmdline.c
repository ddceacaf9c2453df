/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the kernel command line, looked up by keys that the bytes
 * choose, too. The shadow finds words the slow way: split, then compare.
 *
 *   byte 0   length of the key; then the key, then the line
 */
#include "must.h"
#include <quire/cmdline.h>
#include <string.h>

#define LINE_MAX 2047u /* what cmdline_init() keeps */

static char line[3000];

static bool is_blank(char c)
{
	return c && strchr(" \t\n\r", c);
}

/* The last word of the line that is `key` or begins with "key="; NULL when none. */
static const char *shadow_find(const char *key, char word[static LINE_MAX + 1])
{
	size_t length = strlen(key), kept = strlen(line) < LINE_MAX ? strlen(line) : LINE_MAX;
	const char *found = NULL;
	static char candidate[LINE_MAX + 1];

	for (size_t at = 0; at < kept;) {
		bool quoted = false;
		size_t n = 0;

		if (is_blank(line[at])) {
			at++;
			continue;
		}
		for (; at < kept && (quoted || !is_blank(line[at])); at++) {
			quoted ^= line[at] == '"';
			candidate[n++] = line[at];
		}
		candidate[n] = '\0';
		if (!strncmp(candidate, key, length) && (n == length || candidate[length] == '=')) {
			memcpy(word, candidate, n + 1);
			found = word + length;
		}
	}
	return found;
}

static void without_quotes(char *text)
{
	char *out = text;

	for (; *text; text++)
		if (*text != '"')
			*out++ = *text;
	*out = '\0';
}

static void check(const char *key, size_t room)
{
	static char word[LINE_MAX + 1], value[LINE_MAX + 64];
	const char *wanted = shadow_find(key, word);
	bool has_value = wanted && *wanted == '=', got;

	memset(value, 'x', sizeof value);
	got = cmdline_get(key, value, room);
	must(got == has_value, "a key was found, or not");
	must(!wanted ? cmdline_bool(key, true) && !cmdline_bool(key, false) : true,
	     "an absent switch is as the fallback has it");
	if (wanted && !has_value)
		must(cmdline_bool(key, false), "a bare key is a switch that is on");
	if (!got)
		return;
	without_quotes(word + strlen(key) + 1);
	if (room) {
		must(strlen(value) < room, "a value longer than its room");
		must(!strncmp(value, wanted + 1, room - 1) &&
			     (strlen(wanted + 1) >= room || !strcmp(value, wanted + 1)),
		     "not the value of the last such word");
	}
	must(value[room] == 'x', "wrote behind the room");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char key[17] = "";
	size_t length;

	if (size < 2 || size - 1 >= sizeof line)
		return 0;
	length = data[0] % 8u + 1;
	if (length > size - 1)
		length = size - 1;
	memcpy(key, data + 1, length);
	memcpy(line, data + 1, size - 1);
	line[size - 1] = '\0';
	cmdline_init(line);
	/* Keys are the kernel's own words. */
	if (key[0] && !strpbrk(key, " \t\n\r\"="))
		check(key, data[0] >> 3);
	check("log", 16);
	check("reclaim", 4);
	return 0;
}
