/* SPDX-License-Identifier: MIT */
/* ps, queues, spawn, kill: the threads and where they wait. */
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/thread.h>
#include <quire/workload.h>

/* ---- ps ---- */

#define PS_BATCH 16 /* threads copied at a time, so that the list needs no memory */

static void for_each_thread(void (*show)(const struct thread_info *, void *), void *context)
{
	struct thread_info batch[PS_BATCH];
	uint32_t after = UINT32_MAX;
	size_t n;

	while (!shell_interrupted() && (n = thread_list(after, batch, PS_BATCH)) > 0) {
		for (size_t i = 0; i < n; i++)
			show(&batch[i], context);
		after = batch[n - 1].id;
	}
}

static void thread_json(const struct thread_info *t, void *context)
{
	struct json *j = context;

	json_object(j, NULL);
	json_uint(j, "id", t->id);
	json_string(j, "name", t->name);
	json_string(j, "state", thread_state_name(t->state));
	json_uint(j, "priority", t->priority);
	json_uint(j, "cpu", t->cpu);
	json_bool(j, "pinned", t->pinned);
	json_bool(j, "kill_requested", t->kill_requested);
	json_uint(j, "run_ns", t->run_ns);
	json_uint(j, "switches", t->switches);
	json_uint(j, "wake_in_ns", t->wake_in_ns);
	json_string(j, "waiting_on", t->waiting_on);
	json_hex(j, "stack", t->stack);
	json_uint(j, "stack_bytes", t->stack_bytes);
	json_uint(j, "stack_used", t->stack_used);
	json_object_end(j);
}

static void thread_row(const struct thread_info *t, void *context)
{
	char run[16], wake[16], stack[24] = "-";

	(void)context;
	if (t->stack_bytes)
		format_buffer(stack, sizeof stack, "%zu/%zu", t->stack_used, t->stack_bytes);
	shell_printf("%5u %-18s %-8s %3u %3u%c %11s %9llu %11s", t->id, t->name,
		     thread_state_name(t->state), t->priority, t->cpu, t->pinned ? '!' : ' ',
		     format_ns(run, t->run_ns), (ull)t->switches, stack);
	if (t->waiting_on)
		shell_printf("  on %s", t->waiting_on);
	if (t->wake_in_ns)
		shell_printf("  for %s", format_ns(wake, t->wake_in_ns));
	shell_printf("%s\n", t->kill_requested ? "  (killed)" : "");
}

static int run_ps(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct sched_stats s;
	struct json j;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (as_json) {
		shell_json_begin(&j);
		json_array(&j, "threads");
		for_each_thread(thread_json, &j);
		json_array_end(&j);
		shell_json_end(&j);
		return 0;
	}
	shell_printf("%5s %-18s %-8s %3s %3s  %11s %9s %11s\n", "id", "name", "state", "pri", "CPU",
		     "CPU time", "switches", "stack");
	for_each_thread(thread_row, NULL);
	sched_stats(&s);
	shell_printf("%llu threads; %llu created, %llu ended since boot\n", (ull)s.threads,
		     (ull)s.created, (ull)s.ended);
	return 0;
}

SHELL_COMMAND(ps) = {
	.name = "ps",
	.arguments = "[--json]",
	.summary = "The threads: state, priority, CPU time, stack use",
	.help = "pri     0 runs first, 31 is the idle threads'\n"
		"CPU     where it runs, or ran last; ! means that it runs nowhere else\n"
		"stack   deepest use so far / size, in bytes\n"
		"on, for the wait queue it waits on; how long until it wakes\n",
	.run = run_ps,
};

/* ---- queues ---- */

#define QUEUES_SHOWN 64

