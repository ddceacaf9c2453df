/* SPDX-License-Identifier: MIT */
/* owner: who holds the page or object at an address, in a sentence. `peek` has the details. */
#include "about.h"
#include "table.h"
#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>
#include <quire/thread.h>

#define THREADS_AT_ONCE 8

struct owner {
	const char *kind; /* one word or two, for programs */
	char what[128];   /* for people */
	uint64_t start, bytes;
	uintptr_t allocated_by, freed_by;
};

/* ---- threads ---- */

/* The stack that covers a virtual address, or, where `frame` is given, that the frame is part of. */
static bool stack_covers(const struct thread_info *t, uint64_t address, const pfn_t *frame)
{
	struct arch_mapping m;

	if (!frame)
		return address - t->stack < t->stack_bytes;
	for (uint64_t at = t->stack; at < t->stack + t->stack_bytes; at += PAGE_BYTES) {
		arch_lookup((vaddr_t){at}, &m);
		if (m.present && paddr_to_pfn(m.physical).n == frame->n)
			return true;
	}
	return false;
}

static bool find_thread(uint64_t address, const pfn_t *frame, struct thread_info *out)
{
	struct thread_info list[THREADS_AT_ONCE];
	uint32_t after = UINT32_MAX;
	size_t n;

	while ((n = thread_list(after, list, THREADS_AT_ONCE)) != 0) {
		for (size_t i = 0; i < n; i++)
			if (list[i].stack_bytes && stack_covers(&list[i], address, frame)) {
				*out = list[i];
				return true;
			}
		after = list[n - 1].id;
	}
	return false;
}

static bool owned_by_thread(const struct address_about *a, struct owner *o)
{
	struct thread_info t;

	if (!find_thread(a->address, NULL, &t) &&
	    !(a->has_frame && find_thread(a->address, &a->frame, &t)))
		return false;
	o->kind = "stack";
	format_buffer(o->what, sizeof o->what, "stack of thread %u (%s)", t.id, t.name);
	o->start = t.stack;
	o->bytes = t.stack_bytes;
	return true;
}

/* ---- kmalloc ---- */

static bool owned_by_kmalloc(const struct address_about *a, struct owner *o)
{
	const struct kheap_about *h = &a->heap;
	const char *guarded = h->guarded ? "guarded " : "";

	if (h->where == KHEAP_NOWHERE)
		return false;
	o->start = h->object;
	o->bytes = h->object_bytes;
	o->allocated_by = h->allocated_by;
	o->freed_by = h->freed_by;
	o->kind = h->where == KHEAP_OBJECT ? "object" : "large object";
	if (h->where == KHEAP_LARGE) {
		format_buffer(o->what, sizeof o->what, "large object of kmalloc");
		return true;
	}
	if (h->where == KHEAP_FREE_OBJECT)
		o->kind = "free object";
	if (h->where == KHEAP_SLACK)
		o->kind = h->guarded ? "beside an object" : "slack";
	format_buffer(o->what, sizeof o->what, "%s%s of %s", guarded,
		      h->where == KHEAP_OBJECT        ? "live object"
		      : h->where == KHEAP_FREE_OBJECT ? "free object"
		      : h->guarded                    ? "page, beside an object"
		      : h->slot                       ? "slab, behind its last object"
						      : "slab, before its first object",
		      h->cache);
	return true;
}

/* ---- pages ---- */

static void say(struct owner *o, const char *kind, const char *what)
{
	o->kind = kind;
	strlcpy(o->what, what, sizeof o->what);
}

static bool owned_by_pages(const struct address_about *a, struct owner *o)
{
	const struct page_about *p = &a->page;

	if (!a->has_frame || !p->described)
		return false;
	o->allocated_by = p->allocated_by;
	o->freed_by = p->freed_by;
	o->start = (uintptr_t)port_phys_to_virt(pfn_to_paddr(p->free ? a->frame : p->head));
	o->bytes = (p->free ? 1 : p->pages) * PAGE_BYTES;
	if (p->free)
		say(o, "free page", p->freed_by ? "free page" : "free page, nobody ever had it");
	else if (p->state == PAGE_SLAB)
		say(o, "slab", "page of a slab of kmalloc's");
	else if (p->state == PAGE_HEAD || p->state == PAGE_RUN)
		say(o, "pages", p->pages == 1 ? "allocated page" : "allocated pages");
	else
		return false;
	return true;
}

