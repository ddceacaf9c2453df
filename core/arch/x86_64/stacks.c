/* SPDX-License-Identifier: MIT */
/*
 * Kernel stacks, each below an unmapped page so that an overflow faults:
 *
 *   slot (32 KiB):  | unmapped, at least a page | stack, 16 KiB by default |
 *                     the guard                   ^ what the caller gets    ^ RSP starts here
 *   block = 64 slots = 2 MiB = one page table
 *
 * One bit a slot, one word a block. A block's page table is made with its
 * first stack and freed with its last, so that after any number of threads
 *
 *   pages held = sum over live stacks (stack pages) + blocks with a live stack
 *   mapped[block] = 0  <=>  directories[block] = 0
 *
 * Other CPUs may remember where a stack was. So freeing goes: out of the tables, every CPU told,
 * and only then slot and frames to the next. Whoever unmaps a block's last stack takes its table
 * along, though the slots of others may still be on their way; the block gives out none in
 * between (`leaving`).
 *
 * LOCK_RANK_STACKS guards the bits and the tables; the telling is done without it.
 */
#include "paging.h"
#include <quire/assert.h>
#include <quire/memory.h>
#include <quire/string.h>
#include <quire/thread.h>

#define SLOT_BYTES      32768u
#define SLOT_PAGES      (SLOT_BYTES / PAGE_BYTES)
#define STACK_PAGES_MAX (SLOT_PAGES - 1)
#define BLOCK_SLOTS     64u
#ifndef STACK_BLOCKS
#define STACK_BLOCKS 2048u /* 131,072 stacks in 4 GiB of addresses; the host tests take fewer */
#endif

_Static_assert(BLOCK_SLOTS *SLOT_PAGES == TABLE_ENTRIES, "a block is a page table");

static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_STACKS);
static uint64_t used[STACK_BLOCKS];          /* a bit a slot */
static uint8_t mapped[STACK_BLOCKS];         /* stacks in the block's table */
static uint64_t not_full[STACK_BLOCKS / 64]; /* a bit a block that gives out slots */
static uint64_t leaving[STACK_BLOCKS / 64];  /* a bit a block whose table is being taken out */
static uint64_t *directories;                /* the window's PDs, one after the other */

void stack_window_init(uint64_t *root)
{
	size_t count = (STACK_BLOCKS + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
	uint64_t *tables = boot_alloc((count + 1) * PAGE_BYTES);

	if (!tables)
		port_panic("boot pool exhausted: page tables of the stack window");
	directories = tables + TABLE_ENTRIES;
	for (size_t i = 0; i < count; i++)
		tables[i] = table_entry(directories + i * TABLE_ENTRIES);
	root[level_index(STACK_WINDOW_BASE, LEVEL_ROOT)] = table_entry(tables);
	memset(not_full, 0xff, sizeof not_full);
}

/* The lowest free slot, or -1. */
static int64_t slot_take(void)
{
	for (size_t i = 0; i < array_len(not_full); i++) {
		size_t block;
		unsigned bit;

		if (!not_full[i])
			continue;
		block = i * 64 + (unsigned)__builtin_ctzll(not_full[i]);
		bit = (unsigned)__builtin_ctzll(~used[block]);
		used[block] |= (uint64_t)1 << bit;
		if (used[block] == ~(uint64_t)0)
			not_full[i] &= ~((uint64_t)1 << block % 64);
		return (int64_t)(block * BLOCK_SLOTS + bit);
	}
	return -1;
}

static void slot_give(uint64_t slot)
{
	uint64_t block = slot / BLOCK_SLOTS;

	used[block] &= ~((uint64_t)1 << slot % BLOCK_SLOTS);
	not_full[block / 64] |= (uint64_t)1 << block % 64 & ~leaving[block / 64];
}

/* The block's page table, made when there is none. NULL when out of memory. */
static uint64_t *block_table(uint64_t block)
{
	if (!directories[block]) {
		pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ZEROED);

		if (pfn_is_none(frame))
			return NULL;
		directories[block] = table_entry(port_phys_to_virt(pfn_to_paddr(frame)));
	}
	return table_of(directories[block]);
}

/* The table of a block that has no stack any more, taken out; else PFN_NONE. */
static pfn_t detach_table(uint64_t block)
{
	uint64_t entry = directories[block], bit = (uint64_t)1 << block % 64;

	if (mapped[block])
		return PFN_NONE;
	leaving[block / 64] |= bit;
	not_full[block / 64] &= ~bit;
	directories[block] = 0;
	/* The CPU may have cached the table; any address of the block makes it forget. */
	tlb_flush_page((vaddr_t){STACK_WINDOW_BASE + block * level_bytes(1)});
	return paddr_to_pfn(paddr(entry & PTE_ADDRESS));
}