/* Each CPU's run queue but for its idle thread, and what it runs. */
static void cpu_queues_json(struct json *j)
{
	struct sched_cpu_info c;

	json_array(j, "cpus");
	for (unsigned i = 0; sched_cpu_info(i, &c); i++) {
		json_object(j, NULL);
		json_uint(j, "cpu", i);
		json_uint(j, "ready", c.ready);
		json_uint(j, "running", c.current_id);
		json_string(j, "running_name", c.current_name);
		json_uint(j, "switches", c.switches);
		json_uint(j, "steals", c.steals);
		json_uint(j, "ticks", c.ticks);
		json_uint(j, "idle_ns", c.idle_ns);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print_cpu_queues(void)
{
	struct sched_cpu_info c;

	shell_printf("CPUs:\n");
	for (unsigned i = 0; sched_cpu_info(i, &c); i++)
		shell_printf("  %3u  runs %u (%s), %llu ready; %llu switches, %llu taken from "
			     "others\n",
			     i, c.current_id, c.current_name, (ull)c.ready, (ull)c.switches,
			     (ull)c.steals);
}

static void queues_json(const struct sched_stats *s, const struct wait_queue_info *q, size_t n)
{
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "threads", s->threads);
	json_uint(&j, "running", s->running);
	json_uint(&j, "ready", s->ready);
	json_uint(&j, "sleeping", s->sleeping);
	json_uint(&j, "waiting", s->waiting);
	json_uint(&j, "dead", s->dead);
	json_uint(&j, "created", s->created);
	json_uint(&j, "ended", s->ended);
	json_uint(&j, "switches", s->switches);
	json_uint(&j, "preemptions", s->preemptions);
	json_uint(&j, "ticks", s->ticks);
	json_uint(&j, "idle_ns", s->idle_ns);
	json_array(&j, "ready_by_priority");
	for (unsigned p = 0; p < THREAD_PRIORITIES; p++)
		json_uint(&j, NULL, s->ready_by_priority[p]);
	json_array_end(&j);
	cpu_queues_json(&j);
	json_array(&j, "wait_queues");
	for (size_t i = 0; i < n; i++) {
		json_object(&j, NULL);
		json_string(&j, "name", q[i].name);
		json_uint(&j, "waiters", q[i].waiters);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static void print_queues(const struct sched_stats *s, const struct wait_queue_info *q, size_t n)
{
	bool any = false;
	char idle[16];

	shell_printf("ready, by priority (0 first):\n");
	for (unsigned p = 0; p < THREAD_PRIORITIES; p++)
		if (s->ready_by_priority[p]) {
			shell_printf("  %2u  %llu\n", p, (ull)s->ready_by_priority[p]);
			any = true;
		}
	if (!any)
		shell_printf("  nobody\n");
	print_cpu_queues();
	shell_printf("running %llu, sleeping %llu, waiting %llu, ended but not joined %llu\n",
		     (ull)s->running, (ull)s->sleeping, (ull)s->waiting, (ull)s->dead);
	shell_printf("wait queues:\n");
	for (size_t i = 0; i < n; i++)
		shell_printf("  %-24s %llu waiting\n", q[i].name, (ull)q[i].waiters);
	shell_printf("%llu switches, %llu of them preemptions; %llu ticks; idle for %s\n",
		     (ull)s->switches, (ull)s->preemptions, (ull)s->ticks,
		     format_ns(idle, s->idle_ns));
}

static int run_queues(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct wait_queue_info *queues;
	struct sched_stats s;
	size_t n;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	queues = kmalloc_array(QUEUES_SHOWN, sizeof *queues);
	if (!queues) {
		shell_error("no memory for the list of queues");
		return -ENOMEM;
	}
	sched_stats(&s);
	n = wait_queue_list(queues, QUEUES_SHOWN);
	if (as_json)
		queues_json(&s, queues, n);
	else
		print_queues(&s, queues, n);
	kfree(queues);
	return 0;
}

SHELL_COMMAND(queues) = {
	.name = "queues",
	.arguments = "[--json]",
	.summary = "The run queues by priority and CPU, sleepers, and who waits where",
	.help = "A thread stands in exactly one of them. The shell itself is running while you "
		"read\n"
		"this, so it is in none.\n",
	.run = run_queues,
};

/* ---- spawn ---- */

#define SPAWN_MAX 100000

static int list_workloads(bool as_json)
{
	struct workload_info w;
	struct json j;
	char size[12];

	if (as_json) {
		shell_json_begin(&j);
		json_array(&j, "workloads");
	}
	for (size_t i = 0; workload_info_at(i, &w); i++) {
		if (!as_json) {
			shell_printf(
				"%-18s %s\n%-18s %llu running, %llu rounds, %llu messages, %s, "
				"%llu refused, %llu errors\n",
				w.name, w.summary, "", (ull)(w.threads_started - w.threads_ended),
				(ull)w.iterations, (ull)w.messages, format_bytes(size, w.bytes),
				(ull)w.refusals, (ull)w.errors);
			continue;
		}
		json_object(&j, NULL);
		json_string(&j, "name", w.name);
		json_uint(&j, "threads_started", w.threads_started);
		json_uint(&j, "threads_ended", w.threads_ended);
		json_uint(&j, "iterations", w.iterations);
		json_uint(&j, "messages", w.messages);
		json_uint(&j, "bytes", w.bytes);
		json_uint(&j, "refusals", w.refusals);
		json_uint(&j, "errors", w.errors);
		json_object_end(&j);
	}
	if (as_json) {
		json_array_end(&j);
		shell_json_end(&j);
	}
	return 0;
}

/* A whole number from `low` to `high`, or `fallback` when the option was not given. */
static int option_number(const char *option, const char *text, uint64_t fallback, uint64_t low,
			 uint64_t high, uint64_t *out)
{
	*out = fallback;
	if (!text)
		return 0;
	if (shell_parse_u64(text, out) || *out < low || *out > high)
		return shell_error("%s takes a number from %llu to %llu, not '%s'", option,
				   (ull)low, (ull)high, text);
	return 0;
}

static int start_workload(const char *name, unsigned count, uint64_t seconds, unsigned cpu_plus_one)
{
	uint32_t first = 0;
	int error = workload_spawn(name, count, seconds, cpu_plus_one, &first);

	if (error == -ENOENT)
		return shell_error("no workload called '%s' (spawn alone lists them)", name);
	if (error) {
		shell_error("out of memory; those already started are ending");
		return error;
	}
	shell_printf("%s: %u started, first thread %u (kill %u, or kill %s)\n", name, count, first,
		     first, name);
	return 0;
}

static int run_spawn(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	const char *count_text = shell_take_option(&argc, argv, "--count");
	const char *seconds_text = shell_take_option(&argc, argv, "--seconds");
	const char *cpu_text = shell_take_option(&argc, argv, "--cpu");
	uint64_t count, seconds, cpu;

	if (argc < 2 && (count_text || seconds_text || cpu_text))
		return shell_error("which workload? (spawn alone lists them)");
	if (argc < 2)
		return list_workloads(as_json);
	if (shell_no_more(argc - 1, argv + 1) ||
	    option_number("--count", count_text, 1, 1, SPAWN_MAX, &count) ||
	    option_number("--seconds", seconds_text, 0, 1, UINT32_MAX, &seconds) ||
	    option_number("--cpu", cpu_text, 0, 0, port_cpus() - 1, &cpu))
		return -EINVAL;
	return start_workload(argv[1], (unsigned)count, seconds, cpu_text ? (unsigned)cpu + 1 : 0);
}

static const char *const spawn_words[] = {
	"spin", "sleep", "producer-consumer", "churn",     "mixed", "lives",
	"hog",  "noop",  "--count",           "--seconds", "--cpu", NULL};

SHELL_COMMAND(spawn) = {
	.name = "spawn",
	.arguments = "[NAME [--count N] [--seconds S] [--cpu N]] [--json]",
	.summary = "Start demo workloads; alone: list them and what they have done",
	.help = "spawn                          the workloads and their counters\n"
		"spawn churn --count 100        a hundred threads, until killed\n"
		"spawn spin --seconds 5         one, for five seconds\n"
		"spawn spin --cpu 1             one, on CPU 1 and no other\n",
	.run = run_spawn,
	.words = spawn_words,
};

/* ---- kill ---- */

struct kill_by_name {
	const char *name; /* NULL: every thread that can be killed but this one */
	unsigned killed;
};

/*
 * Does the thread belong to `name`? The shorter of the two names must begin the longer, so that
 * "producer-consumer" means its threads "producer", too.
 */
static bool thread_is_called(const struct thread_info *t, const char *name)
{
	size_t given, own = strlen(t->name);

	if (!name)
		return true;
	given = strlen(name);
	return !strncmp(t->name, name, given < own ? given : own);
}

static void kill_if_called(const struct thread_info *t, void *context)
{
	struct kill_by_name *k = context;

	if (t->id != thread_current()->id && t->state != THREAD_DEAD &&
	    thread_is_called(t, k->name) && thread_kill(t->id) == 0)
		k->killed++;
}

static int kill_one(const char *text, uint64_t id)
{
	int error = id > UINT32_MAX ? -ESRCH : thread_kill((uint32_t)id);

	if (error == -ESRCH)
		return shell_error("no thread %s (ps lists them)", text);
	if (error)
		return shell_error("thread %s is one of the kernel's own", text);
	shell_printf("thread %s will end\n", text);
	return 0;
}

static int run_kill(int argc, char **argv)
{
	struct kill_by_name by_name = {0};
	uint64_t id;

	if (argc < 2)
		return shell_error("a thread id, a workload's name or 'all' is needed");
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	if (shell_parse_u64(argv[1], &id) == 0)
		return kill_one(argv[1], id);
	if (strcmp(argv[1], "all"))
		by_name.name = argv[1];
	for_each_thread(kill_if_called, &by_name);
	if (!by_name.killed)
		return shell_error("no thread called '%s' to kill", argv[1]);
	shell_printf("%u thread%s will end\n", by_name.killed, by_name.killed == 1 ? "" : "s");
	return 0;
}

static const char *const kill_words[] = {"all",   "spin", "sleep", "producer-consumer",
					 "churn", "hog",  NULL};

SHELL_COMMAND(kill) = {
	.name = "kill",
	.arguments = "ID | NAME | all",
	.summary = "Ask threads to end",
	.help = "kill 7       thread 7, as `ps` numbers them\n"
		"kill churn   every thread whose name begins so\n"
		"kill all     all but the kernel's own and the shell\n"
		"A thread ends when it next looks: at a sleep, a wait, or a poll in its loop.\n",
	.run = run_kill,
	.words = kill_words,
};
