/* SPDX-License-Identifier: MIT */
/*
 * The shadow of memory, for a build in which the compiler asks about every access
 * (-fsanitize=kernel-address). Not part of any other build.
 *
 *   shadow(a) = *((a >> 3) + SHADOW_OFFSET)     0       all eight bytes may be accessed
 *                                               1 .. 7  the first so many
 *                                               > 0x7f  none; why: enum port_poison, kasan_report.c
 *
 *   memory                            PML4       its shadow                        PML4
 *   direct map, up to 64 TiB          256 - 383  real where RAM is, else shared    464 - 479
 *   page descriptors                  448 - 463  shared                            488 - 489
 *   stacks, devices, guarded objects  480 - 487  real for stacks, else shared      492
 *   kernel image                      511        real                              495
 *
 * Shared is one page of zeros under one table a level: all may be accessed. Until the real shadow
 * is there everything is shared and nothing is checked; but the compiler writes to the shadow of
 * each stack frame, so it must be there, and writable, before the first checked function
 * runs: entry.S calls kasan_boot().
 *
 * The memory of the real shadow is taken off the regions before the page allocator gets them.
 * This file is compiled without the checks. No lock: who owns memory owns its shadow.
 */
#include "kasan.h"
#include "paging.h"
#include <quire/memory.h>

#define FIRST_ENTRY level_index((uintptr_t)shadow_of(DIRECT_MAP_BASE), LEVEL_ROOT)
#define ENTRIES     32u
#define STACK_SLOT  32768u /* stacks.c */
#define STACKS_MAX  (STACK_BLOCKS * 64u)

static uint64_t shared_tables[3][TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint8_t shared_page[PAGE_BYTES] __attribute__((aligned(4096)));
static uint64_t image_virt, image_phys; /* of the segment all of the above lies in */
static bool ready;                      /* the real shadow is there */
static bool checking;                   /* and looked at */

static struct {
	uint64_t next, end;
} pool;

void kasan_boot(const struct boot_info *bi);

/* ---- early: everything shared ---- */

static uint64_t image_physical(const void *p)
{
	return (uintptr_t)p - image_virt + image_phys;
}

/* The entries that would be the shadow of memory there cannot be: others use them. */
static bool is_shadow_entry(unsigned i)
{
	return i < level_index(STACK_WINDOW_BASE, LEVEL_ROOT) ||
	       i > level_index(GUARD_WINDOW_BASE, LEVEL_ROOT);
}

void kasan_map_early(uint64_t *root)
{
	for (unsigned i = FIRST_ENTRY; i < FIRST_ENTRY + ENTRIES; i++)
		if (is_shadow_entry(i))
			root[i] = image_physical(shared_tables[0]) | PTE_PRESENT | PTE_WRITE;
}

void kasan_boot(const struct boot_info *bi)
{
	uint64_t cr3 = read_cr3();

	for (uint32_t i = 0; i < bi->segment_count; i++) {
		const struct boot_segment *g = &bi->segments[i];

		if ((uintptr_t)shared_page - g->virt < g->pages * PAGE_BYTES) {
			image_virt = g->virt;
			image_phys = g->phys;
		}
	}
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		shared_tables[0][i] = image_physical(shared_tables[1]) | PTE_PRESENT | PTE_WRITE;
		shared_tables[1][i] = image_physical(shared_tables[2]) | PTE_PRESENT | PTE_WRITE;
		shared_tables[2][i] = image_physical(shared_page) | PTE_PRESENT | PTE_WRITE;
	}
	write_cr0(read_cr0() & ~CR0_WP);
	kasan_map_early(port_phys_to_virt(paddr(cr3 & PTE_ADDRESS)));
	write_cr3(cr3);
}

/* ---- the real shadow ---- */

static void fill(void *at, uint8_t value, uint64_t bytes)
{
	uint64_t pattern = value * 0x0101010101010101ull, words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(rest) : "a"(pattern) : "memory");
}

static uint64_t take_page(void)
{
	uint64_t page = pool.next;

	if (page == pool.end)
		port_panic("no memory left for the shadow");
	pool.next += PAGE_BYTES;
	fill(port_phys_to_virt(paddr(page)), 0, PAGE_BYTES);
	return page;
}

