/* SPDX-License-Identifier: MIT */
/*
 * stress: every workload at once, with the validators beside them, and the books before and after.
 *
 *   figures ─► start ─► [ wait, validate, say how far ] … ─► end all ─► settle ─► the same figures?
 *
 * It passes when no content was damaged, every validator was content every time, no thread
 * is left, and each figure is exactly what it was.
 */
#include "books.h"
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/thread.h>
#include <quire/time.h>
#include <quire/workload.h>

#define NS_PER_S      1000000000ull
#define LOOK_NS       200000000ull /* between looks at how far it is */
#define SECONDS_USUAL 10

/* What runs, so many instances a CPU. */
static const struct {
	const char *workload;
	unsigned instances;
} plan[] = {{"churn", 1}, {"mixed", 1}, {"producer-consumer", 1}, {"lives", 1}, {"sleep", 2}};

/* What must come back. */
static const struct figure {
	const char *name;
	size_t offset;
} figure_names[] = {
	{"free_pages", offsetof(struct books, free_pages)},
	{"live_objects", offsetof(struct books, live_objects)},
	{"live_bytes", offsetof(struct books, live_bytes)},
	{"large_live", offsetof(struct books, large_live)},
	{"large_pages", offsetof(struct books, large_pages)},
	{"threads", offsetof(struct books, threads)},
};

struct stress {
	uint64_t ops_wanted, until_ns; /* UINT64_MAX: no limit */
	unsigned cpus;                 /* 0: all, and threads go where they like */
	bool as_json;

	uint64_t from_ns, checks, errors_before;
	uint64_t work_before; /* operations of workloads before this */
	const char *wrong;    /* what a validator said */
	struct books before, after;
};

static uint64_t figure(const struct books *f, const struct figure *which)
{
	return *(const uint64_t *)((const char *)f + which->offset);
}

/* Allocations, frees, messages sent and received, threads, sleeps: of all workloads since the boot. */
static uint64_t work_done(uint64_t *errors)
{
	struct workload_info info;
	uint64_t sum = 0;

	*errors = 0;
	for (size_t i = 0; workload_info_at(i, &info); i++) {
		sum += info.iterations + info.messages;
		*errors += info.errors;
	}
	return sum;
}

static int start_on(unsigned cpu_plus_one, unsigned times)
{
	int error = 0;

	for (size_t i = 0; !error && i < array_len(plan); i++)
		error = workload_spawn(plan[i].workload, plan[i].instances * times, 0, cpu_plus_one,
				       NULL);
	return error;
}

static int start_all(const struct stress *s)
{
	int error = 0;

	if (!s->cpus)
		return start_on(0, port_cpus());
	for (unsigned cpu = 0; !error && cpu < s->cpus; cpu++)
		error = start_on(cpu + 1, 1);
	return error;
}

static void validate(struct stress *s)
{
	const char *wrong = memory_check();

	if (!wrong)
		wrong = sched_check();
	if (wrong && !s->wrong)
		s->wrong = wrong;
	s->checks++;
}

static void print_progress(const struct stress *s, uint64_t done)
{
	char count[28];

	if (!s->as_json)
		shell_printf("%4llu s  %13s operations, validated %llu times\n",
			     (ull)((time_ns() - s->from_ns) / NS_PER_S), format_count(count, done),
			     (ull)s->checks);
}

/* Until it is enough, or something is wrong. */
static int watch(struct stress *s)
{
	uint64_t said = time_ns(), errors = s->errors_before, done = 0;

	while (done < s->ops_wanted && time_ns() < s->until_ns && !s->wrong &&
	       errors == s->errors_before) {
		if (shell_interrupted() || thread_sleep_ns(LOOK_NS))
			return -EINTR;
		validate(s);
		done = work_done(&errors) - s->work_before;
		if (time_ns() - said >= 5 * NS_PER_S) {
			said = time_ns();
			print_progress(s, done);
		}
	}
	return 0;
}

static void print_figures(const struct stress *s)
{
	for (size_t i = 0; i < array_len(figure_names); i++) {
		uint64_t before = figure(&s->before, &figure_names[i]);
		uint64_t after = figure(&s->after, &figure_names[i]);

		shell_printf("%-14s %12llu before, %12llu after%s\n", figure_names[i].name,
			     (ull)before, (ull)after, before == after ? "" : "  <-- not the same");
	}
}

