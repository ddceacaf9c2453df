/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own page tables, made once at boot.
 *
 *   writable & executable = nothing, anywhere
 *   direct map            = exactly the RAM given, up to the last page the kernel may use, without
 *                           its text and rodata being writable there by the back door
 *
 * Tables come from boot_alloc() and a reserve that is set aside here, never
 * from the page allocator, which needs them itself. Boot only, one CPU, no lock.
 */
#define LOG_TAG "paging"
#include "paging.h"
#include "kasan.h"
#include "platform.h"
#include <quire/assert.h>
#include <quire/log.h>
#include <quire/memory.h>

/* Tables for arch_map_physical(): a framebuffer's edges and a few device pages. */
#define DEVICE_TABLES 12u

#define SMALL_PAGES_END level_bytes(1)

bool paging_is_ours;

static uint64_t *boot_table(void)
{
	uint64_t *table = boot_alloc(PAGE_BYTES);

	if (!table)
		port_panic("boot pool exhausted while making page tables");
	assert(((uintptr_t)table & PAGE_MASK) == 0);
	return table;
}

/* Each table is zeroed when it is taken. */
static void make_reserve(uint64_t pages)
{
	void *tables = boot_alloc_raw(pages * PAGE_BYTES);

	if (!tables)
		port_panic("boot pool exhausted: %llu tables for the descriptor window",
			   (unsigned long long)pages);
	assert(((uintptr_t)tables & PAGE_MASK) == 0);
	reserve_init(tables, pages);
}

/*
 * Small pages below 2 MiB: the fixed MTRRs give the first MiB several memory types, and one page
 * over two of them is undefined (Intel SDM 3A section 11.11.9). Firmware that calls the hole below
 * 1 MiB cacheable would get a large page there.
 */
static void map_boot(uint64_t *root, uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t flags)
{
	struct span s = {.virt = virt, .phys = phys, .bytes = bytes}, low = s;

	low.bytes = phys >= SMALL_PAGES_END          ? 0
		    : bytes < SMALL_PAGES_END - phys ? bytes
						     : SMALL_PAGES_END - phys;
	span_advance(&s, low.bytes);
	/* boot_table() does not return without a table. */
	(void)!map_span(root, low, 0, flags | PTE_GLOBAL, boot_table);
	(void)!map_span(root, s, cpu_features.pages_1g ? 2 : 1, flags | PTE_GLOBAL, boot_table);
}

/* The first stretch of read-only kernel image in [start, end); false when there is none. */
static bool next_read_only(const struct boot_info *bi, uint64_t start, uint64_t end,
			   struct span *out)
{
	out->bytes = 0;
	for (uint32_t i = 0; i < bi->segment_count; i++) {
		const struct boot_segment *g = &bi->segments[i];
		uint64_t low = g->phys > start ? g->phys : start;
		uint64_t high = g->phys + g->pages * PAGE_BYTES;

		if (high > end)
			high = end;
		if ((g->flags & BOOT_SEGMENT_WRITE) || low >= high)
			continue;
		if (!out->bytes || low < out->phys)
			*out = (struct span){.phys = low, .bytes = high - low};
	}
	return out->bytes != 0;
}

static void map_direct(uint64_t *root, const struct boot_info *bi, uint64_t start, uint64_t end)
{
	struct span fixed;

	if (end > DIRECT_MAP_BYTES)
		end = DIRECT_MAP_BYTES;
	while (start < end) {
		uint64_t stop = next_read_only(bi, start, end, &fixed) ? fixed.phys : end;

		if (stop > start)
			map_boot(root, DIRECT_MAP_BASE + start, start, stop - start,
				 PTE_WRITE | pte_nx());
		if (!fixed.bytes)
			return;
		map_boot(root, DIRECT_MAP_BASE + stop, stop, fixed.bytes, pte_nx());
		start = stop + fixed.bytes;
	}
}

/* One past the last frame that is the kernel's, or can become it. */
static uint64_t top_of_use(const struct region *regions, size_t count)
{
	while (count > 0 && regions[count - 1].kind > REGION_KERNEL)
		count--;
	return count > 0 ? region_end(&regions[count - 1]) : 0;
}

/*
 * Neighbours of different kinds are one range here: fewer edges, larger pages. Nothing from
 * `top` on: firmware calls reserved address space RAM by the TiB, and the boot pool has tables
 * for what lies below (alloc/boot_pool.c).
 */
static uint64_t map_all_ram(uint64_t *root, const struct boot_info *bi, const struct region *ram,
			    size_t count, uint64_t top)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count && ram[i].start.n < top;) {
		uint64_t start = ram[i].start.n, end = start;

		for (; i < count && ram[i].start.n == end; i++)
			end += ram[i].pages;
		if (end > top)
			end = top;
		map_direct(root, bi, start * PAGE_BYTES, end * PAGE_BYTES);
		bytes += (end - start) * PAGE_BYTES;
	}
	return bytes;
}

static void map_image(uint64_t *root, const struct boot_info *bi)
{
	uint64_t guard = (uintptr_t)boot_stack_guard;

	for (uint32_t i = 0; i < bi->segment_count; i++) {
		const struct boot_segment *g = &bi->segments[i];
		uint64_t bytes = g->pages * PAGE_BYTES, flags = 0, head = bytes;

		if (g->flags & BOOT_SEGMENT_WRITE)
			flags |= PTE_WRITE;
		if (!(g->flags & BOOT_SEGMENT_EXECUTE))
			flags |= pte_nx();
		if ((flags & PTE_WRITE) && (g->flags & BOOT_SEGMENT_EXECUTE))
			port_panic("kernel segment %u is both writable and executable", i);
		if (guard >= g->virt && guard < g->virt + bytes)
			head = guard - g->virt;
		map_boot(root, g->virt, g->phys, head, flags);
		if (head < bytes) {
			head += PAGE_BYTES; /* left out: below the boot stack */
			map_boot(root, g->virt + head, g->phys + head, bytes - head, flags);
		}
	}
}

void arch_paging_init(const struct boot_info *bi, const struct region *ram, size_t ram_count,
		      const struct region *regions, size_t region_count)
{
	uint64_t *root = boot_table();
	uint64_t bytes;

	make_reserve(desc_window_tables(regions, region_count) + DEVICE_TABLES);
	bytes = map_all_ram(root, bi, ram, ram_count, top_of_use(regions, region_count));
	map_image(root, bi);
	desc_window_init(root);
	stack_window_init(root);
	device_window_init(root);

	kasan_map_early(root);
	kernel_root = port_virt_to_phys(root);
	write_cr3(kernel_root.a);
	features_enable_paging();
	paging_is_ours = true;
	log_info("own page tables: %llu MiB of RAM mapped with %s pages, W^X, nothing at 0",
		 (unsigned long long)(bytes >> 20), cpu_features.pages_1g ? "1 GiB" : "2 MiB");
	features_log();
	/* Some firmware leaves ACPI tables in boot services' memory, which is about to be reclaimed. */
	(void)platform();
}
