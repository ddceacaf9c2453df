/* SPDX-License-Identifier: MIT */
/*
 * The sweep. For each allocator, for n = 1, 2, 3, …:
 *
 *   books ─► the n-th call is to fail ─► the command ─► its threads end ─► no more failures
 *     └───────────────────────── must be the same ─────────────────────────► books
 *
 * until a run meets no failure any more: then each call has failed in turn. Where nothing but
 * known sites come up, the steps double, so that the sweep gets past a loop. A command that failed
 * must leave nothing behind. One that succeeded all the same may keep what it keeps
 * without failures, which is looked at once, before.
 *
 * Context: the shell's thread. No memory is needed but the command's own.
 */
#include "fail_sweep.h"

#include "books.h"
#include "table.h"
#include "watch.h"
#include <quire/compiler.h>
#include <quire/errno.h>
#include <quire/shell.h>
#include <quire/symbols.h>
#include <quire/thread.h>

#define END_TRIES    500 /* times 20 ms for the command's threads to end */
#define END_NS       20000000ull
#define KNOWN_ENOUGH 6
#define SITES_MAX    64

struct sweep {
	const char *line;
	bool stays, as_json;
	uint64_t most;
	bool keeps; /* the command keeps memory when nothing fails */
	struct json json;
	uint64_t runs, wrong;
	uintptr_t sites[SITES_MAX]; /* of the allocator being swept */
	unsigned site_count;
};

struct run {
	uint64_t n;
	int result;
	struct alloc_fail met;
	const char *left; /* NULL, or what was left behind */
	char said[96];
};

static void wait_for_threads(uint64_t threads)
{
	struct sched_stats s;

	for (unsigned i = 0; i < END_TRIES; i++) {
		sched_stats(&s);
		if (s.threads <= threads || thread_sleep_ns(END_NS))
			return;
	}
}

/* `plan` NULL: without failures. */
static void run_once(struct sweep *s, enum watched which, const struct alloc_fail_plan *plan,
		     struct run *r)
{
	struct books before, after;

	books_take(&before);
	if (plan)
		watch_fail(which, plan);
	shell_capture(r->said, sizeof r->said);
	r->result = shell_run_line(s->line);
	shell_capture(NULL, 0);
	wait_for_threads(before.threads);
	if (plan) {
		watch_fail(which, NULL);
		(void)watch_fail_state(which, &r->met);
	}
	r->left = books_come_back(&before, &after);
	if (r->left && r->result == 0 && s->keeps)
		r->left = NULL;
}

static void show_run(struct sweep *s, enum watched which, const struct run *r)
{
	char site[64];

	symbol_format_return(site, r->met.last_caller);
	if (s->as_json) {
		json_object(&s->json, NULL);
		json_string(&s->json, "allocator", watched_name(which));
		json_uint(&s->json, "n", r->n);
		json_string(&s->json, "site", site);
		json_bool(&s->json, "failed", r->result != 0);
		json_string(&s->json, "said", r->said);
		json_string(&s->json, "left", r->left);
		json_object_end(&s->json);
		return;
	}
	shell_printf("%-7s %4llu  %-32s %-6s %s\n", watched_name(which), (ull)r->n, site,
		     r->left     ? "LEFT"
		     : r->result ? "failed"
				 : "ok",
		     r->said);
	if (r->left)
		shell_printf("%-7s %4s  %s\n", "", "", r->left);
}

/* Whose call failed; true the first time. */
static bool is_new(struct sweep *s, uintptr_t site)
{
	for (unsigned i = 0; i < s->site_count; i++)
		if (s->sites[i] == site)
			return false;
	if (s->site_count < SITES_MAX)
		s->sites[s->site_count++] = site;
	return true;
}

static int sweep_allocator(struct sweep *s, enum watched which)
{
	struct alloc_fail_plan plan = {.mode = s->stays ? ALLOC_FAIL_FROM : ALLOC_FAIL_NTH};
	unsigned nothing_new = 0; /* runs in a row that met a known site */
	struct run r;

	plan.n = 0;
	s->site_count = 0;
	for (uint64_t i = 0; i < s->most; i++) {
		plan.n += nothing_new < KNOWN_ENOUGH
				  ? 1
				  : (uint64_t)1 << (nothing_new - KNOWN_ENOUGH) % 32;
		r = (struct run){.n = plan.n};
		run_once(s, which, &plan, &r);
		if (r.result == -EINTR)
			return -EINTR;
		if (!r.met.failures && !r.left)
			return 0;
		s->runs++;
		s->wrong += r.left != NULL;
		show_run(s, which, &r);
		nothing_new = is_new(s, r.met.last_caller) ? 0 : nothing_new + 1;
	}
	if (!s->as_json)
		shell_printf("%-7s       and more: stopped after %llu (--max)\n",
			     watched_name(which), (ull)s->most);
	return 0;
}

int fail_sweep(const char *line, bool stays, uint64_t most, bool as_json)
{
	static bool at_work;
	struct sweep s = {.line = line, .stays = stays, .as_json = as_json, .most = most};
	struct run plain = {0};
	int error = 0;

	if (at_work)
		return shell_error("a sweep is running already");
	at_work = true;
	run_once(&s, WATCHED_KMALLOC, NULL, &plain);
	s.keeps = plain.left != NULL;
	if (plain.result) {
		at_work = false;
		return shell_error("without failures it says: %s", plain.said);
	}
	if (as_json) {
		shell_json_begin(&s.json);
		json_string(&s.json, "line", line);
		json_bool(&s.json, "keeps_memory", s.keeps);
		json_array(&s.json, "runs");
	} else {
		shell_printf("%-7s %4s  %-32s %-6s %s\n", "fails", "call", "made by", "result",
			     "last line printed");
	}
	for (unsigned which = 0; !error && which < WATCHED_COUNT; which++)
		error = sweep_allocator(&s, (enum watched)which);
	at_work = false;
	if (as_json) {
		json_array_end(&s.json);
		json_uint(&s.json, "wrong", s.wrong);
		shell_json_end(&s.json);
	} else {
		shell_printf("%llu failures, one a run; after %llu of them something was left\n",
			     (ull)s.runs, (ull)s.wrong);
	}
	return error ? error : s.wrong ? -EIO : 0;
}
