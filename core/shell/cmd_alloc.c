/* SPDX-License-Identifier: MIT */
/*
 * alloc, free: memory taken and given back by hand.
 *
 * The shell remembers what it allocated, so that `free` cannot pull memory from
 * under a running thread: an address that is live but not the shell's is
 * refused here; any other wrong address goes to the allocator, which must
 * refuse it with a report. The list is touched by the shell's thread only.
 */
#include "about.h"
#include "table.h"

#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>

#define NOT_PAGES (-1)

/* One thing the shell has allocated and not freed. */
struct holding {
	struct list link;
	void *pointer;
	int order; /* of a block of pages, or NOT_PAGES for kmalloc's */
};

static struct list holdings = {&holdings, &holdings};

static struct holding *holding_find(const void *pointer)
{
	list_for_each (node, &holdings) {
		struct holding *h = list_entry(node, struct holding, link);

		if (h->pointer == pointer)
			return h;
	}
	return NULL;
}

static int zone_flags(const char *below, unsigned *flags)
{
	*flags = PAGE_ANY;
	if (!below)
		return 0;
	if (!strcmp(below, "1M"))
		*flags = PAGE_BELOW_1M;
	else if (!strcmp(below, "4G"))
		*flags = PAGE_BELOW_4G;
	else
		return shell_error("--below takes 1M or 4G, not '%s'", below);
	return 0;
}

static int alloc_pages(const char *order_text, const char *below, struct holding *out)
{
	unsigned flags;
	uint64_t order;
	pfn_t head;

	if (shell_parse_u64(order_text, &order) || order > PAGE_ORDER_MAX)
		return shell_error("'%s' is not an order from 0 to %d", order_text, PAGE_ORDER_MAX);
	if (zone_flags(below, &flags))
		return -EINVAL;
	head = page_alloc(&kernel_pages, (unsigned)order, flags);
	if (pfn_is_none(head)) {
		shell_error("no free block of order %llu%s%s", (ull)order, below ? " below " : "",
			    below ? below : "");
		return -ENOMEM;
	}
	out->pointer = port_phys_to_virt(pfn_to_paddr(head));
	out->order = (int)order;
	return 0;
}

static int alloc_bytes(const char *text, struct holding *out)
{
	uint64_t bytes;
	char size[12];

	if (shell_parse_u64(text, &bytes))
		return shell_error("'%s' is not a size", text);
	out->pointer = kmalloc(bytes);
	out->order = NOT_PAGES;
	if (!out->pointer) {
		shell_error("no %s of memory in one piece", format_bytes(size, bytes));
		return -ENOMEM;
	}
	return 0;
}

static int list_holdings(void)
{
	struct kheap_about heap;
	char size[12];

	if (list_is_empty(&holdings))
		shell_printf("nothing allocated from the shell (try: alloc 300)\n");
	list_for_each (node, &holdings) {
		struct holding *h = list_entry(node, struct holding, link);

		kheap_about(&kernel_heap, h->pointer, &heap);
		shell_printf("0x%llx %10s  %s\n", (ull)(uintptr_t)h->pointer,
			     format_bytes(size, h->order == NOT_PAGES ? kmalloc_size(h->pointer)
								      : PAGE_BYTES << h->order),
			     h->order != NOT_PAGES ? "pages"
			     : heap.cache          ? heap.cache
						   : "large object");
	}
	return 0;
}

static int run_alloc(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	const char *order = shell_take_option(&argc, argv, "--order");
	const char *below = shell_take_option(&argc, argv, "--below");
	struct address_about about;
	struct holding *holding;
	int error;

	if (!order && argc < 2)
		return below || as_json ? shell_error("a size is needed") : list_holdings();
	if (below && !order)
		return shell_error("--below goes with --order");
	if (shell_no_more(order ? argc : argc - 1, order ? argv : argv + 1))
		return -EINVAL;
	holding = kmalloc(sizeof *holding);
	if (!holding) {
		shell_error("no memory to remember the allocation");
		return -ENOMEM;
	}
	error = order ? alloc_pages(order, below, holding) : alloc_bytes(argv[1], holding);
	if (error) {
		kfree(holding);
		return error;
	}
	list_push_back(&holdings, &holding->link);
	address_look((uintptr_t)holding->pointer, &about);
	address_print(&about, as_json);
	return 0;
}

static const char *const alloc_words[] = {"--order", "--below", NULL};

SHELL_COMMAND(alloc) = {
	.name = "alloc",
	.arguments = "[SIZE | --order N [--below 1M|4G]] [--json]",
	.summary = "Allocate SIZE bytes (or 2^N pages); say where they came from",
	.help = "alloc             what the shell has allocated and not freed\n"
		"alloc 300         kmalloc(300): the address, its class, slab, page and pfn\n"
		"alloc 1M          sizes take K, M, G and T\n"
		"alloc --order 9   512 pages of 4 KiB from the page allocator, aligned to 2 MiB\n"
		"The memory stays allocated until `free ADDR`.\n",
	.run = run_alloc,
	.words = alloc_words,
};

/* Memory that somebody else is using: giving it back from here would break them. */
static bool live_elsewhere(const void *pointer)
{
	struct address_about about;

	address_look((uintptr_t)pointer, &about);
	return about.heap.object == (uintptr_t)pointer &&
	       (about.heap.where == KHEAP_OBJECT || about.heap.where == KHEAP_LARGE);
}

static int run_free(int argc, char **argv)
{
	struct holding *holding;
	uint64_t address, refused;
	void *pointer;

	if (argc < 2)
		return shell_error("an address is needed");
	if (shell_parse_u64(argv[1], &address))
		return shell_error("'%s' is not an address", argv[1]);
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	if (address == 0) {
		shell_printf("freeing NULL is allowed, and does nothing\n");
		return 0;
	}
	pointer = (void *)(uintptr_t)address;
	holding = holding_find(pointer);
	if (holding && holding->order != NOT_PAGES) {
		page_free(&kernel_pages, paddr_to_pfn(port_virt_to_phys(pointer)),
			  (unsigned)holding->order);
	} else {
		if (!holding && live_elsewhere(pointer))
			return shell_error("0x%llx is in use and was not allocated from the shell",
					   (ull)address);
		refused = kernel_heap.misuses;
		kfree(pointer);
		if (kernel_heap.misuses != refused)
			return -EINVAL; /* the report has said why */
	}
	if (holding) {
		list_remove(&holding->link);
		kfree(holding);
	}
	shell_printf("freed 0x%llx\n", (ull)address);
	return 0;
}

SHELL_COMMAND(free) = {
	.name = "free",
	.arguments = "ADDR",
	.summary = "Give memory from `alloc` back",
	.help = "Any address may be tried: a wrong one (freed already, inside an object, not from\n"
		"kmalloc) is refused with a report, and nothing happens. Memory in use by the\n"
		"kernel itself is refused, too.\n",
	.run = run_free,
};
