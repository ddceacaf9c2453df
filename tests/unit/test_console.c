/* SPDX-License-Identifier: MIT */
/* The log and the console together: what reaches a sink, in which order, and what never mixes. */
#include "cm.h"
#include "host.h"
#include <quire/console.h>
#include <quire/log.h>
#include <quire/time.h>
#include <stdio.h>
#include <string.h>

#define LOG_TAG "test"

static uint64_t now = 1234567890;

uint64_t time_ns(void)
{
	return now;
}

struct test_sink {
	struct console_sink sink;
	size_t used;
	char text[1 << 20];
};

static void sink_write(struct console_sink *s, const char *text, size_t length)
{
	struct test_sink *t = (struct test_sink *)(void *)s;

	assert_false(host_irq_on);
	assert_true(t->used + length < sizeof t->text);
	memcpy(t->text + t->used, text, length);
	t->used += length;
	t->text[t->used] = 0;
}

static struct test_sink a = {.sink = {.write = sink_write}};
static struct test_sink b = {.sink = {.columns = 40, .write = sink_write}};

static void clear(void)
{
	a.used = b.used = 0;
	a.text[0] = b.text[0] = 0;
}

static void early_lines_are_replayed_to_a_new_sink(void **state)
{
	(void)state;
	log_info("before any sink %d", 1);
	log_debug("only in the ring");
	console_add_sink(&a.sink);
	assert_string_equal(a.text, "[    1.234567] test: before any sink 1\n");
	log_warn("second");
	clear();
	console_add_sink(&b.sink);
	assert_string_equal(a.text, "");
	assert_string_equal(b.text, "[    1.234567] test: before any sink 1\n"
				    "[    1.234567] \033[93mtest: second\033[0m\n");
	assert_int_equal(console_columns(), 40);
}

static void levels_are_respected(void **state)
{
	struct log_line line;
	uint64_t s = 0;

	(void)state;
	clear();
	log_set_console_level(LOG_ERROR);
	log_warn("quiet");
	assert_string_equal(a.text, "");
	log_error("loud");
	assert_non_null(strstr(a.text, "\033[91mtest: loud\033[0m\n"));
	log_set_console_level(LOG_INFO);
	while (log_read(s, &line))
		s = line.sequence + 1;
	assert_int_equal(s, 5);
	assert_int_equal(log_level_from_name("debug"), LOG_DEBUG);
	assert_int_equal(log_level_from_name("nonsense"), -1);
	assert_string_equal(log_level_name(LOG_WARN), "warn");
	assert_string_equal(log_level_name(99), "?");
}

static void log_lines_wait_for_the_end_of_a_line(void **state)
{
	(void)state;
	clear();
	console_printf("half%d", 1);
	log_info("later");
	assert_string_equal(a.text, "half1");
	console_write(" done\n", 6);
	assert_string_equal(a.text, "half1 done\n[    1.234567] test: later\n");
	clear();
	console_write("x\033[1m", 5); /* a sequence in pieces is still no end of a line */
	console_write("\033[", 2);
	console_write("0m", 2);
	log_info("a");
	assert_null(strstr(a.text, "test"));
	console_write("\033[2J\033[H", 7);
	assert_non_null(strstr(a.text, "test: a"));
	clear();
}

static void output_goes_in_above_the_edited_row(void **state)
{
	(void)state;
	clear();
	console_edit("quire> me", 9, "quire> me", 9);
	clear();
	log_info("hello");
	assert_string_equal(a.text, "\r\033[K[    1.234567] test: hello\nquire> me");
	clear();
	console_printf("no newline");
	assert_string_equal(a.text, "\r\033[Kno newline\nquire> me");
	clear();
	console_edit("\n", 1, "", 0);
	log_info("plain");
	assert_string_equal(a.text, "\n[    1.234567] test: plain\n");
	clear();
	console_write("partial", 7);
	console_edit("quire> ", 7, "quire> ", 7);
	assert_string_equal(a.text, "partial\nquire> ");
	console_edit("\n", 1, "", 0);
}

static void the_ring_keeps_the_last_lines_and_lines_stay_lines(void **state)
{
	struct log_line line;
	char longest[400];

	(void)state;
	clear();
	for (int i = 0; i < 2000; i++)
		log_debug("line %d", i);
	assert_true(log_read(0, &line));
	assert_int_equal((int)line.sequence % 1, 0);
	for (unsigned i = 0; i < 512; i++)
		assert_true(log_read(line.sequence, &line)), line.sequence++;
	assert_false(log_read(line.sequence, &line));
	memset(longest, 'y', sizeof longest);
	longest[sizeof longest - 1] = 0;
	log_debug("a\nb\033%s", longest);
	assert_true(log_read(line.sequence, &line));
	assert_memory_equal(line.text, "a b yyy", 7);
	assert_int_equal(strlen(line.text), sizeof line.text - 1);
	assert_string_equal(a.text, "");
}

static void long_output_is_whole(void **state)
{
	static char big[3000];

	(void)state;
	clear();
	memset(big, 'q', sizeof big - 1);
	console_printf("<%s|%s>\n", big, "tail");
	assert_int_equal(a.used, strlen(big) + 8);
	assert_string_equal(a.text + a.used - 7, "|tail>\n");
}

static struct console_sink bad;
static unsigned bad_writes;

static void bad_write(struct console_sink *s, const char *text, size_t length)
{
	(void)s, (void)text, (void)length;
	/* What a fault inside the sink does: panic, which forces; twice, because it faults again. */
	if (++bad_writes <= 2)
		console_force();
}

static void force_writes_whatever_is_held_and_gives_up_a_sink_that_faults(void **state)
{
	unsigned writes;

	(void)state;
	clear();
	bad = (struct console_sink){.write = bad_write};
	console_edit("quire> x", 8, "quire> x", 8);
	clear();
	console_write("open", 4);
	console_add_sink(&bad);
	console_printf("half");
	log_error("out at once");
	assert_non_null(strstr(a.text, "out at once"));
	assert_memory_equal(a.text, "\r\033[Kopen\nquire> x", 17);
	assert_non_null(strstr(a.text, "\033[0m\n")); /* the report starts on a line of its own */
	writes = bad_writes;
	assert_true(writes >= 2);
	clear();
	console_write("on", 2);
	assert_string_equal(a.text, "on");
	assert_int_equal(bad_writes, writes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(early_lines_are_replayed_to_a_new_sink),
		cmocka_unit_test(levels_are_respected),
		cmocka_unit_test(log_lines_wait_for_the_end_of_a_line),
		cmocka_unit_test(output_goes_in_above_the_edited_row),
		cmocka_unit_test(the_ring_keeps_the_last_lines_and_lines_stay_lines),
		cmocka_unit_test(long_output_is_whole),
		cmocka_unit_test(force_writes_whatever_is_held_and_gives_up_a_sink_that_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
