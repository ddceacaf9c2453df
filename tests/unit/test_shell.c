/* SPDX-License-Identifier: MIT */
/*
 * The shell on pretend consoles: what it runs, in which order, and what it says. The commands
 * help, clear, echo, version, log and time are the real ones.
 */
#include "cm.h"
#include "host.h"
#include <quire/console.h>
#include <quire/errno.h>
#include <quire/format.h>
#include <quire/log.h>
#include <quire/shell.h>
#include <quire/thread.h>
#include <quire/time.h>
#include <stdio.h>
#include <string.h>

/* ---- the world around the shell ---- */

static char output[1 << 16];
static size_t used;
static const uint32_t *typed; /* keys to come; 0 ends the thread */
static bool ctrl_c;
static unsigned flushes;

void console_write(const char *text, size_t length)
{
	assert_true(used + length < sizeof output);
	memcpy(output + used, text, length);
	used += length;
	output[used] = 0;
}

void console_printf_v(const char *format, va_list args)
{
	char text[4096];
	size_t n = format_buffer_v(text, sizeof text, format, args);

	assert_true(n < sizeof text);
	console_write(text, n);
}

void console_printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	console_printf_v(format, args);
	va_end(args);
}

void console_edit(const char *change, size_t change_length, const char *row, size_t row_length)
{
	assert_true(row_length == 0 || !memcmp(row, "quire> ", 7));
	console_write(change, change_length);
}

unsigned console_columns(void)
{
	return 80;
}

void console_input_init(void)
{
}

uint32_t console_read_key(uint64_t timeout_ns)
{
	assert_int_equal(timeout_ns, 0);
	return *typed ? *typed++ : KEY_NONE;
}

bool thread_should_stop(void)
{
	return !*typed;
}

bool console_interrupted(void)
{
	bool was = ctrl_c;

	ctrl_c = false;
	return was;
}

void console_flush_interrupt(void)
{
	flushes++;
}

static unsigned log_lines;

bool log_read(uint64_t sequence, struct log_line *out)
{
	static const enum log_level levels[] = {LOG_INFO, LOG_WARN, LOG_DEBUG, LOG_ERROR};

	if (sequence >= log_lines)
		return false;
	*out = (struct log_line){
		.sequence = sequence, .ns = sequence, .level = levels[sequence % 4]};
	strcpy(out->tag, "tag");
	sprintf(out->text, "line \"%d\"", (int)sequence);
	return true;
}

size_t log_line_format(char out[static LOG_TEXT_BYTES], const struct log_line *line)
{
	return (size_t)sprintf(out, "%s\n", line->text);
}

int log_level_from_name(const char *name)
{
	return !strcmp(name, "warn") ? LOG_WARN : !strcmp(name, "error") ? LOG_ERROR : -1;
}

const char *log_level_name(enum log_level level)
{
	return level == LOG_WARN ? "warn" : "other";
}

uint64_t time_ns(void)
{
	return 1500000000;
}

uint64_t time_cycles(void)
{
	return 77;
}

uint64_t time_cycles_hz(void)
{
	return 2400000000;
}

const char *time_source(void)
{
	return "a test";
}

bool time_milestone_at(unsigned i, struct time_milestone *out)
{
	*out = (struct time_milestone){.name = i ? "shell" : "loader", .cycles = i, .ns = i * 1000};
	return i < 2;
}

/* ---- commands of our own ---- */

static int run_fail(int argc, char **argv)
{
	return shell_error("unknown argument '%s'", argc > 1 ? argv[1] : "");
}

SHELL_COMMAND(fail) = {.name = "fail", .summary = "fails", .run = run_fail};

static int run_slow(int argc, char **argv)
{
	(void)argc, (void)argv;
	assert_false(shell_interrupted());
	ctrl_c = true;
	assert_true(shell_interrupted());
	assert_true(shell_interrupted()); /* stays so */
	return -EINTR;
}

SHELL_COMMAND(slow) = {.name = "slow", .summary = "is interrupted", .run = run_slow};

static int run(const char *line)
{
	used = 0;
	output[0] = 0;
	return shell_run_line(line);
}

/* ---- tests ---- */

