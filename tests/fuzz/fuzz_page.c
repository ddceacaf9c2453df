/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: bytes are calls, on three CPUs. Whatever order they come in, right
 * or wrong, the allocator's books must balance, no frame may have two owners
 * (the shadow: an owner for each frame), and giving everything back must leave
 * memory as it was.
 *
 *   byte 0     which of eight machines: regions, ragged ends
 *   then       operation and two operands, a byte each
 *
 * A machine is built once; an execution starts from a copy of its memory, so
 * that every input means the same wherever it is run.
 */
#include "../host/host.h"
#include "must.h"
#include <page_internal.h>
#include <quire/region.h>
#include <string.h>
#include <sys/mman.h>

#define MACHINES    8u
#define REGIONS_MAX 4u
#define CPUS        3u
#define LIVE_MAX    256u
#define MEMORY_MAX  ((size_t)128 << 10)
#define FRAMES_MAX  8192u

static struct machine {
	bool built;
	struct region ram[REGIONS_MAX];
	size_t count;
	struct page_config config;
	struct page_allocator pa, pa_at_start;
	uint64_t free_at_start;
	_Alignas(64) uint8_t memory[MEMORY_MAX], memory_at_start[MEMORY_MAX];
	size_t used;
	struct page *descs, descs_at_start[FRAMES_MAX];
} machines[MACHINES];
static struct machine *m;

struct held {
	pfn_t frame;
	uint64_t pages;
	unsigned order, references;
	bool run;
	uint16_t id;
};
static struct held live[LIVE_MAX];
static size_t live_count;
static uint16_t owner[REGIONS_MAX][FRAMES_MAX], next_id; /* 0: nobody's */

void port_back_descriptors(struct page *descs, pfn_t frame)
{
	(void)descs, (void)frame;
}

/* ---- machines ---- */

static void *boot_alloc(size_t bytes)
{
	void *p = m->memory + m->used;

	m->used = align_up(m->used + bytes, 64);
	must(m->used <= MEMORY_MAX, "this machine wants more memory than the test has");
	return p;
}

static void add_ram(uint64_t start, uint64_t pages)
{
	m->ram[m->count++] = (struct region){pfn(start), pages, REGION_USABLE};
}

static void lay_out(unsigned shape)
{
	if (shape & 1)
		add_ram(1, 300);
	if (shape & 2)
		add_ram(605, 1100);
	add_ram(SUPERBLOCK_PAGES - 512u * (shape & 3), 1600 + shape);
	if (shape & 4)
		add_ram((uint64_t)1 << 20, 2000); /* at 4 GiB */
}

/* The descriptors of all regions, pageblock by pageblock, to or from a copy. */
static void copy_descs(bool back)
{
	struct page *copy = m->descs_at_start;

	for (size_t i = 0; i < m->count; i++) {
		uint64_t first = align_down(m->ram[i].start.n, PAGEBLOCK_PAGES);
		uint64_t n = align_up(region_end(&m->ram[i]), PAGEBLOCK_PAGES) - first;

		if (back)
			memcpy(&m->descs[first], copy, n * sizeof *copy);
		else
			memcpy(copy, &m->descs[first], n * sizeof *copy);
		copy += n;
	}
}

