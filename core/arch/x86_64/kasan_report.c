/* SPDX-License-Identifier: MIT */
/*
 * A forbidden access, told: what it was, whose the memory is or was, the shadow around it.
 *
 * It may have come under any lock, so an allocator is only asked when its lock is free: the
 * other CPUs are stopped then, and nobody takes it. Compiled without the checks.
 */
#include "kasan.h"
#include "paging.h"
#include "trap.h"
#include <quire/console.h>
#include <quire/format.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/panic.h>
#include <quire/symbols.h>

typedef unsigned long long ull;

#define SHADOW_ROW    16 /* bytes of shadow: 128 of memory */
#define ROWS_AROUND   3
#define GRAIN_MASK    ((uint64_t)SHADOW_GRAIN - 1)
#define NEIGHBOUR_MAX 4096u /* how far an overflow is looked for */

static const struct {
	uint8_t shadow;
	const char *what;
} kinds[] = {
	{0xf1, "stack out-of-bounds (below the first array)"},
	{0xf2, "stack out-of-bounds (between arrays)"},
	{0xf3, "stack out-of-bounds (past the last array)"},
	{0xf5, "use of a stack frame after return"},
	{0xf8, "use of a local outside of its scope"},
	{0xf9, "global out-of-bounds"},
	{POISON_REDZONE, "heap out-of-bounds"},
	{POISON_FREED, "use after free"},
	{POISON_SLAB, "heap out-of-bounds (room that was never an object)"},
	{POISON_PAGE, "use of a free page"},
};

static uint8_t shadow_at(uint64_t address)
{
	return *shadow_of(address);
}

/* The first byte of the access that is not allowed. */
static uint64_t first_bad(uint64_t at, size_t bytes)
{
	for (uint64_t i = at; i < at + bytes; i++) {
		uint8_t s = shadow_at(i);

		if (s && (s >= SHADOW_GRAIN || (i & GRAIN_MASK) >= s))
			return i;
	}
	return at;
}

static const char *kind_of(uint64_t bad)
{
	uint8_t s = shadow_at(bad);

	if (s < SHADOW_GRAIN) /* the end of something: what comes behind it says of what */
		s = shadow_at((bad | GRAIN_MASK) + 1);
	for (size_t i = 0; i < array_len(kinds); i++)
		if (kinds[i].shadow == s)
			return kinds[i].what;
	/* An object that ends with its slot: the byte behind it is the next object's. */
	return bad - DIRECT_MAP_BASE < DIRECT_MAP_BYTES ? "heap out-of-bounds"
							: "access to poisoned memory";
}

static void print_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		console_printf("  %-12s %s\n", label, symbol_format_return(name, address));
}

static void print_distance(uint64_t bad, uint64_t object, uint64_t bytes)
{
	if (bad < object)
		console_printf("  %llu bytes before", (ull)(object - bad));
	else if (bad < object + bytes)
		console_printf("  at byte %llu of", (ull)(bad - object));
	else
		console_printf("  %llu bytes past", (ull)(bad - object - bytes));
	console_printf(" an object of %llu bytes at 0x%016llx", (ull)bytes, (ull)object);
}

static void print_heap_object(uint64_t bad, const struct kheap_about *a)
{
	uint64_t bytes = a->where == KHEAP_FREE_OBJECT
				 ? a->object_bytes
				 : port_unpoisoned((void *)(uintptr_t)a->object, a->object_bytes);

	print_distance(bad, a->object, bytes);
	console_printf(a->where == KHEAP_FREE_OBJECT ? ", free, class %s\n" : ", class %s\n",
		       a->cache ? a->cache : "of whole pages");
	print_site("allocated by", a->allocated_by);
	print_site("freed by", a->freed_by);
}

/* Behind an object lies its redzone, still in its slot; before one, that of the one below. */
static void print_heap(uint64_t bad)
{
	struct kheap_about about, next;
	uint64_t above = (bad | GRAIN_MASK) + 1;

	kheap_about(&kernel_heap, (void *)(uintptr_t)bad, &about);
	if (about.where == KHEAP_NOWHERE)
		return;
	kheap_about(&kernel_heap, (void *)(uintptr_t)above, &next);
	if (about.where != KHEAP_SLACK)
		print_heap_object(bad, &about);
	if (next.where == KHEAP_OBJECT && next.object == above && about.object != above)
		print_heap_object(bad, &next);
}

static void print_page(uint64_t bad)
{
	uint64_t frame = (bad - DIRECT_MAP_BASE) >> PAGE_SHIFT;
	struct page_about page;

	page_about(&kernel_pages, pfn(frame), &page);
	console_printf("  page frame 0x%llx, %s\n", (ull)frame, page.free ? "free" : "in use");
	print_site("allocated by", page.allocated_by);
	print_site("freed by", page.freed_by);
}

static void print_owner(uint64_t bad)
{
	char where[112];

	console_printf("  address      %s\n",
		       address_describe(where, sizeof where, (vaddr_t){bad}));
	if (bad - DIRECT_MAP_BASE >= DIRECT_MAP_BYTES)
		return;
	if (kernel_heap.lock.held || kernel_pages.lock.held) {
		console_printf("  in the middle of the allocator: its books are not read\n");
		return;
	}
	print_heap(bad);
	print_page(bad);
}

static void print_shadow(uint64_t bad)
{
	uint64_t row = (uintptr_t)shadow_of(bad) & ~(uint64_t)(SHADOW_ROW - 1);

	console_printf("  shadow, a byte for eight of memory:\n");
	for (int i = -ROWS_AROUND; i <= ROWS_AROUND; i++) {
		const uint8_t *at = (const uint8_t *)(uintptr_t)row + i * SHADOW_ROW;
		struct arch_mapping m;

		arch_lookup((vaddr_t){(uintptr_t)at}, &m);
		if (!m.present)
			continue;
		console_printf("  %c 0x%016llx:", i ? ' ' : '>',
			       (ull)(((uintptr_t)at - SHADOW_OFFSET) << SHADOW_SHIFT));
		for (unsigned j = 0; j < SHADOW_ROW; j++)
			console_printf(at + j == shadow_of(bad) ? "[%02x]" : " %02x", at[j]);
		console_printf("\n");
	}
}

void kasan_report(uint64_t at, size_t bytes, bool write, uintptr_t caller)
{
	static bool reporting;
	uint64_t bad = first_bad(at, bytes);
	char heading[160], where[64];

	if (__atomic_exchange_n(&reporting, true, __ATOMIC_RELAXED))
		arch_halt();
	panic_claim();
	kasan_stop();
	format_buffer(heading, sizeof heading, "KASAN: %s: %s of %llu bytes at 0x%016llx by %s",
		      kind_of(bad), write ? "write" : "read", (ull)bytes, (ull)at,
		      symbol_format_return(where, caller));
	panic_begin(heading);
	console_printf("  thread       %s, CPU %u\n", current_thread_name(), port_cpu());
	print_owner(bad);
	print_shadow(bad);
	panic_end((uintptr_t)__builtin_frame_address(0));
}
