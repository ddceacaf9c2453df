/* SPDX-License-Identifier: MIT */
/*
 * The shell. A command is one SHELL_COMMAND(...) in a file of its own or with
 * its kin under core/shell/; the linker collects them, nothing lists them.
 */
#ifndef QUIRE_SHELL_H
#define QUIRE_SHELL_H

#include <quire/compiler.h>
#include <quire/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHELL_LINE_BYTES 1024 /* longest line, with its NUL */
#define SHELL_ARGS_MAX   32

struct command {
	const char *name;
	const char *arguments; /* "[--json] [ADDR]", as `help` shows it */
	const char *summary;   /* one line, no full stop */
	const char *help;      /* the rest of `help NAME`: what it shows, what the columns mean, an
				  example */
	/* 0 or a negative errno; a failing command has printed its one clear line (shell_error). */
	int (*run)(int argc, char **argv);
	/* Words for tab completion of arguments, NULL-terminated, or NULL. "--json" need not be
	 * listed. */
	const char *const *words;
};

#define SHELL_COMMAND(ident)                                                                       \
	static const struct command command_##ident;                                               \
	static const struct command *const command_ref_##ident                                     \
		__attribute__((used, section("shell_commands"))) = &command_##ident;               \
	static const struct command command_##ident

/* Output of a command; like console_printf, and the one way commands print. */
void shell_printf(const char *format, ...) printf_like(1, 2);
/* "mem: unknown argument 'x' (try: help mem)". Returns -EINVAL so that a command may `return
 * shell_error(...)`. */
int shell_error(const char *format, ...) printf_like(1, 2);
/* Start / finish the one-line object of --json. */
void shell_json_begin(struct json *j);
void shell_json_end(struct json *j);

/*
 * Argument helpers. take_flag removes a flag like "--json" from argv wherever it stands and says
 * whether it was there. parse_u64 reads decimal, 0x hex, and the suffixes K M G T (powers of 1024);
 * -EINVAL for anything else, -ERANGE past 2^64.
 */
bool shell_take_flag(int *argc, char **argv, const char *flag);
/* "--name VALUE" or "--name=VALUE": removes both, gives VALUE; NULL when absent. */
const char *shell_take_option(int *argc, char **argv, const char *name);
must_check int shell_parse_u64(const char *text, uint64_t *out);
/* No arguments left? Else prints the error and returns -EINVAL. */
must_check int shell_no_more(int argc, char **argv);

/*
 * From here on commands print nothing; the last line of theirs that is not empty is kept in
 * `line`, cut to fit. NULL: they print again.
 */
void shell_capture(char *line, size_t bytes);

/* Has the person typed Ctrl-C? Commands that run long poll it and return -EINTR. */
bool shell_interrupted(void);

/* Run one line (with ';' and quotes) as if typed; returns the last command's result. Threads only.
 */
int shell_run_line(const char *line);

/* The shell's thread: prompt, edit, run, for ever. `argument` is the autorun line or NULL. */
void shell_thread(void *argument);

/* The commands in name order; NULL past the end. */
const struct command *shell_command(size_t i);

#endif
