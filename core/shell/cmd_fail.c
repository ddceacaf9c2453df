/* SPDX-License-Identifier: MIT */
/* fail: calls of the allocators made to fail, to see what their callers make of it. */
#include "fail_sweep.h"
#include "table.h"
#include "watch.h"
#include <quire/errno.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>

#define SWEEP_MOST 300

static const char *site(char buffer[static 64], uintptr_t caller)
{
	return caller ? symbol_format_return(buffer, caller) : NULL;
}

static void state_json(struct json *j, enum watched which)
{
	char plan[32], caller[64];
	struct alloc_fail f;

	json_object(j, watched_name(which));
	json_bool(j, "on", watch_fail_state(which, &f));
	json_string(j, "plan", fail_plan_text(plan, &f.plan));
	json_uint(j, "seed", f.plan.seed);
	json_string(j, "only", f.plan.end ? symbol_find(f.plan.first, NULL) : NULL);
	json_uint(j, "calls", f.calls);
	json_uint(j, "failures", f.failures);
	json_string(j, "last_caller", site(caller, f.last_caller));
	json_object_end(j);
}

static void state_row(enum watched which)
{
	char plan[32], caller[64];
	struct alloc_fail f;
	bool on = watch_fail_state(which, &f);

	shell_printf("%-8s %s", watched_name(which), on ? "" : "off");
	if (f.plan.mode != ALLOC_FAIL_OFF) {
		shell_printf("%s%s", on ? "" : "; the last plan: ", fail_plan_text(plan, &f.plan));
		if (f.plan.mode == ALLOC_FAIL_PROB)
			shell_printf(" seed=%llu", (ull)f.plan.seed);
		if (f.plan.end)
			shell_printf(" caller=%s", symbol_find(f.plan.first, NULL));
		shell_printf(": %llu calls, %llu made to fail", (ull)f.calls, (ull)f.failures);
	}
	if (f.last_caller)
		shell_printf(", the last by %s", site(caller, f.last_caller));
	shell_printf("\n");
}

static int show_state(bool as_json)
{
	struct json j;

	if (as_json)
		shell_json_begin(&j);
	for (unsigned i = 0; i < WATCHED_COUNT; i++) {
		if (as_json)
			state_json(&j, (enum watched)i);
		else
			state_row((enum watched)i);
	}
	if (as_json)
		shell_json_end(&j);
	return 0;
}

static int make_plan(const char *name, int argc, char **argv)
{
	struct alloc_fail_plan plan = {.seed = port_cycles()};
	enum watched which;

	if (!watched_find(name, &which))
		return shell_error("'%s' is none of kmalloc, page, off and sweep", name);
	if (argc == 1 && !strcmp(argv[0], "off")) {
		watch_fail(which, NULL);
		return 0;
	}
	for (int i = 0; i < argc; i++) {
		const char *wrong = fail_plan_word(&plan, argv[i]);

		if (wrong)
			return shell_error("'%s': %s", argv[i], wrong);
	}
	if (plan.mode == ALLOC_FAIL_OFF)
		return shell_error("one of every=N, nth=N, from=N and prob=P is needed");
	watch_fail(which, &plan);
	state_row(which);
	return 0;
}

/* The words are the command again, with blanks between them. */
static void join(char line[static SHELL_LINE_BYTES], int argc, char **argv)
{
	size_t used = 0;

	for (int i = 0; i < argc; i++)
		used += (size_t)format_buffer(line + used, SHELL_LINE_BYTES - used, "%s%s",
					      i ? " " : "", argv[i]);
}

/* sweep [--from] [--max N] [--json] COMMAND...: what is behind the command's name is its own. */
static int run_sweep(int argc, char **argv)
{
	static char line[SHELL_LINE_BYTES];
	bool as_json = false, stays = false;
	uint64_t most = SWEEP_MOST;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--json"))
			as_json = true;
		else if (!strcmp(argv[i], "--from"))
			stays = true;
		else if (strcmp(argv[i], "--max"))
			return shell_error("unknown argument '%s'", argv[i]);
		else if (++i == argc || shell_parse_u64(argv[i], &most) || !most)
			return shell_error("--max takes a number of runs");
	}
	if (i == argc)
		return shell_error("which command? (as in: fail sweep spawn noop)");
	if (!strcmp(argv[i], "fail"))
		return shell_error("a sweep of 'fail' would undo its own failures");
	join(line, argc - i, argv + i);
	return fail_sweep(line, stays, most, as_json);
}

static int run_fail(int argc, char **argv)
{
	bool as_json;

	if (argc > 1 && !strcmp(argv[1], "sweep"))
		return run_sweep(argc - 1, argv + 1);
	as_json = shell_take_flag(&argc, argv, "--json");
	if (argc < 2)
		return show_state(as_json);
	if (strcmp(argv[1], "off"))
		return make_plan(argv[1], argc - 2, argv + 2);
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	for (unsigned i = 0; i < WATCHED_COUNT; i++)
		watch_fail((enum watched)i, NULL);
	return 0;
}

static const char *const fail_words[] = {
	"kmalloc", "page", "off", "sweep", "every=", "nth=", "from=", "prob=", "caller=", NULL};

SHELL_COMMAND(fail) = {
	.name = "fail",
	.arguments = "[kmalloc|page PLAN | off | sweep COMMAND] [--json]",
	.summary = "Make calls of the allocators fail, and see what becomes of it",
	.help = "fail kmalloc nth=3           the third call from now on finds no memory\n"
		"fail page every=10           every tenth; from=10: the tenth and all after it\n"
		"fail kmalloc prob=5% seed=1  5 of 100; the same seed, the same calls\n"
		"fail page nth=1 caller=port_stack_alloc   only calls that function makes\n"
		"fail off; fail               no more; what was planned, and what has happened\n"
		"fail sweep spawn noop        run `spawn noop` again and again, each time with\n"
		"                             another call failing, and compare all counters\n"
		"fail sweep --from --max 50 'spawn churn --seconds 1; check'\n"
		"                             all calls from there on; at most 50 runs a kind\n"
		"A failure looks like memory running out: the command says so, and nothing is "
		"lost.\n"
		"'fail=kmalloc,nth=3' on the kernel command line does the same at boot.\n",
	.run = run_fail,
	.words = fail_words,
};