/* The table below an entry, made private where it is shared. */
static uint64_t *own_table(uint64_t *entry, unsigned level)
{
	uint64_t shared = image_physical(shared_tables[LEVEL_ROOT - level]);

	if ((*entry & PTE_ADDRESS) == shared) {
		uint64_t page = take_page();
		uint64_t *own = port_phys_to_virt(paddr(page));

		for (unsigned i = 0; i < TABLE_ENTRIES; i++)
			own[i] = shared_tables[LEVEL_ROOT - level][i];
		*entry = page | PTE_PRESENT | PTE_WRITE;
	}
	return table_of(*entry);
}

/* Real shadow for [start, end) of memory. */
static void make_real(uint64_t start, uint64_t end)
{
	uint64_t at = (uintptr_t)shadow_of(start) & ~PAGE_MASK;
	uint64_t last = (uintptr_t)shadow_of(end - 1);

	for (; at <= last; at += PAGE_BYTES) {
		uint64_t *table = port_phys_to_virt(kernel_root);
		uint64_t *leaf;

		for (unsigned level = LEVEL_ROOT; level > 0; level--)
			table = own_table(&table[level_index(at, level)], level);
		leaf = &table[level_index(at, 0)];
		if ((*leaf & PTE_ADDRESS) == image_physical(shared_page))
			*leaf = take_page() | PTE_PRESENT | PTE_WRITE | pte_nx();
	}
}

/* What is shared is zeros from now on, and nobody writes there. */
static void close_shared(void)
{
	fill(shared_page, 0, sizeof shared_page);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		shared_tables[2][i] = image_physical(shared_page) | PTE_PRESENT | pte_nx();
}

/* The compiler's constructors: each tells the globals of one file. kernel.ld */
static void run_constructors(void)
{
	extern void (*const __start_constructors[])(void), (*const __stop_constructors[])(void);

	for (void (*const *f)(void) = __start_constructors; f < __stop_constructors; f++)
		(*f)();
}

static uint64_t pages_for(uint64_t bytes)
{
	return bytes / SHADOW_GRAIN / PAGE_BYTES + 2;
}

uint64_t arch_shadow_pages(const struct region *ram, size_t count)
{
	uint64_t pages = pages_for((uint64_t)(kernel_image_end - kernel_image_start)) +
			 pages_for(STACKS_MAX * (uint64_t)STACK_SLOT);

	for (size_t i = 0; i < count; i++)
		pages += pages_for(ram[i].pages * PAGE_BYTES) + 3;
	return pages + pages / TABLE_ENTRIES + 32;
}

void arch_shadow_init(const struct region *ram, size_t count, pfn_t first, uint64_t pages)
{
	pool.next = pfn_to_paddr(first).a;
	pool.end = pool.next + pages * PAGE_BYTES;
	close_shared();
	make_real((uintptr_t)kernel_image_start, (uintptr_t)kernel_image_end);
	make_real(STACK_WINDOW_BASE, STACK_WINDOW_BASE + STACKS_MAX * (uint64_t)STACK_SLOT);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = ram[i].start.n << PAGE_SHIFT;
		uint64_t end = start + (ram[i].pages << PAGE_SHIFT);

		if (end > DIRECT_MAP_BYTES)
			end = DIRECT_MAP_BYTES;
		if (start < end)
			make_real(DIRECT_MAP_BASE + start, DIRECT_MAP_BASE + end);
	}
	write_cr3(read_cr3());
	ready = checking = true;
	run_constructors();
}

void kasan_stop(void)
{
	checking = false;
}

/* ---- poison ---- */

void port_poison(const void *at, size_t bytes, enum port_poison kind)
{
	if (ready)
		fill(shadow_of((uintptr_t)at), (uint8_t)kind, bytes / SHADOW_GRAIN);
}

void port_unpoison(const void *at, size_t bytes, size_t room)
{
	uint8_t *shadow = shadow_of((uintptr_t)at);
	size_t whole;

	if (!ready)
		return;
	bytes += !bytes;
	whole = bytes / SHADOW_GRAIN;
	fill(shadow, 0, whole);
	if (bytes % SHADOW_GRAIN)
		shadow[whole++] = bytes % SHADOW_GRAIN;
	fill(shadow + whole, POISON_REDZONE, room / SHADOW_GRAIN - whole);
}