static uint64_t slot_top(uint64_t slot)
{
	return STACK_WINDOW_BASE + (slot + 1) * SLOT_BYTES;
}

static bool map_stack(uint64_t slot, const pfn_t *frames, size_t pages)
{
	uint64_t *table = block_table(slot / BLOCK_SLOTS);
	size_t first = (slot % BLOCK_SLOTS + 1) * SLOT_PAGES - pages;

	if (!table)
		return false;
	for (size_t i = 0; i < pages; i++) {
		assert(!table[first + i]);
		table[first + i] = pfn_to_paddr(frames[i]).a | PTE_PRESENT | PTE_WRITE | pte_nx();
	}
	mapped[slot / BLOCK_SLOTS]++;
	return true;
}

/* Through the direct map: the stack's own addresses may not be there yet. */
static void fill(pfn_t frame)
{
	uint64_t *words = port_phys_to_virt(pfn_to_paddr(frame));

	for (size_t i = 0; i < PAGE_BYTES / sizeof *words; i++)
		words[i] = THREAD_STACK_PATTERN;
}

void *port_stack_alloc(size_t bytes)
{
	size_t pages = bytes_to_pages(bytes), got;
	pfn_t frames[STACK_PAGES_MAX];
	void *stack = NULL;
	port_irq_t irq;
	int64_t slot;

	if (!pages || pages > STACK_PAGES_MAX)
		return NULL;
	got = page_alloc_bulk(&kernel_pages, frames, pages, PAGE_ANY);
	if (got < pages)
		goto free_frames;
	for (size_t i = 0; i < pages; i++)
		fill(frames[i]);
	irq = spin_lock(&lock);
	slot = slot_take();
	if (slot >= 0 && map_stack((uint64_t)slot, frames, pages))
		stack = (void *)(uintptr_t)(slot_top((uint64_t)slot) - pages * PAGE_BYTES);
	else if (slot >= 0)
		slot_give((uint64_t)slot);
	spin_unlock(&lock, irq);
	if (!stack)
		goto free_frames;
	port_unpoison(stack, bytes, pages * PAGE_BYTES); /* of whoever ended there */
	return stack;

free_frames:
	page_free_bulk(&kernel_pages, frames, got);
	return NULL;
}

/* Take the stack's pages out of its table; their frames go to `frames`. */
static void unmap_stack(uint64_t slot, pfn_t *frames, size_t pages)
{
	uint64_t *table = table_of(directories[slot / BLOCK_SLOTS]);
	size_t first = (slot % BLOCK_SLOTS + 1) * SLOT_PAGES - pages;

	for (size_t i = 0; i < pages; i++) {
		assert(table[first + i] & PTE_PRESENT);
		frames[i] = paddr_to_pfn(paddr(table[first + i] & PTE_ADDRESS));
		table[first + i] = 0;
		tlb_flush_page((vaddr_t){slot_top(slot) - (pages - i) * PAGE_BYTES});
	}
	mapped[slot / BLOCK_SLOTS]--;
}

void port_stack_free(void *stack, size_t bytes)
{
	size_t pages = bytes_to_pages(bytes);
	uint64_t slot = ((uintptr_t)stack - STACK_WINDOW_BASE) / SLOT_BYTES;
	uint64_t block = slot / BLOCK_SLOTS;
	pfn_t frames[STACK_PAGES_MAX], table;
	port_irq_t irq;

	assert(pages && pages <= STACK_PAGES_MAX && slot < STACK_BLOCKS * BLOCK_SLOTS);
	assert((uintptr_t)stack == slot_top(slot) - pages * PAGE_BYTES);
	irq = spin_lock(&lock);
	assert(used[block] >> slot % BLOCK_SLOTS & 1);
	unmap_stack(slot, frames, pages);
	table = detach_table(block);
	spin_unlock(&lock, irq);
	tlb_shootdown();
	irq = spin_lock(&lock);
	if (!pfn_is_none(table))
		leaving[block / 64] &= ~((uint64_t)1 << block % 64);
	slot_give(slot);
	spin_unlock(&lock, irq);
	if (!pfn_is_none(table))
		page_free(&kernel_pages, table, 0);
	page_free_bulk(&kernel_pages, frames, pages);
}

bool stack_window_slot(uint64_t address, uint64_t *slot)
{
	if (address < STACK_WINDOW_BASE ||
	    address >= STACK_WINDOW_BASE + (uint64_t)STACK_BLOCKS * BLOCK_SLOTS * SLOT_BYTES)
		return false;
	*slot = (address - STACK_WINDOW_BASE) / SLOT_BYTES;
	return true;
}
