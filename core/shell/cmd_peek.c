/* SPDX-License-Identifier: MIT */
/* peek: what the kernel knows of an address. */
#include "about.h"
#include "table.h"
#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>

/* An address as a person gives it: kernel virtual, or physical when it is below the direct map's
 * length. */
static const void *address_to_virtual(uint64_t address)
{
	if (address < DIRECT_MAP_BYTES)
		return port_phys_to_virt(paddr(address));
	return (const void *)(uintptr_t)address;
}

bool address_in_direct_map(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer - DIRECT_MAP_BASE < DIRECT_MAP_BYTES;
}

static const char *const where_names[] = {
	[KHEAP_NOWHERE] = "nowhere", [KHEAP_OBJECT] = "object", [KHEAP_FREE_OBJECT] = "free object",
	[KHEAP_SLACK] = "slack",     [KHEAP_LARGE] = "large",
};

static const char *const state_names[] = {
	[PAGE_NONE] = "none",         [PAGE_HEAD] = "head", [PAGE_RUN] = "run",
	[PAGE_RESERVED] = "reserved", [PAGE_SLAB] = "slab",
};

void address_look(uint64_t address, struct address_about *out)
{
	const void *pointer = address_to_virtual(address);
	size_t count;
	const struct region *regions = memory_regions(&count);

	memset(out, 0, sizeof *out);
	out->address = (uint64_t)(uintptr_t)pointer;
	arch_lookup((vaddr_t){out->address}, &out->mapping);
	kheap_about(&kernel_heap, pointer, &out->heap);
	if (out->heap.guarded && out->heap.frame.n)
		out->frame = out->heap.frame;
	else if (address_in_direct_map(pointer))
		out->frame = paddr_to_pfn(port_virt_to_phys(pointer));
	else if (out->mapping.present)
		out->frame = paddr_to_pfn(out->mapping.physical);
	else
		return;
	out->has_frame = true;
	out->region = region_find(regions, count, out->frame);
	page_about(&kernel_pages, out->frame, &out->page);
}

static void print_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		shell_printf("  %-10s %s\n", label, symbol_format(name, address));
}

static void print_heap(const struct address_about *a)
{
	const struct kheap_about *h = &a->heap;

	if (h->where == KHEAP_NOWHERE)
		return;
	if (h->where == KHEAP_LARGE) {
		shell_printf("  kmalloc    large object at 0x%llx, %llu pages\n", (ull)h->object,
			     (ull)h->slab_pages);
	} else {
		shell_printf("  kmalloc    %s%s of class %s, %llu bytes at 0x%llx",
			     h->guarded ? "guarded " : "", where_names[h->where], h->cache,
			     (ull)h->object_bytes, (ull)h->object);
		if (h->where != KHEAP_SLACK && h->object != a->address)
			shell_printf(" (+%llu)", (ull)(a->address - h->object));
		shell_printf("\n  slab       at 0x%llx, %llu page%s; slot %u of %u, %u live\n",
			     (ull)h->slab, (ull)h->slab_pages, h->slab_pages == 1 ? "" : "s",
			     h->slot, h->slots, h->slab_live);
	}
	print_site("allocated", h->allocated_by);
	print_site("freed", h->freed_by);
}

static void print_page(const struct address_about *a)
{
	const struct page_about *p = &a->page;
	char size[12];

	if (!a->has_frame)
		return;
	shell_printf("  page       0x%llx, pfn 0x%llx: ", (ull)pfn_to_paddr(a->frame).a,
		     (ull)a->frame.n);
	if (!p->described)
		shell_printf("no descriptor: the page allocator never had it\n");
	else if (p->free)
		shell_printf("free\n");
	else if (p->state == PAGE_NONE || p->state == PAGE_RESERVED)
		shell_printf("reserved: in a managed pageblock, but never handed out\n");
	else if (p->state == PAGE_SLAB)
		shell_printf("of the slab above\n");
	else
		shell_printf("%s%s of %s (%llu pages) from pfn 0x%llx\n",
			     p->tail ? "inside a " : "", state_names[p->state],
			     format_bytes(size, p->pages * PAGE_BYTES), (ull)p->pages,
			     (ull)p->head.n);
	if (p->described && p->state == PAGE_HEAD)
		shell_printf("  block      order %u, %u reference%s\n", p->order, p->references,
			     p->references == 1 ? "" : "s");
	if (a->heap.where == KHEAP_NOWHERE) {
		print_site("allocated", p->allocated_by);
		print_site("freed", p->freed_by);
	}
	if (p->described)
		shell_printf("  pageblock  0x%llx, %llu of 512 pages free\n",
			     (ull)(a->frame.n >> PAGEBLOCK_SHIFT), (ull)p->block_free);
}