size_t port_unpoisoned(const void *at, size_t room)
{
	const uint8_t *shadow = shadow_of((uintptr_t)at);
	size_t bytes = 0;

	while (ready && bytes < room && !shadow[bytes / SHADOW_GRAIN])
		bytes += SHADOW_GRAIN;
	if (!ready)
		return room;
	if (bytes < room && shadow[bytes / SHADOW_GRAIN] < SHADOW_GRAIN)
		bytes += shadow[bytes / SHADOW_GRAIN];
	return bytes;
}

/* ---- checks ---- */

/* Has it a shadow? What has none faults by itself, if it is wrong. */
static inline bool has_shadow(uint64_t at)
{
	return at - DIRECT_MAP_BASE < DIRECT_MAP_BYTES || at >= DESC_WINDOW_BASE;
}

static inline bool is_poisoned(uint64_t at, size_t bytes)
{
	uint64_t last = at + bytes - 1, grain = at & ~(uint64_t)(SHADOW_GRAIN - 1);
	uint8_t s;

	for (; grain + SHADOW_GRAIN <= last; grain += SHADOW_GRAIN)
		if (*shadow_of(grain))
			return true;
	s = *shadow_of(grain);
	return s && last % SHADOW_GRAIN >= (s < SHADOW_GRAIN ? s : 0);
}

static inline __attribute__((always_inline)) void check(uint64_t at, size_t bytes, bool write,
							uintptr_t caller)
{
	if (unlikely(checking && bytes && has_shadow(at) && is_poisoned(at, bytes)))
		kasan_report(at, bytes, write, caller);
}

void kasan_check(uint64_t at, size_t bytes, bool write, uintptr_t caller)
{
	check(at, bytes, write, caller);
}

/* ---- what the compiler calls ---- */

/* The compiler's own names: nobody else declares them. */
#pragma clang diagnostic ignored "-Wmissing-prototypes"

#define CHECKS(n)                                                                                  \
	void __asan_load##n##_noabort(uint64_t at)                                                 \
	{                                                                                          \
		check(at, n, false, caller_address());                                             \
	}                                                                                          \
	void __asan_store##n##_noabort(uint64_t at)                                                \
	{                                                                                          \
		check(at, n, true, caller_address());                                              \
	}
CHECKS(1)
CHECKS(2)
CHECKS(4)
CHECKS(8)
CHECKS(16)

void __asan_loadN_noabort(uint64_t at, size_t bytes)
{
	check(at, bytes, false, caller_address());
}

void __asan_storeN_noabort(uint64_t at, size_t bytes)
{
	check(at, bytes, true, caller_address());
}

#define SET_SHADOW(value)                                                                          \
	void __asan_set_shadow_##value(uint8_t *at, size_t bytes)                                  \
	{                                                                                          \
		fill(at, 0x##value, bytes);                                                        \
	}
SET_SHADOW(00)
SET_SHADOW(f1)
SET_SHADOW(f2)
SET_SHADOW(f3)
SET_SHADOW(f5)
SET_SHADOW(f8)

/* Frames that are left for good do not clear their redzones: this one's stack, from here up. */
void __asan_handle_no_return(void)
{
	uint64_t at = (uintptr_t)__builtin_frame_address(0), slot, top;

	if (!ready)
		return;
	if (stack_window_slot(at, &slot))
		top = STACK_WINDOW_BASE + (slot + 1) * STACK_SLOT;
	else if (at >= (uintptr_t)boot_stack && at < (uintptr_t)boot_stack_top)
		top = (uintptr_t)boot_stack_top;
	else
		return;
	fill(shadow_of(at), 0, (top - at) / SHADOW_GRAIN);
}

struct asan_global {
	uint64_t at, bytes, bytes_with_redzone;
	const char *name, *module;
	uint64_t dynamic, location, odr;
};

#define POISON_GLOBAL 0xf9

void __asan_register_globals(const struct asan_global *g, size_t count)
{
	for (; count; count--, g++) {
		uint8_t *shadow = shadow_of(g->at);
		uint64_t whole = g->bytes / SHADOW_GRAIN;

		if (g->bytes % SHADOW_GRAIN)
			shadow[whole++] = g->bytes % SHADOW_GRAIN;
		fill(shadow + whole, POISON_GLOBAL, g->bytes_with_redzone / SHADOW_GRAIN - whole);
	}
}

void __asan_unregister_globals(const struct asan_global *g, size_t count)
{
	(void)g;
	(void)count;
}