static void commands_come_in_name_order(void **state)
{
	const char *last = "";
	size_t n = 0;

	(void)state;
	for (; shell_command(n); n++) {
		assert_true(strcmp(last, shell_command(n)->name) < 0);
		last = shell_command(n)->name;
	}
	assert_int_equal(n, 8);
	assert_null(shell_command(1000));
}

static void a_failing_command_stops_nothing_and_ctrl_c_does(void **state)
{
	(void)state;
	assert_int_equal(run("echo a; fail x; nonesuch; echo 'b  c' d"), 0);
	assert_string_equal(output, "a\nfail: unknown argument 'x' (try: help fail)\n"
				    "unknown command 'nonesuch' (try: help)\nb  c d\n");
	assert_int_equal(run("fail"), -EINVAL);
	assert_int_equal(run("echo a; slow; echo b"), -EINTR);
	assert_string_equal(output, "a\n^C\n");
	assert_int_equal(flushes, 1);
	ctrl_c = true; /* typed before the line: not meant for it */
	assert_int_equal(run("echo fine"), 0);
	assert_string_equal(output, "fine\n");
}

static void mistakes_get_one_clear_line(void **state)
{
	(void)state;
	assert_int_equal(run("ehco x"), -ENOENT);
	assert_string_equal(output, "unknown command 'ehco': did you mean 'echo'? (try: help)\n");
	assert_int_equal(run("echo ran; echo 'open"), -EINVAL);
	assert_string_equal(output, "the line ends inside quotes, or in a backslash\n");
	assert_int_equal(run("clear up"), -EINVAL);
	assert_string_equal(output, "clear: unknown argument 'up' (try: help clear)\n");
	assert_int_equal(run(" ;; "), 0);
	assert_string_equal(output, "");
	char many[200] = "echo";
	for (int i = 0; i < SHELL_ARGS_MAX; i++)
		strcat(many, " w");
	assert_int_equal(run(many), -E2BIG);
	assert_non_null(strstr(output, "at most 32 words"));
}

static void help_lists_explains_and_fits_the_screen(void **state)
{
	size_t column = 0;

	(void)state;
	assert_int_equal(run("help"), 0);
	assert_non_null(strstr(output, "  clear    Clear the screen\n"));
	for (size_t i = 0; i < used; i++) {
		column = output[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 80);
	}
	run("help log");
	assert_memory_equal(output, "usage: log [--json]", 19);
	assert_int_equal(run("help nonesuch"), -EINVAL);
	assert_string_equal(output, "help: no command 'nonesuch' (try: help help)\n");
	assert_int_equal(run("help a b"), -EINVAL);
	run("help --json");
	assert_memory_equal(output, "{\"commands\":[{\"name\":\"clear\"", 28);
	assert_string_equal(output + used - 4, "}]}\n");
}

static void small_commands(void **state)
{
	(void)state;
	run("clear");
	assert_string_equal(output, "\033[2J\033[H");
	run("version --json");
	assert_memory_equal(output, "{\"name\":\"Quire\",\"version\":\"9.9\",", 32);
	run("version");
	assert_non_null(strstr(output, "Quire 9.9 (abc) for test, built with"));
	assert_int_equal(run("version x"), -EINVAL);
	run("time");
	assert_non_null(strstr(output, "1.500 s"));
	assert_non_null(strstr(output, "2,400,000,000 Hz, calibrated against a test"));
	run("time --json");
	assert_non_null(strstr(output, "\"ns\":1500000000,\"cycles\":77,\"cycles_hz\":2400000000,"
				       "\"source\":\"a "
				       "test\",\"exit_to_first_page_cycles\":0,\"entry_to_first_"
				       "prompt_cycles\":0,\"milestones\":[{\"name\":\"loader\""));
	assert_int_equal(run("time x"), -EINVAL);
}

static void log_selects_lines(void **state)
{
	(void)state;
	log_lines = 8;
	run("log -n 2");
	assert_string_equal(output, "line \"6\"\nline \"7\"\n");
	run("log warn");
	assert_string_equal(output, "line \"1\"\nline \"3\"\nline \"5\"\nline \"7\"\n");
	run("log -n=1 --json warn");
	assert_string_equal(output, "{\"lines\":[{\"sequence\":7,\"ns\":7,\"level\":\"other\","
				    "\"tag\":\"tag\",\"text\":\"line \\\"7\\\"\"}]}\n");
	assert_int_equal(run("log -n x"), -EINVAL);
	assert_int_equal(run("log loud"), -EINVAL);
	assert_int_equal(run("log -n"), -EINVAL);
	assert_int_equal(run("log warn error"), -EINVAL);
	log_lines = 0;
	assert_int_equal(run("log"), 0);
	assert_string_equal(output, "");
}

