/* SPDX-License-Identifier: MIT */
/*
 * See map_chain.h. The firmware's and the loader's parts are played here, in a
 * few lines each; core/memory.c is included, so that its state can be cleared
 * between maps.
 *
 * Physical memory exists only where the kernel touches it: the hand-over data,
 * the firmware map and the boot pool, side by side in one arena:
 *
 *   taken:  | info: map | boot pool | kernel |
 *           ^ host_ram + taken.base = arena
 */
#define _GNU_SOURCE
#include "map_chain.h"
#include "host.h"
#include <quire/arch.h>
#include <quire/errno.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The kernel's descriptor window, at an address of this process. */
static char *chain_descs;
#undef DESC_WINDOW_BASE
#define DESC_WINDOW_BASE chain_descs
#include "../../core/memory.c"

#define FRAMES       (DIRECT_MAP_BYTES >> PAGE_SHIFT)
#define ARENA_BYTES  ((size_t)1 << 30)
#define KERNEL_PAGES 3u
#define BLOCKS_MAX   (1u << 17)
#define INPUTS_MAX   (CHAIN_ENTRIES_MAX + 8)

typedef unsigned __int128 wide;

static char *arena;
static const struct chain_machine *machine;
static struct boot_info info;
static char fault[256];

/* What came to life of the descriptor array; to be cleared for the next map. */
static struct page *backed[BLOCKS_MAX];
static size_t backed_count;

/* ---- what core/memory.c asks for, and is not under test ---- */

uint64_t arch_physical_bytes(void)
{
	return (uint64_t)1 << machine->physical_bits;
}

uint32_t arch_cpu_id(void)
{
	return 0;
}

const struct page_nodes *numa_init(paddr_t rsdp)
{
	(void)rsdp;
	return NULL;
}

void numa_cpu_online(unsigned cpu, uint32_t id)
{
	(void)cpu, (void)id;
}

bool cmdline_bool(const char *key, bool fallback)
{
	(void)key;
	return fallback;
}

bool cmdline_get(const char *key, char *out, size_t size)
{
	(void)key, (void)out, (void)size;
	return false;
}

int shell_parse_u64(const char *text, uint64_t *value)
{
	(void)text, (void)value;
	return -EINVAL;
}

void log_write(enum log_level level, const char *tag, const char *format, ...)
{
	(void)level, (void)tag, (void)format;
}

struct thread *thread_current(void)
{
	return NULL;
}

void thread_pin(unsigned cpu_plus_one)
{
	(void)cpu_plus_one;
}

uint64_t time_ns(void)
{
	return 0;
}

void watch_boot(void)
{
}

void port_back_descriptors(struct page *descs, pfn_t frame)
{
	(void)frame;
	if (backed_count < BLOCKS_MAX)
		backed[backed_count] = descs;
	backed_count++;
}

static void take_tables(uint64_t pages)
{
	if (!boot_alloc_raw(pages * PAGE_BYTES))
		port_panic("boot pool exhausted while making page tables");
}

/* Units of 2^shift frames that [start, end) lies in, beyond *next. */
static uint64_t units(uint64_t start, uint64_t end, unsigned shift, uint64_t *next)
{
	uint64_t first = start >> shift, last = (end - 1) >> shift;

	if (first < *next)
		first = *next;
	if (last < first)
		return 0;
	*next = last + 1;
	return last + 1 - first;
}

/*
 * As many tables as core/arch takes, without their contents: of the direct map in 2 MiB pages up
 * to the last frame that is or can become the kernel's, and of the descriptor window.
 */
