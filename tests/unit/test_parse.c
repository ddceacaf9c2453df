/* SPDX-License-Identifier: MIT */
/* The shell's tokenizer, completion and "did you mean". */
#include "cm.h"
#include "host.h"
#include "shell/complete.h"
#include "shell/parse.h"
#include <quire/errno.h>
#include <stdio.h>
#include <string.h>

/* The whole line as "[word][word];[word]", or the error's name. */
static const char *parsed(const char *line)
{
	static char text[8192];
	struct parsed_command p;
	char *to = text;
	int err, commands = 0;

	*to = 0;
	while ((err = parse_command(&line, &p)) > 0) {
		if (commands++)
			to += sprintf(to, ";");
		for (int i = 0; i < p.argc; i++)
			to += sprintf(to, "[%s]", p.argv[i]);
		assert_null(p.argv[p.argc]);
	}
	return err == -EINVAL ? "EINVAL" : err == -E2BIG ? "E2BIG" : text;
}

static void words_and_commands(void **state)
{
	(void)state;
	assert_string_equal(parsed(""), "");
	assert_string_equal(parsed("   "), "");
	assert_string_equal(parsed("mem"), "[mem]");
	assert_string_equal(parsed("  mem\t --json  "), "[mem][--json]");
	assert_string_equal(parsed("a b;c;;d ; "), "[a][b];[c];;[d];");
	assert_string_equal(parsed(";"), "");
	assert_string_equal(parsed("\xc3\xa9 x"), "[\xc3\xa9][x]");
}

static void quotes_and_escapes(void **state)
{
	(void)state;
	assert_string_equal(parsed("'a b;\\' \"c \\\"d\\\" \\n\""), "[a b;\\][c \"d\" \\n]");
	assert_string_equal(parsed("a'b'\"c\"d '' \"\""), "[abcd][][]");
	assert_string_equal(parsed("a\\ b \\; \\\\"), "[a b][;][\\]");
	assert_string_equal(parsed("'open"), "EINVAL");
	assert_string_equal(parsed("\"open\\\""), "EINVAL");
	assert_string_equal(parsed("end\\"), "EINVAL");
}

static void limits(void **state)
{
	static char line[3 * SHELL_LINE_BYTES];
	struct parsed_command p;
	const char *at = line;

	(void)state;
	for (int i = 0; i < SHELL_ARGS_MAX; i++)
		strcat(line, "w ");
	assert_int_equal(parse_command(&at, &p), 1);
	assert_int_equal(p.argc, SHELL_ARGS_MAX);
	strcat(line, "w");
	at = line;
	assert_int_equal(parse_command(&at, &p), -E2BIG);
	assert_ptr_equal(at, line);
	memset(line, 'x', SHELL_LINE_BYTES - 1);
	line[SHELL_LINE_BYTES - 1] = 0;
	assert_int_equal(parse_command(&at, &p), 1);
	assert_int_equal(strlen(p.argv[0]), SHELL_LINE_BYTES - 1);
	line[SHELL_LINE_BYTES - 1] = 'x';
	line[SHELL_LINE_BYTES] = 0;
	at = line;
	assert_int_equal(parse_command(&at, &p), -E2BIG);
	line[SHELL_LINE_BYTES] = 'x';
	line[SHELL_LINE_BYTES + 1] = 'x';
	line[SHELL_LINE_BYTES + 2] = 0;
	line[0] = '\'';
	assert_int_equal(parse_command(&at, &p), -E2BIG);
}

static const char *const spawn_words[] = {"churn", "spin", NULL};
static const struct command commands[] = {
	{.name = "help", .arguments = "[--json] [COMMAND]"},
	{.name = "kmalloc", .arguments = "[--json]"},
	{.name = "mem", .arguments = "[--json]"},
	{.name = "memmap", .arguments = "[--json]"},
	{.name = "ps"},
	{.name = "spawn", .arguments = "KIND", .words = spawn_words},
};
static const struct command *const table[] = {
	&commands[0], &commands[1], &commands[2], &commands[3], &commands[4], &commands[5], NULL};

/* "typed:common:word,word" */
static const char *completed(const char *line)
{
	static char text[512];
	struct completion c;
	char *to = text;

	complete_line(table, line, &c);
	to += sprintf(to, "%zu:%zu:", c.typed, c.common);
	for (unsigned i = 0; i < c.count; i++)
		to += sprintf(to, "%s%s", i ? "," : "", c.words[i]);
	return text;
}

static void completion_knows_where_it_is(void **state)
{
	(void)state;
	assert_string_equal(completed(""), "0:0:help,kmalloc,mem,memmap,ps,spawn");
	assert_string_equal(completed("m"), "1:3:mem,memmap");
	assert_string_equal(completed("  memm"), "4:6:memmap");
	assert_string_equal(completed("zz"), "2:2:");
	assert_string_equal(completed("ps;k"), "1:7:kmalloc");
	assert_string_equal(completed("help me"), "2:3:mem,memmap");
	assert_string_equal(completed("help --"), "2:6:--json");
	assert_string_equal(completed("spawn "), "0:0:churn,spin");
	assert_string_equal(completed("spawn c"), "1:5:churn");
	assert_string_equal(completed("spawn spin 3 c"), "1:5:churn");
	assert_string_equal(completed("mem -"), "1:6:--json");
	assert_string_equal(completed("ps -"), "1:1:");
	assert_string_equal(completed("nonesuch -"), "1:1:");
	assert_string_equal(completed("echo 'm"), "2:2:");
	assert_string_equal(completed("echo 'x;' ; sp"), "2:5:spawn");
}

static void a_mistyped_name_finds_its_neighbour(void **state)
{
	(void)state;
	assert_string_equal(complete_nearest(table, "mme"), "mem");
	assert_string_equal(complete_nearest(table, "hlep"), "help");
	assert_string_equal(complete_nearest(table, "spwan"), "spawn");
	assert_string_equal(complete_nearest(table, "kmaloc"), "kmalloc");
	assert_string_equal(complete_nearest(table, "kma"), "kmalloc");
	assert_null(complete_nearest(table, "x"));
	assert_null(complete_nearest(table, "poweroff"));
	assert_null(complete_nearest(table, "an_absurdly_long_word_that_nobody_means_to_type"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_commands),
		cmocka_unit_test(quotes_and_escapes),
		cmocka_unit_test(limits),
		cmocka_unit_test(completion_knows_where_it_is),
		cmocka_unit_test(a_mistyped_name_finds_its_neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
