/* SPDX-License-Identifier: MIT */
/* memmap, mem, pages, zones: where the machine's memory went. */
#include "map_piece.h"
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/memmap.h>
#include <quire/memory.h>
#include <quire/numa.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>

/* ---- memmap ---- */

static const char *piece_reason(const struct boot_mem_desc *d, const struct region *r)
{
	const char *owner = memory_reserved_for(r->start);

	if (r->kind == REGION_KERNEL || r->kind == REGION_METADATA)
		return owner ? owner : "taken at boot";
	if (r->kind == memmap_kind(d->type))
		return memmap_reason(d->type);
	if (r->start.n == 0 && r->kind == REGION_RESERVED)
		return "page 0 is never handed out";
	if (r->kind == REGION_MMIO)
		return "a device: an entry of its own, or the framebuffer";
	return "another entry overlaps";
}

/* The next piece of entry `d`, with its reason. */
static bool next_piece(const struct boot_mem_desc *d, uint64_t *at, struct map_piece *out)
{
	size_t count;
	const struct region *regions = memory_regions(&count);

	if (!map_piece_next(d, regions, count, at, out))
		return false;
	if (out->region)
		out->why = piece_reason(d, out->region);
	return true;
}

static void memmap_json(void)
{
	struct boot_mem_desc d;
	struct map_piece piece;
	struct json j;
	size_t count;
	const struct region *regions = memory_regions(&count);

	shell_json_begin(&j);
	json_array(&j, "entries");
	for (size_t i = 0; memory_firmware_entry(i, &d); i++) {
		json_object(&j, NULL);
		json_hex(&j, "base", d.phys);
		json_uint(&j, "pages", d.pages);
		json_string(&j, "type", memmap_type_name(d.type));
		json_hex(&j, "attributes", d.attributes);
		json_array(&j, "became");
		for (uint64_t at = d.phys; next_piece(&d, &at, &piece);) {
			json_object(&j, NULL);
			json_hex(&j, "base", piece.base);
			json_uint(&j, "pages", piece.pages);
			json_string(&j, "kind",
				    piece.region ? region_kind_name(piece.region->kind) : NULL);
			json_string(&j, "why", piece.why);
			json_object_end(&j);
		}
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "regions");
	for (size_t i = 0; i < count; i++) {
		json_object(&j, NULL);
		json_hex(&j, "base", pfn_to_paddr(regions[i].start).a);
		json_uint(&j, "pages", regions[i].pages);
		json_string(&j, "kind", region_kind_name(regions[i].kind));
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static int run_memmap(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");
	struct boot_mem_desc d;
	struct map_piece piece;
	uint64_t kinds[REGION_KINDS] = {0};
	size_t count, entries = 0;
	const struct region *regions = memory_regions(&count);
	const char *between = ":";
	char size[12];

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (json) {
		memmap_json();
		return 0;
	}
	shell_printf("%14s %10s  %-19s %-11s %s\n", "start", "size", "firmware says", "became",
		     "because");
	for (size_t i = 0; memory_firmware_entry(i, &d) && !shell_interrupted(); i++, entries++)
		for (uint64_t at = d.phys; next_piece(&d, &at, &piece);)
			shell_printf("%#14llx %10s  %-19s %-11s %s\n", (ull)piece.base,
				     format_bytes(size, piece.pages * PAGE_BYTES),
				     piece.base == d.phys ? memmap_type_name(d.type) : "  \"",
				     piece.region ? region_kind_name(piece.region->kind) : "-",
				     piece.why);
	for (size_t i = 0; i < count; i++)
		kinds[regions[i].kind] += regions[i].pages;
	shell_printf("\n%zu firmware entries became %zu regions", entries, count);
	for (unsigned k = 0; k < REGION_KINDS; k++) {
		if (!kinds[k])
			continue;
		shell_printf("%s %s %s", between, format_bytes(size, kinds[k] * PAGE_BYTES),
			     region_kind_name((enum region_kind)k));
		between = ",";
	}
	shell_printf("\n");
	return 0;
}

SHELL_COMMAND(memmap) = {
	.name = "memmap",
	.arguments = "[--json]",
	.summary = "Every range of the firmware map, what it became, and why",
	.help = "One row for each entry of the map GetMemoryMap returned, in the firmware's "
		"order.\n"
		"Where only a part of an entry met a fate of its own (the kernel lies there, page "
		"0,\n"
		"another entry overlaps), that part has a row of its own.\n",
	.run = run_memmap,
};

/* ---- mem ---- */

struct mem_row {
	const char *sign, *name;
	uint64_t pages;
	const char *what;
};

static void mem_json(const struct memory_stats *m, const struct kheap_stats *heap)
{
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "ram_pages", m->ram_pages);
	json_uint(&j, "free_pages", m->free_pages);
	json_uint(&j, "used_pages", m->used_pages);
	json_uint(&j, "kernel_pages", m->kernel_pages);
	json_uint(&j, "metadata_pages", m->metadata_pages);
	json_uint(&j, "firmware_pages", m->firmware_pages);
	json_uint(&j, "page_bytes", PAGE_BYTES);
	json_object(&j, "used");
	json_uint(&j, "slab_pages", heap->slab_pages);
	json_uint(&j, "slab_header_pages", heap->header_pages);
	json_uint(&j, "large_pages", heap->large_pages);
	json_uint(&j, "guard_pages", heap->guard_pages);
	json_uint(&j, "other_pages",
		  m->used_pages - heap->slab_pages - heap->header_pages - heap->large_pages -
			  heap->guard_pages);
	json_object_end(&j);
	json_object(&j, "kernel");
	json_uint(&j, "image_pages", m->kernel_image_pages);
	json_uint(&j, "symbol_pages", m->symbol_pages);
	json_uint(&j, "handover_pages", m->handover_pages);
	json_object_end(&j);
	json_object(&j, "metadata");
	json_uint(&j, "descriptor_pages", m->descriptor_pages);
	json_uint(&j, "pool_pages", m->pool_pages);
	json_object_end(&j);
	json_object(&j, "firmware");
	json_uint(&j, "unreclaimed_pages", m->unreclaimed_pages);
	json_uint(&j, "undescribed_pages", m->undescribed_pages);
	json_object_end(&j);
	shell_json_end(&j);
}

static void mem_print_parts(const struct memory_stats *m, const struct kheap_stats *heap)
{
	char a[12], b[12], c[12], d[12], e[12];

	shell_printf("\nused      kmalloc slabs %s, slab headers %s, large objects %s,\n"
		     "          guarded objects %s, other pages (stacks, tables, ...) %s\n",
		     format_bytes(a, heap->slab_pages * PAGE_BYTES),
		     format_bytes(b, heap->header_pages * PAGE_BYTES),
		     format_bytes(c, heap->large_pages * PAGE_BYTES),
		     format_bytes(e, heap->guard_pages * PAGE_BYTES),
		     format_bytes(d, (m->used_pages - heap->slab_pages - heap->header_pages -
				      heap->large_pages - heap->guard_pages) *
					     PAGE_BYTES));
	shell_printf("kernel    image %s, symbols %s, hand-over data %s\n",
		     format_bytes(a, m->kernel_image_pages * PAGE_BYTES),
		     format_bytes(b, m->symbol_pages * PAGE_BYTES),
		     format_bytes(c, m->handover_pages * PAGE_BYTES));
	shell_printf("metadata  page descriptor array %s, boot pool %s\n",
		     format_bytes(a, m->descriptor_pages * PAGE_BYTES),
		     format_bytes(b, m->pool_pages * PAGE_BYTES));
	if (m->unreclaimed_pages)
		shell_printf("firmware  of that, not reclaimed (reclaim=off): %s\n",
			     format_bytes(a, m->unreclaimed_pages * PAGE_BYTES));
	if (m->undescribed_pages)
		shell_printf("firmware  of that, too scattered to describe: %s\n",
			     format_bytes(a, m->undescribed_pages * PAGE_BYTES));
}

static int run_mem(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");
	struct memory_stats m;
	struct kheap_stats heap;
	char size[12], pages[28];

	if (shell_no_more(argc, argv))
		return -EINVAL;
	memory_settle();
	memory_stats(&m);
	kheap_stats(&kernel_heap, &heap);
	if (json) {
		mem_json(&m, &heap);
		return 0;
	}
	const struct mem_row rows[] = {
		{" ", "free", m.free_pages, "ready to be allocated"},
		{"+", "used", m.used_pages, "allocated by the running kernel"},
		{"+", "kernel", m.kernel_pages, "its image and what the loader left it"},
		{"+", "metadata", m.metadata_pages, "what the allocators need to know it all"},
		{"+", "firmware", m.firmware_pages, "kept by the firmware, or unfit for use"},
		{"=", "RAM", m.ram_pages, "in the firmware's map"},
	};
	uint64_t sum = 0;

	shell_printf("  %-9s %10s %14s %8s\n", "", "size", "pages", "share");
	for (size_t i = 0; i < array_len(rows); i++) {
		uint64_t share = per_mille(rows[i].pages, m.ram_pages);

		shell_printf("%s %-9s %10s %14s %4llu.%llu %%  %s\n", rows[i].sign, rows[i].name,
			     format_bytes(size, rows[i].pages * PAGE_BYTES),
			     format_count(pages, rows[i].pages), (ull)(share / 10),
			     (ull)(share % 10), rows[i].what);
		if (i + 1 < array_len(rows))
			sum += rows[i].pages;
	}
	mem_print_parts(&m, &heap);
	if (sum != m.ram_pages)
		return shell_error("the parts add up to %llu pages, not %llu: run check", (ull)sum,
				   (ull)m.ram_pages);
	return 0;
}

SHELL_COMMAND(mem) = {
	.name = "mem",
	.arguments = "[--json]",
	.summary = "Where all RAM is: free + used + kernel + metadata + firmware",
	.help = "The five parts add up to all RAM in the firmware's map, to the page; `check` "
		"proves it.\n"
		"RAM is what the firmware lists as memory, so it can be a little less than what "
		"the\n"
		"machine has: the hole below 1 MiB and the firmware's own secrets are in no "
		"list.\n",
	.run = run_mem,
};

/* ---- pages ---- */

static const char *const fullness_names[PAGE_FULLNESS_STEPS] = {
	"wholly free", "under 25 % used", "25 to 50 %", "50 to 75 %", "75 to 100 %", "full",
};
static const char *const fullness_keys[PAGE_FULLNESS_STEPS] = {
	"free", "under_25", "under_50", "under_75", "under_100", "full",
};

/*
 * How scattered free memory is: the share of it that could not serve a 2 MiB
 * request although as many pages are free.
 */
static uint64_t fragmentation_per_mille(const struct page_stats *s)
{
	uint64_t whole = 0;

	for (unsigned order = PAGEBLOCK_SHIFT; order <= PAGE_ORDER_MAX; order++)
		whole += s->free_blocks[order] << order;
	return s->free ? 1000 - per_mille(whole, s->free) : 0;
}

static void pages_json(const struct page_stats *s)
{
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "managed_pages", s->managed);
	json_uint(&j, "free_pages", s->free);
	json_uint(&j, "used_pages", s->used);
	json_array(&j, "free_blocks");
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++)
		json_uint(&j, NULL, s->free_blocks[order]);
	json_array_end(&j);
	json_uint(&j, "fragmentation_per_mille", fragmentation_per_mille(s));
	json_uint(&j, "pageblocks", s->pageblocks);
	json_object(&j, "fullness");
	for (unsigned i = 0; i < PAGE_FULLNESS_STEPS; i++)
		json_uint(&j, fullness_keys[i], s->fullness[i]);
	json_object_end(&j);
	json_uint(&j, "superblocks", s->superblocks);
	json_uint(&j, "metadata_bytes", s->metadata_bytes);
	json_array(&j, "allocs");
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++)
		json_uint(&j, NULL, s->counters.allocs[order]);
	json_array_end(&j);
	json_array(&j, "frees");
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++)
		json_uint(&j, NULL, s->counters.frees[order]);
	json_array_end(&j);
	json_uint(&j, "run_allocs", s->counters.run_allocs);
	json_uint(&j, "run_frees", s->counters.run_frees);
	json_uint(&j, "bulk_pages", s->counters.bulk_pages);
	json_uint(&j, "failures", s->counters.failures);
	json_uint(&j, "misuses", s->counters.misuses);
	json_uint(&j, "blocks_opened", s->counters.blocks_opened);
	json_uint(&j, "patterned", s->counters.patterned);
	json_uint(&j, "verified", s->counters.verified);
	json_uint(&j, "written_free", s->counters.written_free);
	shell_json_end(&j);
}