void arch_paging_init(const struct boot_info *bi, const struct region *ram, size_t ram_count,
		      const struct region *regions, size_t count)
{
	uint64_t top = 0, tables = 1 + 4 + 12, window[3] = {0}, direct[3] = {0};

	(void)bi;
	for (size_t i = 0; i < count; i++) {
		const struct region *r = &regions[i];

		if (r->kind <= REGION_KERNEL)
			top = region_end(r);
		for (unsigned level = 0; level < 3 && region_is_managed(r); level++)
			tables += units(r->start.n, region_end(r), SUPERBLOCK_SHIFT + 9 * level,
					&window[level]);
	}
	for (size_t i = 0; i < ram_count && ram[i].start.n < top; i++) {
		uint64_t start = ram[i].start.n;
		uint64_t end = region_end(&ram[i]) < top ? region_end(&ram[i]) : top;

		for (unsigned level = 1; level < 3; level++)
			tables += units(start, end, PAGEBLOCK_SHIFT + 9 * level, &direct[level]);
		/* Small pages at ragged ends, and in all of the first 2 MiB. */
		if (start < PAGEBLOCK_PAGES || start % PAGEBLOCK_PAGES != 0)
			tables += units(start, start + 1, PAGEBLOCK_SHIFT, &direct[0]);
		if (end % PAGEBLOCK_PAGES != 0)
			tables += units(end - 1, end, PAGEBLOCK_SHIFT, &direct[0]);
	}
	take_tables(tables);
}

/* ---- the oracle ---- */

static bool in_range(const struct boot_range *r, uint64_t frame)
{
	return frame >= r->base / 4096 && frame - r->base / 4096 < r->pages;
}

bool chain_map_gives(const struct chain_machine *m, uint64_t frame)
{
	wide first = (wide)frame * 4096, past = first + 4096;
	bool given = false;

	if (frame == 0 || past > (wide)1 << m->physical_bits || past > DIRECT_MAP_BYTES)
		return false;
	for (size_t i = 0; i < m->count; i++) {
		const struct boot_mem_desc *e = &m->entries[i];
		wide start = e->phys, end = start + (wide)e->pages * 4096;
		bool whole = start <= first && past <= end;

		/* Nothing, or nonsense that wraps: as if it were not there. */
		if (e->pages == 0 || end >= (wide)1 << 64 || start >= past || end <= first)
			continue;
		switch (e->type) {
		case 7: /* conventional: what it has of a page only in part is nothing to it */
			given |= whole && end / 4096 <= (wide)1 << 40;
			break;
		case 1 ... 4: /* loader's and boot services' */
			if (!whole)
				return false;
			given |= (end + 4095) / 4096 <= (wide)1 << 40;
			break;
		default:
			return false;
		}
	}
	return given;
}

/* Stretches of frames that may be handed out. */
struct stretch {
	uint64_t start, end;
};
static struct stretch given[4 * INPUTS_MAX];
static size_t given_count;
static uint64_t cuts[4 * INPUTS_MAX];

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static size_t cut(size_t n, uint64_t base, uint64_t pages)
{
	wide end = (wide)base + (wide)pages * 4096;

	/* Around both ends: where a frame is covered in part. */
	cuts[n++] = base / 4096;
	cuts[n++] = base / 4096 + (base % 4096 != 0);
	cuts[n++] = (uint64_t)(end / 4096);
	cuts[n++] = (uint64_t)((end + 4095) / 4096);
	return n;
}

/* The answer can change only at the cuts, so one frame speaks for all up to the next. */
static uint64_t oracle(const struct boot_range *own, size_t own_count)
{
	uint64_t total = 0;
	size_t n = 0;

	for (size_t i = 0; i < machine->count; i++)
		n = cut(n, machine->entries[i].phys, machine->entries[i].pages);
	for (size_t i = 0; i < own_count; i++)
		n = cut(n, own[i].base, own[i].pages);
	cuts[n++] = 1;
	cuts[n++] = FRAMES;
	cuts[n++] = (uint64_t)1 << (machine->physical_bits - 12);
	qsort(cuts, n, sizeof *cuts, by_value);
	given_count = 0;
	for (size_t i = 0; i + 1 < n; i++) {
		bool yes = cuts[i] < cuts[i + 1] && chain_map_gives(machine, cuts[i]);

		for (size_t k = 0; yes && k < own_count; k++)
			yes = !in_range(&own[k], cuts[i]);
		if (!yes)
			continue;
		total += cuts[i + 1] - cuts[i];
		if (given_count && given[given_count - 1].end == cuts[i])
			given[given_count - 1].end = cuts[i + 1];
		else
			given[given_count++] = (struct stretch){cuts[i], cuts[i + 1]};
	}
	return total;
}

uint64_t chain_map_pages(const struct chain_machine *m)
{
	machine = m;
	return oracle(NULL, 0);
}

