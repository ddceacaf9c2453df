/* SPDX-License-Identifier: MIT */
/* log: the kernel's log, from its ring. */
#include <quire/errno.h>
#include <quire/log.h>
#include <quire/shell.h>

/* Which lines: sequence numbers below `end`, levels up to `level`, the last `count` of them. */
struct selection {
	uint64_t end;
	enum log_level level;
	uint64_t skip;
};

/* The next line of the selection at or after *sequence; moves *sequence past it. */
static bool next_line(struct selection *s, uint64_t *sequence, struct log_line *line)
{
	while (log_read(*sequence, line) && line->sequence < s->end) {
		*sequence = line->sequence + 1;
		if (line->level > s->level)
			continue;
		if (s->skip == 0)
			return true;
		s->skip--;
	}
	return false;
}

/* Fix the end of the selection now, and how much of its beginning `count` leaves out. */
static struct selection select_lines(enum log_level level, uint64_t count)
{
	struct selection s = {.end = UINT64_MAX, .level = level};
	uint64_t sequence = 0, matching = 0;
	struct log_line line;

	while (next_line(&s, &sequence, &line))
		matching++;
	s.end = sequence;
	s.skip = matching > count ? matching - count : 0;
	return s;
}

static void print_text(struct selection *s)
{
	char text[LOG_TEXT_BYTES];
	struct log_line line;
	uint64_t sequence = 0;

	while (next_line(s, &sequence, &line) && !shell_interrupted())
		shell_printf("%.*s", (int)log_line_format(text, &line), text);
}

static void print_json(struct selection *s)
{
	struct log_line line;
	uint64_t sequence = 0;
	struct json j;

	shell_json_begin(&j);
	json_array(&j, "lines");
	while (next_line(s, &sequence, &line)) {
		json_object(&j, NULL);
		json_uint(&j, "sequence", line.sequence);
		json_uint(&j, "ns", line.ns);
		json_string(&j, "level", log_level_name(line.level));
		json_string(&j, "tag", line.tag);
		json_string(&j, "text", line.text);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static int run_log(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");
	const char *lines = shell_take_option(&argc, argv, "-n");
	uint64_t count = UINT64_MAX;
	int level = LOG_DEBUG;
	struct selection s;

	if (lines && shell_parse_u64(lines, &count))
		return shell_error("'%s' is not a number of lines", lines);
	if (argc == 2) {
		level = log_level_from_name(argv[1]);
		if (level < 0)
			return shell_error("unknown level '%s'", argv[1]);
		argc--;
	}
	if (shell_no_more(argc, argv))
		return -EINVAL;
	s = select_lines((enum log_level)level, count);
	if (json)
		print_json(&s);
	else
		print_text(&s);
	return 0;
}

static const char *const log_words[] = {"error", "warn", "info", "debug", "-n", NULL};

SHELL_COMMAND(log) = {
	.name = "log",
	.arguments = "[--json] [-n LINES] [error|warn|info|debug]",
	.summary = "The kernel's log",
	.help = "The last lines the kernel logged, with the seconds since it started.\n"
		"A level leaves out the less important ones; -n keeps the last LINES.\n"
		"  log -n 20 warn\n",
	.run = run_log,
	.words = log_words,
};