static int run_pages(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");
	struct page_stats s;
	char size[12], free[12], managed[12], a[28], b[28], c[28];
	uint64_t scattered;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	memory_settle();
	page_stats(&kernel_pages, &s);
	if (json) {
		pages_json(&s);
		return 0;
	}
	shell_printf("%s of %s free\n\n", format_bytes(free, s.free * PAGE_BYTES),
		     format_bytes(managed, s.managed * PAGE_BYTES));
	shell_printf("%5s %10s %14s %14s %14s\n", "order", "size", "free blocks", "allocated",
		     "freed");
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++)
		shell_printf("%5u %10s %14s %14s %14s\n", order,
			     format_bytes(size, PAGE_BYTES << order),
			     format_count(a, s.free_blocks[order]),
			     format_count(b, s.counters.allocs[order]),
			     format_count(c, s.counters.frees[order]));
	shell_printf("%5s %10s %14s %14s %14s\n\n", "runs", "any", "",
		     format_count(a, s.counters.run_allocs), format_count(b, s.counters.run_frees));
	shell_printf("pageblocks of 2 MiB: %s in %llu superblocks\n", format_count(a, s.pageblocks),
		     (ull)s.superblocks);
	for (unsigned i = 0; i < PAGE_FULLNESS_STEPS; i++)
		shell_printf("  %-16s %10s\n", fullness_names[i], format_count(a, s.fullness[i]));
	scattered = fragmentation_per_mille(&s);
	shell_printf("fragmentation: %llu.%llu %% of free memory is in pieces under 2 MiB\n",
		     (ull)(scattered / 10), (ull)(scattered % 10));
	shell_printf("requests failed: %s; frees refused: %s; descriptor pages in use: %s\n",
		     format_count(a, s.counters.failures), format_count(b, s.counters.misuses),
		     format_count(c, s.counters.blocks_opened));
	shell_printf("free pages filled with a pattern: %s; verified: %s; written to: %s\n",
		     format_count(a, s.counters.patterned), format_count(b, s.counters.verified),
		     format_count(c, s.counters.written_free));
	return 0;
}

