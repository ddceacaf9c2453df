/* SPDX-License-Identifier: MIT */
/* bench: what the kernel's operations cost, measured where they run. */
#include "bench/bench.h"
#include "table.h"
#include <quire/errno.h>
#include <quire/selftest.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/thread.h>

#define ROWS_MAX 80

/* What selftest_run() runs takes no arguments: they stand here. The shell's thread only. */
static struct {
	int count; /* of names; 0: all of them */
	char **names;
	bool as_json, quick;
	uint64_t calibration; /* thousandths of a tick */
} wanted;

static struct bench_result rows[ROWS_MAX];
static size_t row_count;

/* A name stands for every bench that starts with it, up to a '-'. */
static bool name_covers(const char *name, const char *bench)
{
	size_t length = strlen(name);

	return !strncmp(name, bench, length) && (!bench[length] || bench[length] == '-');
}

static bool is_wanted(const struct bench *b)
{
	for (int i = 0; i < wanted.count; i++)
		if (name_covers(wanted.names[i], b->name))
			return true;
	return wanted.count == 0 && !(wanted.quick && b->slow);
}

static int check_names(void)
{
	for (int i = 0; i < wanted.count; i++) {
		const struct bench *b;
		size_t at = 0;

		do
			b = bench_at(at++);
		while (b && !name_covers(wanted.names[i], b->name));
		if (!b)
			return shell_error("no bench '%s' (try: bench --list)", wanted.names[i]);
	}
	return 0;
}

/* "12.3", right-aligned. */
static void print_thousandths(uint64_t value)
{
	char text[28];

	value = (value + 5) / 10;
	format_buffer(text, sizeof text, "%llu.%02llu", (ull)value / 100, (ull)value % 100);
	shell_printf(" %9s", text);
}

static void print_row(const struct bench_result *r)
{
	char name[40];

	format_buffer(name, sizeof name, "%s%s%s", r->bench->name, r->part ? "." : "",
		      r->part ? r->part : "");
	shell_printf("%-22s", name);
	if (r->skipped) {
		shell_printf(" skipped: %s\n", r->skipped);
		return;
	}
	print_thousandths(r->least);
	print_thousandths(r->median);
	print_thousandths(r->most);
	shell_printf("  %s\n", r->bench->what);
}

static const char *run_wanted(void)
{
	const struct bench *b;

	row_count = 0;
	thread_pin(port_cpu() + 1); /* caches and counters are one CPU's */
	for (size_t i = 0; (b = bench_at(i)) != NULL; i++) {
		size_t first = row_count;

		if (!is_wanted(b))
			continue;
		if (shell_interrupted() || row_count + BENCH_PARTS_MAX > ROWS_MAX)
			break;
		row_count += bench_run(b, wanted.quick, &rows[first]);
		for (size_t r = first; !wanted.as_json && r < row_count; r++)
			print_row(&rows[r]);
	}
	thread_pin(0);
	return NULL;
}

static void json_row(struct json *j, const struct bench_result *r)
{
	json_object(j, NULL);
	json_string(j, "name", r->bench->name);
	json_string(j, "part", r->part);
	json_string(j, "what", r->bench->what);
	json_string(j, "unit", r->bench->unit ? r->bench->unit : "ticks");
	if (r->skipped) {
		json_string(j, "skipped", r->skipped);
	} else {
		json_uint(j, "rounds", r->rounds);
		json_uint(j, "min_thousandths", r->least);
		json_uint(j, "median_thousandths", r->median);
		json_uint(j, "max_thousandths", r->most);
	}
	json_object_end(j);
}

static void print_json(void)
{
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "tick_per_instruction_thousandths", wanted.calibration);
	json_array(&j, "rows");
	for (size_t i = 0; i < row_count; i++)
		json_row(&j, &rows[i]);
	json_array_end(&j);
	shell_json_end(&j);
}

static int print_list(void)
{
	const struct bench *b;

	for (size_t i = 0; (b = bench_at(i)) != NULL; i++)
		shell_printf("%-18s  %s\n", b->name, b->what);
	return 0;
}

static int run_bench(int argc, char **argv)
{
	static const struct selftest accounted = {"bench", run_wanted};
	bool list = shell_take_flag(&argc, argv, "--list");
	const char *error;

	wanted.as_json = shell_take_flag(&argc, argv, "--json");
	wanted.quick = shell_take_flag(&argc, argv, "--quick");
	wanted.count = argc - 1;
	wanted.names = argv + 1;
	if (check_names())
		return -EINVAL;
	if (list)
		return print_list();
	bench_shows_progress = !wanted.as_json;
	wanted.calibration = bench_calibrate();
	if (!wanted.as_json) {
		shell_printf("calibration: %llu.%03llu ticks an instruction (dec; jnz)\n\n",
			     (ull)wanted.calibration / 1000, (ull)wanted.calibration % 1000);
		shell_printf("%-22s %9s %9s %9s  ticks an operation, loop included\n", "", "least",
			     "median", "most");
	}
	error = selftest_run(&accounted); /* the counters must come back */
	if (shell_interrupted())
		return -EINTR;
	if (wanted.as_json)
		print_json();
	if (error) {
		shell_error("%s", error);
		return -EIO;
	}
	return 0;
}

static const char *const bench_words[] = {"--quick",    "--list", "page",     "kmalloc",
					  "kmem-cache", "thread", "recovery", NULL};

SHELL_COMMAND(bench) = {
	.name = "bench",
	.arguments = "[--json] [--quick] [--list] [NAME...]",
	.summary = "What allocators and threads cost, in counter ticks an operation",
	.help = "bench             everything; 'recovery' takes a while, Ctrl-C stops it\n"
		"bench --quick     3 rounds instead of 7, without what takes long\n"
		"bench --list      the names; `bench page` is every one that starts with page-\n"
		"bench page-0      one of them\n"
		"'median' is the figure; 'least' and 'most' are those of single rounds. Interrupts "
		"are\n"
		"on and the loop is included. On a PC a tick is time; under QEMU with -icount "
		"shift=0\n"
		"it is one guest instruction: the calibration tells. All memory comes back, which "
		"is\n"
		"checked afterwards.\n",
	.run = run_bench,
	.words = bench_words,
};