static void json_figures(struct json *j, const char *key, const struct books *f)
{
	json_object(j, key);
	for (size_t i = 0; i < array_len(figure_names); i++)
		json_uint(j, figure_names[i].name, figure(f, &figure_names[i]));
	json_object_end(j);
}

static int report(const struct stress *s, int error)
{
	uint64_t errors, done = work_done(&errors) - s->work_before;
	bool ok = !error && !s->wrong && !books_compare(&s->before, &s->after);
	char count[28];
	struct json j;

	errors -= s->errors_before;
	ok = ok && !errors;
	if (s->as_json) {
		shell_json_begin(&j);
		json_uint(&j, "operations", done);
		json_uint(&j, "ns", time_ns() - s->from_ns);
		json_uint(&j, "checks", s->checks);
		json_uint(&j, "errors", errors);
		json_string(&j, "wrong", s->wrong);
		json_figures(&j, "before", &s->before);
		json_figures(&j, "after", &s->after);
		json_bool(&j, "ok", ok);
		shell_json_end(&j);
	} else {
		print_figures(s);
		shell_printf("%s: %s operations, validated %llu times, %llu damaged%s%s\n",
			     ok ? "passed" : "FAILED", format_count(count, done), (ull)s->checks,
			     (ull)errors, s->wrong ? "; " : "", s->wrong ? s->wrong : "");
	}
	return ok ? 0 : error ? error : -EIO;
}

static int stress(struct stress *s)
{
	int error, end;

	if (workload_any_running() && !s->as_json)
		shell_printf("workloads are running: they end with this, and what they hold now "
			     "is missed then\n");
	books_settle(&s->before);
	s->work_before = work_done(&s->errors_before);
	error = start_all(s);
	if (error)
		shell_error("out of memory; those already started are ending");
	else
		error = watch(s);
	end = workload_end_all(120 * NS_PER_S);
	if (end)
		shell_error("some threads do not end");
	(void)books_come_back(&s->before, &s->after);
	validate(s);
	return report(s, error ? error : end);
}

static int number(const char *option, const char *text, uint64_t high, uint64_t *out)
{
	if (text && (shell_parse_u64(text, out) || *out < 1 || *out > high))
		return shell_error("%s takes a number from 1 to %llu, not '%s'", option, (ull)high,
				   text);
	return 0;
}

static int run_stress(int argc, char **argv)
{
	struct stress s = {.ops_wanted = UINT64_MAX, .until_ns = UINT64_MAX};
	const char *ops = shell_take_option(&argc, argv, "--ops");
	const char *seconds = shell_take_option(&argc, argv, "--seconds");
	const char *cpus = shell_take_option(&argc, argv, "--cpus");
	uint64_t limit = SECONDS_USUAL, count = 0;

	s.as_json = shell_take_flag(&argc, argv, "--json");
	if (shell_no_more(argc, argv) || number("--ops", ops, UINT64_MAX, &s.ops_wanted) ||
	    number("--seconds", seconds, UINT32_MAX, &limit) ||
	    number("--cpus", cpus, port_cpus(), &count))
		return -EINVAL;
	s.cpus = (unsigned)count;
	s.from_ns = time_ns();
	if (seconds || !ops)
		s.until_ns = s.from_ns + limit * NS_PER_S;
	return stress(&s);
}

static const char *const stress_words[] = {"--ops", "--seconds", "--cpus", NULL};

SHELL_COMMAND(stress) = {
	.name = "stress",
	.arguments = "[--ops N] [--seconds S] [--cpus N] [--json]",
	.summary = "Run every workload at once, and compare the books before and after",
	.help = "stress                  for ten seconds, on all CPUs\n"
		"stress --ops 10000000   until so many operations are done\n"
		"stress --cpus 2         threads of their own for CPUs 0 and 1, and for no other\n"
		"All kinds of memory are allocated and freed, also by other threads; messages are "
		"sent,\n"
		"threads come and go; all contents are checked, and all validators run beside "
		"them.\n"
		"Passes when nothing was damaged and every figure is exactly as before. Ends the\n"
		"workloads of `spawn`, too.\n",
	.run = run_stress,
	.words = stress_words,
};
