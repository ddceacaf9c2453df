/* SPDX-License-Identifier: MIT */
/* Watching the kernel's allocators: what the shell and the command line share. Threads, and the boot. */
#ifndef QUIRE_WATCH_H
#define QUIRE_WATCH_H

#include <quire/alloc_fail.h>
#include <quire/alloc_trace.h>
#include <quire/compiler.h>
#include <stddef.h>

/* ---- trace ---- */

#define WATCH_EVENTS     8192
#define WATCH_EVENTS_MAX (1u << 24)

/* Begin to record both allocators' last `events` calls. 0; -EBUSY: on already; -ENOMEM. */
must_check int watch_trace_on(uint64_t events);
/* Cease, and give the ring's memory back. False: it was off. */
bool watch_trace_off(void);
/* The ring, or NULL while off. */
struct alloc_trace *watch_trace(void);

/* ---- fail ---- */

enum watched {
	WATCHED_KMALLOC,
	WATCHED_PAGE,
	WATCHED_COUNT,
};

/* "kmalloc", "page". */
const char *watched_name(enum watched which);
/* By name; false when there is none. */
must_check bool watched_find(const char *name, enum watched *which);

/* NULL: no more failures. */
void watch_fail(enum watched which, const struct alloc_fail_plan *plan);
/* The plan and its counts, those of the last one after it has ended; is one in force? */
bool watch_fail_state(enum watched which, struct alloc_fail *out);

/*
 * One word of a plan: every=N nth=N from=N prob=P seed=N caller=FUNCTION. NULL, or what is wrong
 * with it (static text). A plan without a mode is not complete.
 */
const char *fail_plan_word(struct alloc_fail_plan *plan, const char *word);
/* "nth=3"; without seed and caller. Returns buffer. */
char *fail_plan_text(char buffer[static 32], const struct alloc_fail_plan *plan);

/* What the command line asks for: trace=1, fail=kmalloc,nth=3. Once, when there is memory. */
void watch_boot(void);

#endif