/* ---- allocating every page ---- */

static struct block {
	uint64_t frame;
	unsigned order;
} blocks[BLOCKS_MAX];
static size_t block_count;

static int by_frame(const void *a, const void *b)
{
	return by_value(&((const struct block *)a)->frame, &((const struct block *)b)->frame);
}

static uint64_t allocate_all(void)
{
	uint64_t pages = 0;

	block_count = 0;
	for (unsigned order = PAGE_ORDER_MAX + 1; order-- > 0;) {
		pfn_t frame;

		while (block_count < BLOCKS_MAX &&
		       !pfn_is_none(frame = page_alloc_block(&kernel_pages, order, PAGE_ANY))) {
			blocks[block_count++] = (struct block){frame.n, order};
			pages += (uint64_t)1 << order;
		}
	}
	return pages;
}

static const char *judge_blocks(void)
{
	uint64_t end = 0;
	size_t s = 0;

	qsort(blocks, block_count, sizeof *blocks, by_frame);
	for (size_t i = 0; i < block_count; i++) {
		uint64_t frame = blocks[i].frame, past = frame + ((uint64_t)1 << blocks[i].order);

		if (frame < end)
			return "a frame was handed out twice";
		while (s < given_count && given[s].end <= frame)
			s++;
		if (s == given_count || frame < given[s].start || past > given[s].end) {
			snprintf(fault, sizeof fault,
				 "frames 0x%llx..0x%llx were handed out, which the map does not "
				 "give",
				 (unsigned long long)frame, (unsigned long long)past - 1);
			return fault;
		}
		end = past;
	}
	return NULL;
}

/* ---- the loader and the firmware, briefly ---- */

static struct region_input inputs[INPUTS_MAX];
static struct region regions[2 * INPUTS_MAX + 1];

static const char *plan(struct desc_plan *p, size_t *count, enum chain_end *end)
{
	for (size_t i = 0; i < machine->count; i++)
		inputs[i] =
			(struct region_input){machine->entries[i].phys, machine->entries[i].pages,
					      memmap_kind(machine->entries[i].type)};
	if (region_build(inputs, machine->count, regions, array_len(regions), count))
		return "region_build() wants more room than it promised";
	switch (desc_plan_make(regions, *count, p)) {
	case 0:
		*end = CHAIN_PLANNED;
		return NULL;
	case -ENOENT:
		*end = CHAIN_NO_MEMORY;
		return NULL;
	case -ENOSPC:
		*end = CHAIN_NO_PLACE;
		return NULL;
	default:
		return "desc_plan_make() fails with an error of its own";
	}
}

/* The highest place for `pages` in usable memory beside the array, as firmware does it; 0: none. */
static uint64_t take(const struct desc_plan *p, size_t count, uint64_t pages)
{
	for (size_t i = count; i-- > 0;) {
		uint64_t start = regions[i].start.n, end = region_end(&regions[i]);

		if (regions[i].kind != REGION_USABLE)
			continue;
		if (end > FRAMES)
			end = FRAMES;
		if (end > (uint64_t)1 << (machine->physical_bits - PAGE_SHIFT))
			end = (uint64_t)1 << (machine->physical_bits - PAGE_SHIFT);
		if (start < 256)
			start = 256;
		if (start <= p->start.n && p->start.n < end) {
			if (end > p->start.n + p->pages && end - p->start.n - p->pages >= pages)
				return end - pages;
			end = p->start.n;
		}
		if (end > start && end - start >= pages)
			return end - pages;
	}
	return 0;
}

static void write_entry(char *at, size_t i, const struct boot_mem_desc *d)
{
	/* What lies between the descriptors is not ours to read. */
	memset(at + i * machine->stride, 0xa5, machine->stride);
	memcpy(at + i * machine->stride, d, sizeof *d);
}

/* The final map: what the loader took shows up as its own, over what was there. */
static void write_map(char *at)
{
	const struct boot_range *own[] = {&info.descriptors, &info.info, &info.pool, &info.kernel};
	bool kernel_placed = machine->kernel.pages != 0;
	size_t n = machine->count;

	for (size_t i = 0; i < n; i++)
		write_entry(at, i, &machine->entries[i]);
	for (size_t i = 0; i < array_len(own) - kernel_placed; i++)
		write_entry(at, n++,
			    &(struct boot_mem_desc){.type = MEMMAP_LOADER_DATA,
						    .phys = own[i]->base,
						    .pages = own[i]->pages,
						    .attributes = MEMMAP_ATTR_WB});
	info.map_bytes = n * machine->stride;
	info.map_stride = machine->stride;
}