SHELL_COMMAND(pages) = {
	.name = "pages",
	.arguments = "[--json]",
	.summary = "The page allocator: free blocks by order, pageblocks by fullness",
	.help = "free blocks   free memory cut into the largest aligned blocks it has; order n is "
		"2^n pages\n"
		"allocated     blocks handed out since boot, freed ones included\n"
		"fullness      how many 2 MiB pageblocks are how full: few half-empty ones is "
		"good\n",
	.run = run_pages,
};

/* ---- zones ---- */

static const struct {
	const char *name, *span;
} zone_names[PAGE_ZONES] = {
	[PAGE_ZONE_LOW] = {"low", "below 2 MiB, kept for callers that need less than 1 MiB"},
	[PAGE_ZONE_DMA32] = {"dma32", "below 4 GiB"},
	[PAGE_ZONE_NORMAL] = {"normal", "from 4 GiB up"},
};

static void zones_json(const struct page_stats *s)
{
	struct json j;

	shell_json_begin(&j);
	json_array(&j, "zones");
	for (unsigned i = 0; i < s->nodes * PAGE_ZONES; i++) {
		const struct page_zone_stats *zone = &s->node[i / PAGE_ZONES][i % PAGE_ZONES];

		json_object(&j, NULL);
		json_uint(&j, "node", i / PAGE_ZONES);
		json_string(&j, "name", zone_names[i % PAGE_ZONES].name);
		json_uint(&j, "managed_pages", zone->managed);
		json_uint(&j, "free_pages", zone->free);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "nodes");
	for (unsigned node = 0; node < s->nodes; node++) {
		json_object(&j, NULL);
		json_uint(&j, "domain", numa_domain(node));
		json_array(&j, "cpus");
		for (unsigned cpu = 0; cpu < port_cpus(); cpu++)
			if (kernel_pages.cpu_node[cpu] == node)
				json_uint(&j, NULL, cpu);
		json_array_end(&j);
		json_array(&j, "distances");
		for (unsigned to = 0; to < s->nodes; to++)
			json_uint(&j, NULL, numa_nodes()->distance[node][to]);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

/* Who is how far from whom, and which CPUs are where; nothing to say on a machine with one node. */
static void print_distances(unsigned nodes)
{
	if (nodes < 2)
		return;
	shell_printf("\ndistance  to node");
	for (unsigned to = 0; to < nodes; to++)
		shell_printf(" %3u", to);
	shell_printf("   CPUs\n");
	for (unsigned from = 0; from < nodes; from++) {
		shell_printf("from node %-7u", from);
		for (unsigned to = 0; to < nodes; to++)
			shell_printf(" %3u", numa_nodes()->distance[from][to]);
		shell_printf("  ");
		for (unsigned cpu = 0; cpu < port_cpus(); cpu++)
			if (kernel_pages.cpu_node[cpu] == from)
				shell_printf(" %u", cpu);
		shell_printf("\n");
	}
}

static int run_zones(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct page_stats s;
	char a[12], b[12], c[28];

	if (shell_no_more(argc, argv))
		return -EINVAL;
	page_stats(&kernel_pages, &s);
	if (as_json) {
		zones_json(&s);
		return 0;
	}
	shell_printf("%-4s  %-7s %10s %10s %14s\n", "node", "zone", "managed", "free",
		     "free pages");
	for (unsigned i = 0; i < s.nodes * PAGE_ZONES; i++) {
		const struct page_zone_stats *zone = &s.node[i / PAGE_ZONES][i % PAGE_ZONES];

		/* Of one node all zones; of several those that there are. */
		if (s.nodes == 1 || zone->managed)
			shell_printf("%4u  %-7s %10s %10s %14s  %s\n", i / PAGE_ZONES,
				     zone_names[i % PAGE_ZONES].name,
				     format_bytes(a, zone->managed * PAGE_BYTES),
				     format_bytes(b, zone->free * PAGE_BYTES),
				     format_count(c, zone->free), zone_names[i % PAGE_ZONES].span);
	}
	print_distances(s.nodes);
	return 0;
}

SHELL_COMMAND(zones) = {
	.name = "zones",
	.arguments = "[--json]",
	.summary = "The page allocator's zones by NUMA node, and how far nodes are apart",
	.help = "A caller that does not care is served from its CPU's own node, else from the "
		"nearest;\n"
		"of a node's zones from the highest first, so that devices that can only reach "
		"low\n"
		"addresses find some when they ask. Distances are the firmware's: 10 is local, 20 "
		"twice\n"
		"as far. A GiB that two nodes share counts for the one that has more of it.\n",
	.run = run_zones,
};
