/* SPDX-License-Identifier: MIT */
/*
 * leaks: who holds memory, largest first.
 *
 * Pages always know their caller; objects of kmalloc know it when tracking was on as their slab
 * was made. The table of callers is pages of its own, gone when the command ends.
 */
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>

#define TABLE_ORDER 4
#define TABLE_ROWS  ((PAGE_BYTES << TABLE_ORDER) / sizeof(struct holder))
#define SHOWN       20

/* What one caller holds, of one kind. */
struct holder {
	uintptr_t caller; /* 0: an empty row */
	bool is_kmalloc;
	uint64_t bytes, objects;
};

struct holders {
	struct holder *rows; /* an open hash table by caller */
	size_t used;
	pfn_t frame;              /* of the table, which is not listed itself */
	struct holder unknown;    /* objects without a caller */
	struct holder overflowed; /* callers the table had no room for */
};

static void add(struct holders *h, uintptr_t caller, bool is_kmalloc, uint64_t bytes)
{
	size_t at = (caller * 0x9e3779b97f4a7c15u >> 32) % TABLE_ROWS;
	struct holder *row = &h->unknown;

	for (; caller; at = (at + 1) % TABLE_ROWS) {
		row = &h->rows[at];
		if (row->caller == caller && row->is_kmalloc == is_kmalloc)
			break;
		if (row->caller)
			continue;
		if (h->used + 1 ==
		    TABLE_ROWS) { /* one row stays empty, or searches would not end */
			row = &h->overflowed;
			break;
		}
		h->used++;
		row->caller = caller;
		row->is_kmalloc = is_kmalloc;
		break;
	}
	row->bytes += bytes;
	row->objects++;
}

static void add_object(void *context, const struct kheap_live *live)
{
	add(context, live->allocated_by, true, live->bytes);
}

static void add_pages(void *context, const struct page_owned *p)
{
	struct holders *h = context;

	if (p->state != PAGE_SLAB && p->frame.n != h->frame.n)
		add(h, p->allocated_by, p->is_object, p->pages * PAGE_BYTES);
}

/* Empty rows last, then by bytes: shell sort, in place. */
static void sort(struct holder *rows, size_t count)
{
	for (size_t gap = count / 2; gap; gap /= 2)
		for (size_t i = gap; i < count; i++) {
			struct holder moved = rows[i];
			size_t at = i;

			for (; at >= gap && rows[at - gap].bytes < moved.bytes; at -= gap)
				rows[at] = rows[at - gap];
			rows[at] = moved;
		}
}

static int gather(struct holders *h)
{
	*h = (struct holders){.frame = page_alloc(&kernel_pages, TABLE_ORDER, PAGE_ZEROED)};
	if (pfn_is_none(h->frame)) {
		shell_error("no memory for the table of callers");
		return -ENOMEM;
	}
	h->rows = port_phys_to_virt(pfn_to_paddr(h->frame));
	kheap_walk(&kernel_heap, NULL, add_object, h);
	page_walk(&kernel_pages, add_pages, h);
	sort(h->rows, TABLE_ROWS);
	return 0;
}

static const char *kind_name(const struct holder *row)
{
	return row->is_kmalloc ? "kmalloc" : "pages";
}

static void holders_json(const struct holders *h)
{
	char name[64];
	struct json j;

	shell_json_begin(&j);
	json_bool(&j, "tracking", kernel_heap.watch & WATCH_TRACK);
	json_object(&j, "not_attributed");
	json_uint(&j, "bytes", h->unknown.bytes);
	json_uint(&j, "objects", h->unknown.objects);
	json_object_end(&j);
	json_uint(&j, "overflowed_bytes", h->overflowed.bytes);
	json_array(&j, "holders");
	for (size_t i = 0; i < h->used; i++) {
		json_object(&j, NULL);
		json_uint(&j, "bytes", h->rows[i].bytes);
		json_uint(&j, "objects", h->rows[i].objects);
		json_string(&j, "kind", kind_name(&h->rows[i]));
		json_string(&j, "caller", symbol_format(name, h->rows[i].caller));
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static void print_holders(const struct holders *h, size_t most)
{
	char bytes[12], count[28], name[64];

	shell_printf("%10s %9s  %-8s %s\n", "bytes", "objects", "from", "allocated by");
	for (size_t i = 0; i < h->used && i < most; i++)
		shell_printf("%10s %9s  %-8s %s\n", format_bytes(bytes, h->rows[i].bytes),
			     format_count(count, h->rows[i].objects), kind_name(&h->rows[i]),
			     symbol_format(name, h->rows[i].caller));
	if (h->used > most)
		shell_printf("(%zu smaller ones: --all shows them)\n", h->used - most);
	if (h->overflowed.objects)
		shell_printf("%10s %9s  of callers past the first %zu\n",
			     format_bytes(bytes, h->overflowed.bytes),
			     format_count(count, h->overflowed.objects), TABLE_ROWS - 1);
	if (h->unknown.objects)
		shell_printf("%10s %9s  kmalloc  not attributed: %s\n",
			     format_bytes(bytes, h->unknown.bytes),
			     format_count(count, h->unknown.objects),
			     kernel_heap.watch & WATCH_TRACK
				     ? "allocated before tracking was on"
				     : "tracking is off (leaks on, or track=1 at boot)");
}

/* True: the word was one of those, and done. */
static bool switch_tracking(const char *word)
{
	bool on = !strcmp(word, "on");

	if (!on && strcmp(word, "off"))
		return false;
	if (!on && kernel_heap.debug)
		shell_printf("quarantine needs to know the callers: tracking stays on\n");
	else
		kheap_watch(&kernel_heap, on ? WATCH_TRACK : 0, on ? 0 : WATCH_TRACK);
	return true;
}

static int run_leaks(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	bool all = shell_take_flag(&argc, argv, "--all");
	struct holders h;
	int error;

	if (argc == 2 && switch_tracking(argv[1]))
		return 0;
	if (shell_no_more(argc, argv))
		return -EINVAL;
	memory_settle();
	error = gather(&h);
	if (error)
		return error;
	if (as_json)
		holders_json(&h);
	else
		print_holders(&h, all ? h.used : SHOWN);
	page_free(&kernel_pages, h.frame, TABLE_ORDER);
	return 0;
}

static const char *const leaks_words[] = {"on", "off", "--all", NULL};

SHELL_COMMAND(leaks) = {
	.name = "leaks",
	.arguments = "[on | off] [--all] [--json]",
	.summary = "Who holds memory: live allocations by caller, largest first",
	.help = "bytes    held by what that line of code allocated; kmalloc: sizes of the slots\n"
		"from     kmalloc or the page allocator\n"
		"Pages always know their caller. Objects of kmalloc do when tracking was on:\n"
		"leaks on switches it on for what is allocated from then on, track=1 on the\n"
		"command line from the first object. `owner ADDR` tells of a single one.\n",
	.run = run_leaks,
	.words = leaks_words,
};