static bool hand_over(const struct desc_plan *p, size_t count)
{
	uint64_t map_pages = 1 + bytes_to_pages((machine->count + 4) * machine->stride);
	uint64_t pool_pages = boot_pool_pages(regions, count, machine->count);
	uint64_t base = take(p, count, map_pages + pool_pages + KERNEL_PAGES) << PAGE_SHIFT;

	if (base == 0 || (map_pages + pool_pages) * PAGE_BYTES > ARENA_BYTES)
		return false;
	host_ram = (char *)((uintptr_t)arena - base);
	info = (struct boot_info){
		.descriptors = {pfn_to_paddr(p->start).a, p->pages},
		.info = {base, map_pages},
		.pool = {base + map_pages * PAGE_BYTES, pool_pages},
		.map = base + PAGE_BYTES,
	};
	info.kernel = machine->kernel.pages
			      ? machine->kernel
			      : (struct boot_range){info.pool.base + pool_pages * PAGE_BYTES,
						    KERNEL_PAGES};
	write_map(arena + PAGE_BYTES);
	return true;
}

/* ---- all of it ---- */

static void *reserve_sparse(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("map_chain: mmap");
		abort();
	}
	return p;
}

static void clear(void)
{
	if (!arena) {
		arena = reserve_sparse(ARENA_BYTES);
		chain_descs = reserve_sparse(FRAMES * sizeof(struct page));
	}
	if (backed_count > BLOCKS_MAX)
		madvise(chain_descs, FRAMES * sizeof(struct page), MADV_DONTNEED);
	else
		for (size_t i = 0; i < backed_count; i++)
			memset(backed[i], 0, PAGE_BYTES);
	backed_count = 0;
	memset(&memory, 0, sizeof memory);
	memset(&pool, 0, sizeof pool);
	memset(&kernel_pages, 0, sizeof kernel_pages);
}

static const char *judge(struct chain_result *result)
{
	/* The end of the pool that was not used came back. */
	const struct boot_range own[] = {
		info.descriptors,
		info.info,
		{info.pool.base, bytes_to_pages(pool.next.a - info.pool.base)},
		info.kernel,
	};
	struct memory_stats stats;
	const char *wrong = machine->recount ? memory_check() : NULL;

	if (wrong)
		return wrong;
	memory_stats(&stats);
	result->given = oracle(own, array_len(own));
	result->undescribed = stats.undescribed_pages;
	result->handed_out = allocate_all();
	if (block_count == BLOCKS_MAX)
		return "the map is larger than this test";
	wrong = judge_blocks();
	if (wrong)
		return wrong;
	if (result->handed_out + result->undescribed != result->given) {
		snprintf(
			fault, sizeof fault,
			"the map gives %llu frames, %llu were handed out and %llu left undescribed",
			(unsigned long long)result->given, (unsigned long long)result->handed_out,
			(unsigned long long)result->undescribed);
		return fault;
	}
	for (size_t i = 0; i < block_count; i++)
		page_free_block(&kernel_pages, pfn(blocks[i].frame), blocks[i].order);
	if (page_free_pages(&kernel_pages) != result->handed_out || host_misuses)
		return "not every frame came back";
	return machine->recount ? memory_check() : NULL;
}

const char *chain_run(const struct chain_machine *m, struct chain_result *result)
{
	struct desc_plan p;
	const char *wrong;
	size_t count;

	machine = m;
	clear();
	*result = (struct chain_result){0};
	wrong = plan(&p, &count, &result->end);
	if (wrong || result->end != CHAIN_PLANNED)
		return wrong;
	if (!hand_over(&p, count)) {
		result->end = CHAIN_NO_POOL;
		return NULL;
	}
	if (!host_expect_panic())
		return host_panic_text;
	memory_init(&info);
	memory_reclaim();
	host_panic_armed = false;
	return judge(result);
}
