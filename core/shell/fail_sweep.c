/* SPDX-License-Identifier: MIT */
/*
 * The sweep. For each allocator, for n = 1, 2, 3, …:
 *
 *   books ─► the n-th call is to fail ─► the command ─► its threads end ─► no more failures
 *     └───────────────────────── must be the same ─────────────────────────► books
 *
 * until a run meets no failure any more: then each call has failed in turn. Where nothing but
 * known sites come up, the steps double, so that the sweep gets past a loop. After each run all
 * validators have their say. A command that failed must leave nothing behind. One that succeeded all
 * the same may keep what it keeps without failures, which is looked at once, before: no object and
 * no thread more. Pages may differ then, a slab is there already or is not.
 *
 * Context: the shell's thread. No memory is needed but the command's own.
 */
#include "fail_sweep.h"

#include "books.h"
#include "table.h"
#include "watch.h"
#include <quire/compiler.h>
#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/shell.h>
#include <quire/string.h>
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
	struct books keeps; /* what the command has for good when nothing fails; wraps */
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

static const char *validate(void)
{
	const char *wrong = memory_check();

	return wrong ? wrong : sched_check();
}

static bool keeps(const struct sweep *s)
{
	static const struct books nothing;

	return memcmp(&s->keeps, &nothing, sizeof nothing) != 0;
}

/* A command that succeeded: is there what it leaves behind without failures, and no more? */
static const char *compare_kept(const struct sweep *s, const struct books *before)
{
	struct books expected = *before, after;

	expected.live_objects += s->keeps.live_objects;
	expected.live_bytes += s->keeps.live_bytes;
	expected.large_live += s->keeps.large_live;
	expected.large_pages += s->keeps.large_pages;
	expected.threads += s->keeps.threads;
	books_take(&after);
	expected.free_pages = after.free_pages;
	return books_compare(&expected, &after);
}

static const char *compare(const struct sweep *s, const struct books *before, int result)
{
	struct books after;

	if (result == 0 && keeps(s))
		return compare_kept(s, before);
	return books_come_back(before, &after);
}

static void run_once(struct sweep *s, enum watched which, const struct alloc_fail_plan *plan,
		     struct run *r)
{
	struct books before;

	books_take(&before);
	watch_fail(which, plan);
	shell_capture(r->said, sizeof r->said);
	r->result = shell_run_line(s->line);
	shell_capture(NULL, 0);
	wait_for_threads(before.threads);
	watch_fail(which, NULL);
	(void)watch_fail_state(which, &r->met);
	r->left = compare(s, &before, r->result);
	if (!r->left)
		r->left = validate();
}

/* Once without failures; twice, as the first time may leave what is made once only. */
static int run_plain(struct sweep *s, char said[static 96])
{
	struct books before = {0}, after = before;
	int result = 0;

	for (unsigned i = 0; !result && i < 2; i++) {
		books_settle(&before);
		shell_capture(said, 96);
		result = shell_run_line(s->line);
		shell_capture(NULL, 0);
		wait_for_threads(before.threads);
		books_settle(&after);
	}
	s->keeps = (struct books){
		.free_pages = after.free_pages - before.free_pages,
		.live_objects = after.live_objects - before.live_objects,
		.live_bytes = after.live_bytes - before.live_bytes,
		.large_live = after.large_live - before.large_live,
		.large_pages = after.large_pages - before.large_pages,
		.threads = after.threads - before.threads,
	};
	return result;
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
	char said[96];
	int error;

	if (at_work)
		return shell_error("a sweep is running already");
	at_work = true;
	error = run_plain(&s, said);
	if (error) {
		at_work = false;
		return shell_error("without failures it says: %s", said);
	}
	if (as_json) {
		shell_json_begin(&s.json);
		json_string(&s.json, "line", line);
		json_bool(&s.json, "keeps_memory", keeps(&s));
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
