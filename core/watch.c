/* SPDX-License-Identifier: MIT */
/*
 * Watching the kernel's two allocators together, for the shell and the command line.
 *
 * Invariant: ring.trace = NULL  <=>  neither allocator records; else both do, into it.
 * Context: the boot, then the shell's thread: no lock.
 */
#define LOG_TAG "watch"
#include "watch.h"
#include <quire/cmdline.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/string.h>

/* ---- trace ---- */

static struct {
	struct alloc_trace *trace;
	pfn_t head; /* of the run of pages it lies in */
} ring;

int watch_trace_on(uint64_t events)
{
	uint64_t bytes = sizeof(struct alloc_trace) + events * sizeof(struct alloc_event);
	uint64_t pages = bytes_to_pages(bytes);

	if (ring.trace)
		return -EBUSY;
	ring.head = page_alloc_run(&kernel_pages, pages, PAGE_ANY);
	if (pfn_is_none(ring.head))
		return -ENOMEM;
	ring.trace =
		alloc_trace_init(port_phys_to_virt(pfn_to_paddr(ring.head)), pages * PAGE_BYTES);
	kheap_trace(&kernel_heap, ring.trace);
	page_trace(&kernel_pages, ring.trace);
	return 0;
}

bool watch_trace_off(void)
{
	if (!ring.trace)
		return false;
	kheap_trace(&kernel_heap, NULL);
	page_trace(&kernel_pages, NULL);
	ring.trace = NULL;
	page_free_run(&kernel_pages, ring.head);
	return true;
}

struct alloc_trace *watch_trace(void)
{
	return ring.trace;
}

/* ---- fail ---- */

static const char *const names[WATCHED_COUNT] = {"kmalloc", "page"};

const char *watched_name(enum watched which)
{
	return names[which];
}

bool watched_find(const char *name, enum watched *which)
{
	for (unsigned i = 0; i < WATCHED_COUNT; i++)
		if (!strcmp(name, names[i])) {
			*which = (enum watched)i;
			return true;
		}
	return false;
}

void watch_fail(enum watched which, const struct alloc_fail_plan *plan)
{
	if (which == WATCHED_KMALLOC)
		kheap_fail(&kernel_heap, plan);
	else
		page_fail(&kernel_pages, plan);
}

bool watch_fail_state(enum watched which, struct alloc_fail *out)
{
	const struct alloc_fail *fail =
		which == WATCHED_KMALLOC ? &kernel_heap.fail : &kernel_pages.fail;
	uint32_t watch = which == WATCHED_KMALLOC ? kernel_heap.watch : kernel_pages.watch;

	*out = (struct alloc_fail){
		.plan = fail->plan,
		.calls = __atomic_load_n(&fail->calls, __ATOMIC_RELAXED),
		.failures = __atomic_load_n(&fail->failures, __ATOMIC_RELAXED),
		.last_caller = __atomic_load_n(&fail->last_caller, __ATOMIC_RELAXED),
	};
	return watch & WATCH_FAIL;
}

/* ---- the command line ---- */

/* "kmalloc,nth=3": commas for the shell's blanks. NULL, or what is wrong; *word is where. */
static const char *boot_plan(char *text, enum watched *which, struct alloc_fail_plan *plan,
			     char **word)
{
	bool named = false;

	while (text) {
		char *comma = strchr(text, ',');
		const char *wrong;

		if (comma)
			*comma++ = 0;
		*word = text;
		text = comma;
		if (!named) {
			if (!watched_find(*word, which))
				return "expected kmalloc or page";
			named = true;
			continue;
		}
		wrong = fail_plan_word(plan, *word);
		if (wrong)
			return wrong;
	}
	return plan->mode == ALLOC_FAIL_OFF ? "expected every=N, nth=N, from=N or prob=P" : NULL;
}

static void boot_fail(void)
{
	struct alloc_fail_plan plan = {.seed = port_cycles()};
	enum watched which = WATCHED_KMALLOC;
	const char *wrong;
	char text[128], *word = text;

	if (!cmdline_get("fail", text, sizeof text))
		return;
	wrong = boot_plan(text, &which, &plan, &word);
	if (wrong) {
		log_warn("fail=: '%s': %s", word, wrong);
		return;
	}
	log_info("calls of %s are made to fail (fail=, seed=%llu)", watched_name(which),
		 (unsigned long long)plan.seed);
	watch_fail(which, &plan);
}

void watch_boot(void)
{
	if (cmdline_bool("trace", false) && watch_trace_on(WATCH_EVENTS))
		log_warn("trace=1: no memory for %u events", WATCH_EVENTS);
	boot_fail();
}
