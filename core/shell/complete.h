/* SPDX-License-Identifier: MIT */
/* Tab completion and "did you mean". Pure. */
#ifndef QUIRE_SHELL_COMPLETE_H
#define QUIRE_SHELL_COMPLETE_H

#include <quire/shell.h>

#define COMPLETIONS_MAX 64

struct completion {
	unsigned count; /* words that fit */
	const char *words[COMPLETIONS_MAX];
	size_t typed;  /* bytes of them that stand in the line already */
	size_t common; /* bytes all of them share, at least `typed` */
};

/*
 * What may follow `line` (the text up to the cursor): command names for the first word of a command
 * and after `help`, else the command's own words and "--json" where it takes that. `commands` is
 * NULL-terminated.
 */
void complete_line(const struct command *const *commands, const char *line, struct completion *out);

/* The command name nearest to a mistyped one, or NULL when none is near. */
const char *complete_nearest(const struct command *const *commands, const char *name);

#endif
