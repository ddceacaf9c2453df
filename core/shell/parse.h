/* SPDX-License-Identifier: MIT */
/* From a line to words. Pure. */
#ifndef QUIRE_SHELL_PARSE_H
#define QUIRE_SHELL_PARSE_H

#include <quire/compiler.h>
#include <quire/shell.h>

/* One command's words; they live in `text`. argv[argc] is NULL. */
struct parsed_command {
	int argc;
	char *argv[SHELL_ARGS_MAX + 1];
	char text[SHELL_LINE_BYTES];
};

/*
 * Take the next command off *line, which then points behind it.
 *
 *	line      command [; command] ...
 *	command   words between blanks; may be empty (argc 0)
 *	word      plain characters, 'taken literally', "taken literally but for \" and \\",
 *	          \ before any character takes it literally
 *
 * 1: a command; 0: the line is at its end; -EINVAL: a quote is not closed, or a \ ends the line;
 * -E2BIG: more than SHELL_ARGS_MAX words or SHELL_LINE_BYTES characters. After an error *line is
 * not moved.
 */
must_check int parse_command(const char **line, struct parsed_command *out);

#endif