static void print_about(const struct address_about *a)
{
	size_t offset;
	const char *symbol = symbol_find((uintptr_t)a->address, &offset);
	char size[12];

	if (symbol)
		shell_printf("  symbol     %s+0x%zx\n", symbol, offset);
	print_heap(a);
	print_page(a);
	if (a->region)
		shell_printf("  region     %s, 0x%llx and %s long\n",
			     region_kind_name(a->region->kind),
			     (ull)pfn_to_paddr(a->region->start).a,
			     format_bytes(size, a->region->pages * PAGE_BYTES));
	else if (a->has_frame)
		shell_printf("  region     none: not in the firmware's map\n");
	if (a->mapping.present)
		shell_printf("  mapped     read%s%s, %s page, physical 0x%llx\n",
			     a->mapping.writable ? ", write" : "",
			     a->mapping.executable ? ", execute" : "",
			     format_bytes(size, a->mapping.page_bytes), (ull)a->mapping.physical.a);
	else
		shell_printf("  mapped     not\n");
}

static void about_json(const struct address_about *a)
{
	const struct kheap_about *h = &a->heap;
	const struct page_about *p = &a->page;
	size_t offset;
	struct json j;

	shell_json_begin(&j);
	json_hex(&j, "address", a->address);
	json_string(&j, "symbol", symbol_find((uintptr_t)a->address, &offset));
	json_bool(&j, "mapped", a->mapping.present);
	json_bool(&j, "writable", a->mapping.writable);
	json_bool(&j, "executable", a->mapping.executable);
	json_string(&j, "region", a->region ? region_kind_name(a->region->kind) : NULL);
	if (a->has_frame) {
		json_hex(&j, "pfn", a->frame.n);
		json_hex(&j, "physical", pfn_to_paddr(a->frame).a);
		json_bool(&j, "described", p->described);
		json_bool(&j, "free", p->free);
		json_string(&j, "state", state_names[p->state]);
		json_bool(&j, "tail", p->tail);
		json_hex(&j, "head_pfn", p->head.n);
		json_uint(&j, "pages", p->pages);
		json_uint(&j, "order", p->order);
		json_uint(&j, "references", p->references);
		json_uint(&j, "pageblock_free", p->block_free);
	}
	json_object(&j, "kmalloc");
	json_string(&j, "where", where_names[h->where]);
	if (h->where != KHEAP_NOWHERE) {
		json_string(&j, "class", h->cache);
		json_hex(&j, "object", h->object);
		json_uint(&j, "object_bytes", h->object_bytes);
		json_hex(&j, "slab", h->slab);
		json_uint(&j, "slab_pages", h->slab_pages);
		json_uint(&j, "slot", h->slot);
		json_uint(&j, "slots", h->slots);
		json_uint(&j, "slab_live", h->slab_live);
	}
	json_object_end(&j);
	shell_json_end(&j);
}

void address_print(const struct address_about *a, bool as_json)
{
	if (as_json) {
		about_json(a);
		return;
	}
	shell_printf("0x%llx\n", (ull)a->address);
	print_about(a);
}

static int run_peek(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	const char *frame = shell_take_option(&argc, argv, "--pfn");
	struct address_about about;
	uint64_t address;

	if (!frame && argc < 2)
		return shell_error("an address is needed");
	if (shell_parse_u64(frame ? frame : argv[1], &address))
		return shell_error("'%s' is not an address", frame ? frame : argv[1]);
	if (frame)
		address = address < PFN_LIMIT ? address << PAGE_SHIFT : ~(uint64_t)0;
	else
		argc--, argv++;
	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (frame && address >= DIRECT_MAP_BYTES)
		return shell_error("pfn %s is past the last one, 0x%llx", frame,
				   (ull)(DIRECT_MAP_BYTES >> PAGE_SHIFT) - 1);
	address_look(address, &about);
	address_print(&about, as_json);
	return 0;
}

static const char *const peek_words[] = {"--pfn", NULL};

SHELL_COMMAND(peek) = {
	.name = "peek",
	.arguments = "ADDR | --pfn N [--json]",
	.summary = "What the kernel knows of an address: object, slab, page, region",
	.help = "ADDR is a kernel address as `alloc` prints it, or a physical address.\n"
		"Nothing is read at the address itself, so any value is safe.\n",
	.run = run_peek,
	.words = peek_words,
};
