/* SPDX-License-Identifier: MIT */
/* What commands do with their words: flags, options, numbers. argv[0] is the command. */
#include <quire/errno.h>
#include <quire/shell.h>
#include <quire/string.h>

/* Take `count` words out of argv, which stays NULL-terminated. */
static void remove_words(int *argc, char **argv, int at, int count)
{
	for (int i = at; i + count <= *argc; i++)
		argv[i] = argv[i + count];
	*argc -= count;
}

bool shell_take_flag(int *argc, char **argv, const char *flag)
{
	bool found = false;

	for (int i = 1; i < *argc;) {
		if (strcmp(argv[i], flag)) {
			i++;
			continue;
		}
		remove_words(argc, argv, i, 1);
		found = true;
	}
	return found;
}

const char *shell_take_option(int *argc, char **argv, const char *name)
{
	size_t length = strlen(name);

	for (int i = 1; i < *argc; i++) {
		const char *value;

		if (strncmp(argv[i], name, length))
			continue;
		if (argv[i][length] == '=') {
			value = argv[i] + length + 1;
			remove_words(argc, argv, i, 1);
			return value;
		}
		/* The last word has no value: it stays, and shell_no_more() complains of it. */
		if (argv[i][length] == 0 && i + 1 < *argc) {
			value = argv[i + 1];
			remove_words(argc, argv, i, 2);
			return value;
		}
	}
	return NULL;
}

/* The value of a digit in any base up to 16; 16 when it is none. */
static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* The power of two behind a suffix; -1 when it is none. */
static int suffix_shift(const char *s)
{
	static const char letters[] = "KMGT";
	char upper = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
	const char *at;

	if (!*s)
		return 0;
	at = strchr(letters, upper);
	return at && *at && !s[1] ? (int)(at - letters + 1) * 10 : -1;
}

int shell_parse_u64(const char *text, uint64_t *out)
{
	unsigned base = 10;
	uint64_t value = 0;
	bool overflow = false;
	int shift;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (digit(*text) >= base)
		return -EINVAL;
	for (; digit(*text) < base; text++) {
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit(*text), &value);
	}
	shift = suffix_shift(text);
	if (shift < 0)
		return -EINVAL;
	if (overflow || value > UINT64_MAX >> shift)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

int shell_no_more(int argc, char **argv)
{
	if (argc <= 1)
		return 0;
	return shell_error("unknown argument '%s'", argv[1]);
}