static void arguments(void **state)
{
	char *argv[] = {"x", "--json", "a", "--n", "5", "--json", "--k=v", "--n", NULL};
	int argc = 8;

	(void)state;
	assert_true(shell_take_flag(&argc, argv, "--json"));
	assert_false(shell_take_flag(&argc, argv, "--json"));
	assert_string_equal(shell_take_option(&argc, argv, "--n"), "5");
	assert_null(shell_take_option(&argc, argv, "--n"));
	assert_string_equal(shell_take_option(&argc, argv, "--k"), "v");
	assert_int_equal(argc, 3);
	assert_null(argv[3]);
	assert_string_equal(argv[1], "a");
	used = 0;
	assert_int_equal(shell_no_more(argc, argv), -EINVAL);
	assert_int_equal(shell_no_more(1, argv), 0);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"42", 0, 42},
		{"0x1fF", 0, 0x1ff},
		{"4K", 0, 4096},
		{"2m", 0, 2 << 20},
		{"0x10G", 0, 16ull << 30},
		{"1T", 0, 1ull << 40},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"0x10000000000000000", -ERANGE, 0},
		{"16777216T", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1f", -EINVAL, 0},
		{" 1", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		uint64_t v = 0;

		assert_int_equal(shell_parse_u64(cases[i].text, &v), cases[i].err);
		assert_int_equal(v, cases[i].value);
	}
}

static void the_thread_runs_autorun_then_what_is_typed(void **state)
{
	static const uint32_t keys[] = {'e',       'c', 'h',           KEY_TAB,   'h', 'i',
					KEY_ENTER, 'x', KEY_INTERRUPT, KEY_ENTER, 'z', 0};

	(void)state;
	typed = keys;
	used = 0;
	shell_thread((void *)(uintptr_t) "echo auto; echo run");
	assert_string_equal(output, "quire> echo auto; echo run\nauto\nrun\n"
				    "quire> echo hi\nhi\nquire> x^C\nquire> \nquire> z\n");
	typed = keys + array_len(keys) - 1;
	used = 0, output[0] = 0;
	shell_thread(NULL);
	assert_string_equal(output, "");
}

static void long_json_arrives_whole(void **state)
{
	static char big[3000];
	struct json j;

	(void)state;
	memset(big, 'b', sizeof big - 1);
	used = 0;
	shell_json_begin(&j);
	json_string(&j, "k", big);
	for (int i = 0; i < 300; i++)
		json_uint(&j, "n", 12345);
	shell_json_end(&j);
	assert_int_equal(used, sizeof big - 1 + 7 + 300 * 10 + 2);
	assert_string_equal(output + used - 8, ":12345}\n");
}

/* Commands print nothing, and their last line is there, cut to fit. */
static void captured_commands(void **state)
{
	char line[10];

	(void)state;
	used = 0;
	shell_capture(line, sizeof line);
	assert_int_equal(shell_run_line("echo one; echo; echo two three"), 0);
	assert_string_equal(line, "two three");
	shell_run_line("echo 0123456789");
	assert_string_equal(line, "012345678");
	shell_run_line("help --json");
	assert_int_equal(used, 0);
	shell_capture(NULL, 0);
	shell_run_line("echo back");
	assert_non_null(strstr(output, "back\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_come_in_name_order),
		cmocka_unit_test(a_failing_command_stops_nothing_and_ctrl_c_does),
		cmocka_unit_test(mistakes_get_one_clear_line),
		cmocka_unit_test(help_lists_explains_and_fits_the_screen),
		cmocka_unit_test(small_commands),
		cmocka_unit_test(log_selects_lines),
		cmocka_unit_test(arguments),
		cmocka_unit_test(numbers),
		cmocka_unit_test(the_thread_runs_autorun_then_what_is_typed),
		cmocka_unit_test(long_json_arrives_whole),
		cmocka_unit_test(captured_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
