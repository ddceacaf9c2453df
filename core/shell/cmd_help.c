/* SPDX-License-Identifier: MIT */
/* help, and the small commands that need nothing: clear, echo. */
#include <quire/errno.h>
#include <quire/shell.h>
#include <quire/string.h>

#define TABLE_COLUMNS 80

static int help_json(void)
{
	const struct command *c;
	struct json j;

	shell_json_begin(&j);
	json_array(&j, "commands");
	for (size_t i = 0; (c = shell_command(i)); i++) {
		json_object(&j, NULL);
		json_string(&j, "name", c->name);
		json_string(&j, "arguments", c->arguments ? c->arguments : "");
		json_string(&j, "summary", c->summary);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
	return 0;
}

static int help_table(void)
{
	const struct command *c;
	size_t width = 0;

	for (size_t i = 0; (c = shell_command(i)); i++)
		if (strlen(c->name) > width)
			width = strlen(c->name);
	for (size_t i = 0; (c = shell_command(i)); i++)
		shell_printf("  %-*s  %.*s\n", (int)width, c->name, TABLE_COLUMNS - 5 - (int)width,
			     c->summary);
	shell_printf(
		"\n'help NAME' tells more. Tab completes, the up key brings lines back, Ctrl-C\n"
		"stops a command, ';' stands between commands. Many commands take --json.\n");
	return 0;
}

static int help_one(const char *name)
{
	const struct command *c;

	for (size_t i = 0; (c = shell_command(i)); i++) {
		size_t length;

		if (strcmp(c->name, name))
			continue;
		shell_printf("usage: %s%s%s\n\n%s.\n", c->name, c->arguments ? " " : "",
			     c->arguments ? c->arguments : "", c->summary);
		if (!c->help || !*c->help)
			return 0;
		length = strlen(c->help);
		shell_printf("\n%s%s", c->help, c->help[length - 1] == '\n' ? "" : "\n");
		return 0;
	}
	return shell_error("no command '%s'", name);
}

static int run_help(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");

	if (argc > 2)
		return shell_error("one command at a time");
	if (argc == 2)
		return help_one(argv[1]);
	return json ? help_json() : help_table();
}

SHELL_COMMAND(help) = {
	.name = "help",
	.arguments = "[--json] [COMMAND]",
	.summary = "List the commands, or explain one",
	.help = "Without an argument: every command with one line about it.\n"
		"In a usage line [..] may be left out and CAPITALS stand for a word of yours.\n"
		"Numbers are decimal or 0x hexadecimal and may end in K, M, G or T.\n",
	.run = run_help,
};

static int run_clear(int argc, char **argv)
{
	if (shell_no_more(argc, argv))
		return -EINVAL;
	shell_printf("\033[2J\033[H");
	return 0;
}

SHELL_COMMAND(clear) = {
	.name = "clear",
	.summary = "Clear the screen",
	.help = "Ctrl-L does the same and keeps the line being typed.\n",
	.run = run_clear,
};

static int run_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		shell_printf("%s%s", i > 1 ? " " : "", argv[i]);
	shell_printf("\n");
	return 0;
}

SHELL_COMMAND(echo) = {
	.name = "echo",
	.arguments = "[WORD]...",
	.summary = "Print its words",
	.help = "For marks in the output of a script:\n"
		"  echo 'before'; mem; spawn churn; echo 'after'; mem\n",
	.run = run_echo,
};
