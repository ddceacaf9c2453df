/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line. A value with blanks is quoted: key="a b". Of a key
 * given twice the last one counts. Written once at boot, read-only after: no lock.
 */
#include <quire/cmdline.h>
#include <quire/string.h>

#define CMDLINE_BYTES 2048

static char copy[CMDLINE_BYTES];

void cmdline_init(const char *text)
{
	strlcpy(copy, text, sizeof copy);
}

const char *cmdline_text(void)
{
	return copy;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of the word at `s`: a blank outside double quotes, or the end. */
static const char *word_end(const char *s)
{
	bool quoted = false;

	for (; *s && (quoted || !is_blank(*s)); s++)
		if (*s == '"')
			quoted = !quoted;
	return s;
}

/* Copy a value without its quotes, cut to fit. */
static void copy_value(char *out, size_t size, const char *from, const char *end)
{
	size_t used = 0;

	if (!size)
		return;
	for (; from < end; from++)
		if (*from != '"' && used + 1 < size)
			out[used++] = *from;
	out[used] = 0;
}

/* The last word for `key`: its value's start and end. A bare key gives NULL, NULL and true. */
static bool find(const char *key, const char **value, const char **end)
{
	size_t length = strlen(key);
	bool found = false;

	for (const char *s = copy; *s;) {
		const char *stop;

		if (is_blank(*s)) {
			s++;
			continue;
		}
		stop = word_end(s);
		if ((size_t)(stop - s) >= length && !memcmp(s, key, length) &&
		    (s + length == stop || s[length] == '=')) {
			bool bare = s + length == stop;

			found = true;
			*value = bare ? NULL : s + length + 1;
			*end = bare ? NULL : stop;
		}
		s = stop;
	}
	return found;
}

bool cmdline_get(const char *key, char *out, size_t size)
{
	const char *value, *end;

	if (!find(key, &value, &end) || !value)
		return false;
	copy_value(out, size, value, end);
	return true;
}

bool cmdline_bool(const char *key, bool fallback)
{
	static const char *const yes[] = {"1", "on", "yes", "true"};
	static const char *const no[] = {"0", "off", "no", "false"};
	const char *value, *end;
	char text[8];

	if (!find(key, &value, &end))
		return fallback;
	if (!value)
		return true;
	copy_value(text, sizeof text, value, end);
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (!strcmp(text, yes[i]))
			return true;
		if (!strcmp(text, no[i]))
			return false;
	}
	return fallback;
}
