/* SPDX-License-Identifier: MIT */
/* What the tests of the page allocator share. */
#ifndef QUIRE_PAGE_FIXTURE_H
#define QUIRE_PAGE_FIXTURE_H

#include "pages.h"
#include <page_internal.h>
#include <quire/errno.h>
#include <quire/region.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB 256u    /* pages */
#define GIB 262144u /* pages */

static struct page_allocator pa;

static inline void page_verify(void)
{
	const char *wrong = page_check(&pa);

	if (wrong)
		fail_msg("page_check: %s", wrong);
}

/* An allocator over one usable region. */
static inline void page_setup(uint64_t start, uint64_t count)
{
	const struct region ram[] = {{pfn(start), count, REGION_USABLE}};

	host_pages_init(&pa, ram, 1);
	host_misuse_reset();
	page_verify();
}

/* Handing these pages over must panic, for they come twice. */
static inline void page_add_panics(uint64_t start, uint64_t count)
{
	if (host_expect_panic()) {
		(void)!page_add(&pa, pfn(start), count);
		fail();
	}
	assert_non_null(strstr(host_panic_text, "handed over twice"));
	pa.lock.held = 0;
}

/* Empty the caches, for who wants to see the bitmaps alone. */
static inline void page_drain(void)
{
	for (unsigned cpu = 0; cpu < pa.cpus; cpu++)
		page_cpu_drain(&pa, cpu);
}

static inline struct page_stats page_figures(void)
{
	struct page_stats stats;

	page_stats(&pa, &stats);
	return stats;
}

static inline struct page_about page_facts(uint64_t frame)
{
	struct page_about about;

	page_about(&pa, pfn(frame), &about);
	return about;
}

/* Exactly one report since the last call, with that text. */
static inline void assert_refused(const char *what)
{
	assert_int_equal(host_misuses, 1);
	assert_string_equal(host_last_misuse.what, what);
	assert_string_equal(host_last_misuse.allocator, "page");
	host_misuse_reset();
	page_verify();
}

#endif
