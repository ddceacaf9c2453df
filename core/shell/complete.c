/* SPDX-License-Identifier: MIT */
/* Completion reads the line as the parser does, but only as far as it must. */
#include "complete.h"
#include <quire/string.h>

#define NAME_BYTES_MAX 24

/* Where the cursor is, in words. */
struct place {
	const char *command; /* the command's name; command_length 0: the name itself is typed */
	size_t command_length;
	const char *word; /* the word under the cursor, up to it */
	bool quoted;      /* inside quotes: nothing to offer */
};

static struct place find_place(const char *line)
{
	struct place p = {.command = line, .word = line};
	bool in_word = false;
	char quote = 0;

	for (const char *s = line; *s; s++) {
		if (quote) {
			if (*s == quote)
				quote = 0;
		} else if (*s == '\'' || *s == '"') {
			quote = *s;
		} else if (*s == ';') {
			p = (struct place){.command = s + 1, .word = s + 1};
			in_word = false;
			continue;
		} else if (*s == ' ' || *s == '\t') {
			if (in_word && !p.command_length)
				p.command_length = (size_t)(s - p.command);
			in_word = false;
			p.word = s + 1;
			continue;
		}
		if (!in_word && !p.command_length)
			p.command = s;
		in_word = true;
	}
	p.quoted = quote != 0;
	return p;
}

static void offer(struct completion *c, const char *word, const char *typed)
{
	size_t common = 0;

	if (strncmp(word, typed, c->typed) || c->count == COMPLETIONS_MAX)
		return;
	if (c->count == 0) {
		common = strlen(word);
	} else {
		const char *first = c->words[0];

		while (common < c->common && word[common] == first[common])
			common++;
	}
	c->common = common;
	c->words[c->count++] = word;
}

static void offer_names(const struct command *const *commands, struct completion *c,
			const char *typed)
{
	for (; *commands; commands++)
		offer(c, (*commands)->name, typed);
}

static const struct command *find(const struct command *const *commands, const char *name,
				  size_t length)
{
	for (; *commands; commands++)
		if (strlen((*commands)->name) == length &&
		    !strncmp((*commands)->name, name, length))
			return *commands;
	return NULL;
}

void complete_line(const struct command *const *commands, const char *line, struct completion *out)
{
	struct place p = find_place(line);
	const struct command *command;

	*out = (struct completion){.typed = strlen(p.word)};
	out->common = out->typed;
	if (p.quoted)
		return;
	if (!p.command_length) {
		offer_names(commands, out, p.word);
		return;
	}
	command = find(commands, p.command, p.command_length);
	if (!command)
		return;
	if (!strcmp(command->name, "help"))
		offer_names(commands, out, p.word);
	for (const char *const *w = command->words; w && *w; w++)
		offer(out, *w, p.word);
	if (command->arguments && strstr(command->arguments, "--json"))
		offer(out, "--json", p.word);
}

/*
 * Edits between two names: a letter added, dropped, changed, or two neighbours swapped. Dynamic
 * programming over the last three rows of the usual table: row[i % 3][j] = edits between the first i
 * letters of a and the first j of b.
 */
static unsigned edits(const char *a, const char *b)
{
	unsigned row[3][NAME_BYTES_MAX + 1];
	size_t m = strnlen(a, NAME_BYTES_MAX), n = strnlen(b, NAME_BYTES_MAX);

	for (size_t j = 0; j <= n; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		unsigned *now = row[i % 3], *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[m % 3][n];
}

const char *complete_nearest(const struct command *const *commands, const char *name)
{
	size_t length = strlen(name);
	unsigned nearest = length < 2 ? 1 : length < 5 ? 2 : 3; /* fewer edits than this */
	const char *found = NULL;

	for (const struct command *const *c = commands; *c; c++) {
		unsigned distance = edits(name, (*c)->name);

		if (distance < nearest) {
			nearest = distance;
			found = (*c)->name;
		}
	}
	for (const struct command *const *c = commands; !found && length > 1 && *c; c++)
		if (!strncmp((*c)->name, name, length))
			found = (*c)->name;
	return found;
}
