/* SPDX-License-Identifier: MIT */
/* What must be the same after something as before it. */
#ifndef QUIRE_BOOKS_H
#define QUIRE_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

struct books {
	uint64_t free_pages, live_objects, live_bytes, large_live, large_pages, threads;
};

/* Empties what the CPUs and the slabs keep, and counts. Threads only. */
void books_take(struct books *out);

/* The same once they stand still: ended threads are freed a little later, by the reaper. */
void books_settle(struct books *out);

/* NULL, or what differs (static text). */
const char *books_compare(const struct books *before, const struct books *after);

/*
 * The same, after the kernel had a while to bury threads and take their memory back: up to five
 * seconds. *after is the last look.
 */
const char *books_come_back(const struct books *before, struct books *after);

#endif