static void build(unsigned shape)
{
	uint64_t limit;

	if (!host_ram)
		host_ram_init(((uint64_t)6 << 30));
	lay_out(shape);
	limit = align_up(region_end(&m->ram[m->count - 1]), PAGEBLOCK_PAGES);
	m->descs = mmap(NULL, limit * sizeof *m->descs, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(m->descs != MAP_FAILED, "mmap");
	m->config = (struct page_config){
		.descs = m->descs,
		.pfn_limit = limit,
		.regions = m->ram,
		.region_count = m->count,
		.boot_alloc = boot_alloc,
	};
	must(!desc_plan_make(m->ram, m->count, &m->config.plan), "no plan");
	must(!page_init(&m->pa, &m->config), "no memory for the books");
	/* Some machines are too sparse to be described whole. */
	for (size_t i = 0; i < m->count; i++)
		must(page_add(&m->pa, m->ram[i].start, m->ram[i].pages) > 0, "nothing added");
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		must(!page_cpu_online(&m->pa, cpu), "no memory for a cache");
	m->pa_at_start = m->pa;
	m->free_at_start = page_free_pages(&m->pa);
	memcpy(m->memory_at_start, m->memory, m->used);
	copy_descs(false);
	m->built = true;
}

/* The caches of CPUs 1 and 2 lie in pages of the machine itself. */
static void empty_caches(void)
{
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		memset(m->pa.caches[cpu]->stack, 0, sizeof m->pa.caches[cpu]->stack);
}

static void start(uint8_t shape)
{
	m = &machines[shape % MACHINES];
	host_cpu = 0;
	if (!m->built)
		build(shape % MACHINES);
	m->pa = m->pa_at_start;
	memcpy(m->memory, m->memory_at_start, m->used);
	copy_descs(true);
	empty_caches();
	memset(owner, 0, sizeof owner);
	host_misuse_reset();
	live_count = next_id = 0;
}

/* ---- the shadow ---- */

static uint16_t *owner_of(uint64_t frame)
{
	for (size_t i = 0; i < m->count; i++)
		if (frame - m->ram[i].start.n < m->ram[i].pages)
			return &owner[i][frame - m->ram[i].start.n];
	return NULL;
}

static void shadow_take(uint64_t frame, uint64_t pages, uint16_t id)
{
	uint64_t align = 1;

	while (align < pages)
		align *= 2;
	must(frame % align == 0, "a block that is not aligned");
	for (uint64_t i = 0; i < pages; i++) {
		uint16_t *o = owner_of(frame + i);

		must(o && *o == 0, "a frame handed out that is no RAM, or somebody's");
		*o = id;
	}
}

static void shadow_give(const struct held *h)
{
	for (uint64_t i = 0; i < h->pages; i++) {
		uint16_t *o = owner_of(h->frame.n + i);

		must(*o == h->id, "the test lost count");
		*o = 0;
	}
}

static void check(void)
{
	const char *wrong = page_check(&m->pa);

	must(!wrong, wrong);
}

/* ---- the calls ---- */

static void take(uint8_t a, uint8_t b, bool run)
{
	unsigned flags = b & (PAGE_BELOW_4G | PAGE_BELOW_1M), order = a % (PAGE_ORDER_MAX + 2);
	uint64_t pages = run ? a * 9u : (uint64_t)1 << order;
	pfn_t f =
		run ? page_alloc_run(&m->pa, pages, flags) : page_alloc_block(&m->pa, order, flags);

	if (pfn_is_none(f))
		return;
	must(!(flags & PAGE_BELOW_1M) || f.n + pages <= 256, "not below 1 MiB");
	must(!(flags & PAGE_BELOW_4G) || f.n + pages <= (uint64_t)1 << 20, "not below 4 GiB");
	live[live_count] = (struct held){
		.frame = f,
		.pages = pages,
		.order = order,
		.references = 1,
		.run = run,
		.id = ++next_id,
	};
	shadow_take(f.n, pages, next_id);
	live_count++;
}

static void give(size_t i)
{
	struct held *h = &live[i];

	if (h->references == 1)
		shadow_give(h);
	if (h->run)
		page_free_run(&m->pa, h->frame);
	else if (h->references > 1)
		page_put(&m->pa, h->frame);
	else
		page_free_block(&m->pa, h->frame, h->order);
	if (--h->references == 0)
		*h = live[--live_count];
}

/* Any frame, any order: only what is held exactly so may go. */
static void give_anything(uint8_t a, uint8_t b)
{
	pfn_t frame = live_count ? pfn_add(live[a % live_count].frame, b % 5u) : pfn(a * 40u);
	unsigned order = b / 8u;
	uint64_t before = page_free_pages(&m->pa);

	for (size_t i = 0; i < live_count; i++)
		if (live[i].frame.n == frame.n && !live[i].run && live[i].order == order &&
		    live[i].references == 1)
			return;
	page_free_block(&m->pa, frame, order);
	must(host_misuses == 1 && page_free_pages(&m->pa) == before, "a wrong free went through");
	host_misuse_reset();
}

static void bulk(uint8_t a)
{
	pfn_t frames[256];
	size_t n = page_alloc_bulk(&m->pa, frames, a, PAGE_ANY);

	for (size_t i = 0; i < n; i++)
		shadow_take(frames[i].n, 1, 0xffff);
	for (size_t i = 0; i < n; i++)
		*owner_of(frames[i].n) = 0;
	page_free_bulk(&m->pa, frames, n);
}

static void share(struct held *h)
{
	if (h->run)
		return;
	page_get(&m->pa, h->frame);
	h->references++;
}

static void call(uint8_t what, uint8_t a, uint8_t b)
{
	if (what < 96 && live_count < LIVE_MAX)
		take(a, b, false);
	else if (what < 128 && live_count < LIVE_MAX)
		take(a, b, true);
	else if (what < 200 && live_count)
		give(a % live_count);
	else if (what < 212)
		bulk(a);
	else if (what < 220)
		host_cpu = a % CPUS;
	else if (what < 226)
		page_cpu_drain(&m->pa, host_cpu);
	else if (what < 236 && live_count)
		share(&live[a % live_count]);
	else
		give_anything(a, b);
	must(host_misuses == 0, "a right call was refused");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t held = 0;

	if (size < 1 || size > 1 + 3 * 200)
		return 0;
	start(data[0]);
	for (size_t i = 1; i + 3 <= size; i += 3) {
		call(data[i], data[i + 1], data[i + 2]);
		if (i % 192 == 1)
			check();
	}
	for (size_t i = 0; i < live_count; i++)
		held += live[i].pages;
	must(page_free_pages(&m->pa) + held == m->free_at_start, "pages are missing");
	check();
	while (live_count)
		give(live_count - 1);
	must(page_free_pages(&m->pa) == m->free_at_start, "pages are missing at the end");
	return 0;
}