/* What was never the page allocator's: by the firmware's map and what the boot laid over it. */
static bool owned_since_boot(const struct address_about *a, struct owner *o)
{
	const char *reserved = a->has_frame ? memory_reserved_for(a->frame) : NULL;

	o->allocated_by = o->freed_by = 0;
	o->start = a->address & ~(uint64_t)PAGE_MASK;
	o->bytes = PAGE_BYTES;
	if (a->region) {
		o->bytes = a->region->pages * PAGE_BYTES;
		o->start = (uintptr_t)port_phys_to_virt(pfn_to_paddr(a->region->start));
	}
	if (reserved)
		say(o, "kernel", reserved);
	else if (a->region)
		format_buffer(o->what, sizeof o->what, "%s memory of the firmware's map",
			      region_kind_name(a->region->kind));
	else
		return false;
	if (!reserved)
		o->kind = "firmware";
	return true;
}

static bool owned_as_table(const struct address_about *a, struct owner *o)
{
	if (!a->has_frame || !arch_is_page_table(pfn_to_paddr(a->frame)))
		return false;
	say(o, "page table", "page table of the kernel");
	o->start = (uintptr_t)port_phys_to_virt(pfn_to_paddr(a->frame));
	o->bytes = PAGE_BYTES;
	o->allocated_by = a->page.allocated_by;
	return true;
}

/* ---- what it comes to ---- */

static bool owned_as_image(const struct address_about *a, struct owner *o)
{
	size_t offset;
	const char *symbol = symbol_find((uintptr_t)a->address, &offset);

	if (!symbol || a->address < KERNEL_BASE)
		return false;
	o->kind = "kernel image";
	format_buffer(o->what, sizeof o->what, "kernel image, %s+0x%zx", symbol, offset);
	o->start = a->address - offset;
	return true;
}

static void owner_look(const struct address_about *a, struct owner *o)
{
	const char *text;

	*o = (struct owner){0};
	if (owned_as_image(a, o) || owned_by_kmalloc(a, o) || owned_by_thread(a, o) ||
	    owned_as_table(a, o) || owned_by_pages(a, o) ||
	    (address_in_direct_map((void *)(uintptr_t)a->address) && owned_since_boot(a, o)))
		return;
	*o = (struct owner){.kind = a->mapping.present ? "mapped" : "nothing"};
	text = address_describe(o->what, sizeof o->what, (vaddr_t){a->address});
	if (text != o->what)
		strlcpy(o->what, text, sizeof o->what);
}

static void print_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		shell_printf("  %-13s %s\n", label, symbol_format(name, address));
}

static void print_owner(const struct address_about *a, const struct owner *o)
{
	char size[12];

	shell_printf("0x%llx: %s\n", (ull)a->address, o->what);
	if (o->bytes)
		shell_printf("  %-13s 0x%llx, %s\n", "from", (ull)o->start,
			     format_bytes(size, o->bytes));
	if (a->has_frame)
		shell_printf("  %-13s 0x%llx\n", "pfn", (ull)a->frame.n);
	print_site("allocated by", o->allocated_by);
	print_site("freed by", o->freed_by);
}

static void site_json(struct json *j, const char *key, uintptr_t address)
{
	char name[64];

	json_string(j, key, address ? symbol_format(name, address) : NULL);
}

static void owner_json(const struct address_about *a, const struct owner *o)
{
	struct json j;

	shell_json_begin(&j);
	json_hex(&j, "address", a->address);
	json_string(&j, "kind", o->kind);
	json_string(&j, "what", o->what);
	json_hex(&j, "start", o->start);
	json_uint(&j, "bytes", o->bytes);
	if (a->has_frame)
		json_hex(&j, "pfn", a->frame.n);
	site_json(&j, "allocated_by", o->allocated_by);
	site_json(&j, "freed_by", o->freed_by);
	shell_json_end(&j);
}

static int run_owner(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct address_about about;
	struct owner owner;
	uint64_t address;

	if (argc < 2)
		return shell_error("an address is needed");
	if (shell_parse_u64(argv[1], &address))
		return shell_error("'%s' is not an address", argv[1]);
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	address_look(address, &about);
	owner_look(&about, &owner);
	if (as_json)
		owner_json(&about, &owner);
	else
		print_owner(&about, &owner);
	return 0;
}

SHELL_COMMAND(owner) = {
	.name = "owner",
	.arguments = "ADDR [--json]",
	.summary = "Who holds the page or object at an address",
	.help = "ADDR is a kernel address, or a physical one. Any number gets an answer: the "
		"kernel\n"
		"image, a page table, a thread's stack, an object of kmalloc and its state, pages\n"
		"and who allocated them, a free page and who freed it, the firmware's memory.\n"
		"Nothing is read at the address itself. `peek ADDR` tells all that is known.\n",
	.run = run_owner,
};
