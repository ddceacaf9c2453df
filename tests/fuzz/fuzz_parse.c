/* SPDX-License-Identifier: MIT */
/* libFuzzer: the shell's parser and completion take any line without harm, and keep their word. */
#include "shell/complete.h"
#include "shell/parse.h"
#include <quire/assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {"churn", "spin", NULL};
static const struct command help = {.name = "help", .arguments = "[--json]"};
static const struct command spawn = {.name = "spawn", .words = words};
static const struct command *const table[] = {&help, &spawn, NULL};

static void check_completion(const char *line)
{
	struct completion c;

	complete_line(table, line, &c);
	assert(c.typed <= c.common && c.typed <= strlen(line));
	for (unsigned i = 0; i < c.count; i++)
		assert(!strncmp(c.words[i], line + strlen(line) - c.typed, c.typed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char line[4096];
	struct parsed_command p;
	const char *at = line, *last = NULL;

	if (size >= sizeof line)
		return 0;
	memcpy(line, data, size);
	line[size] = 0;
	while (parse_command(&at, &p) > 0) {
		assert(at > line && at != last && at <= line + strlen(line));
		assert(p.argc >= 0 && p.argc <= SHELL_ARGS_MAX && !p.argv[p.argc]);
		for (int i = 0; i < p.argc; i++) {
			assert(p.argv[i] >= p.text);
			assert(p.argv[i] + strlen(p.argv[i]) < p.text + sizeof p.text);
			(void)complete_nearest(table, p.argv[i]);
		}
		last = at;
	}
	check_completion(line);
	return 0;
}
