/* SPDX-License-Identifier: MIT */
/*
 * The page allocator against a byte a frame.
 *
 * The oracle is as naive as can be: owner[] says for each frame which
 * allocation it belongs to. Every answer of the allocator is checked against
 * it: what it hands out was free, aligned, in the right zone; where it says
 * there is none, a search of the whole map finds none either; what it refuses
 * was wrong. Memory maps are random too: holes, ragged ends, every zone; and in
 * two of three epochs the machine has up to three nodes.
 */
#include "page_nodes.h"

#define EPOCHS      24
#define OPERATIONS  50000 /* an epoch */
#define CHECK_EVERY 2000
#define LIVE_MAX    8192
#define BULK_MAX    300
#define REGIONS_MAX 8
#define CPUS        4

#define OWNER_FREE    0u
#define OWNER_CACHE   0xfffffffeu /* a CPU's cache is in there */
#define OWNER_NOBODYS 0xffffffffu /* never handed to the allocator */

enum kind {
	BLOCK,
	RUN,
	SLAB
};

struct live {
	uint64_t frame, pages;
	unsigned order, references;
	enum kind kind;
	uint32_t id;
};

static struct region ram[REGIONS_MAX];
static size_t ram_count;
static uint32_t *owner[REGIONS_MAX]; /* of each frame of each region */
static struct live live[LIVE_MAX];
static size_t live_count;
static uint32_t next_id;
static uint64_t model_free, model_refusals, model_held;
static uint64_t seed;

static uint64_t pick(uint64_t below)
{
	return host_random(&seed) % below;
}

static uint32_t *owner_of(uint64_t frame)
{
	for (size_t r = 0; r < ram_count; r++)
		if (frame >= ram[r].start.n && frame - ram[r].start.n < ram[r].pages)
			return &owner[r][frame - ram[r].start.n];
	return NULL;
}

static enum page_zone zone_of(uint64_t frame)
{
	if (frame < 512)
		return PAGE_ZONE_LOW;
	return frame < 4 * (uint64_t)GIB ? PAGE_ZONE_DMA32 : PAGE_ZONE_NORMAL;
}

static bool all_free(uint64_t frame, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		const uint32_t *o = owner_of(frame + i);

		if (!o || *o != OWNER_FREE)
			return false;
	}
	return true;
}

static uint32_t place_bit(unsigned node, enum page_zone zone)
{
	return 1u << (node * PAGE_ZONES + zone);
}

/* The places, as bits, that have an aligned free run of 2^order. The long way. */
static uint32_t model_room(unsigned order, uint64_t below)
{
	uint64_t size = (uint64_t)1 << order;
	uint32_t room = 0;

	for (size_t r = 0; r < ram_count; r++) {
		uint64_t first = ram[r].start.n, end = first + ram[r].pages;

		for (uint64_t at = align_down(first, size); at < end; at += size) {
			enum page_zone zone = zone_of(at);
			uint32_t place = place_bit(node_of(at), zone);

			if (!(room & place) && zone_of(at + size - 1) == zone &&
			    at + size <= below && all_free(at, size))
				room |= place;
		}
	}
	return room;
}

static void model_take(uint64_t frame, uint64_t pages, uint32_t id)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint32_t *o = owner_of(frame + i);

		if (!o || *o != OWNER_FREE)
			fail_msg("frame %#llx handed out, owner %#x",
				 (unsigned long long)(frame + i), o ? *o : OWNER_NOBODYS);
		*o = id;
	}
	model_free -= pages;
}

static void model_give(const struct live *l)
{
	for (uint64_t i = 0; i < l->pages; i++) {
		assert_int_equal(*owner_of(l->frame + i), l->id);
		*owner_of(l->frame + i) = OWNER_FREE;
	}
	model_free += l->pages;
}

static void remember(uint64_t frame, uint64_t pages, unsigned order, enum kind kind)
{
	live[live_count++] = (struct live){
		.frame = frame,
		.pages = pages,
		.order = order,
		.references = 1,
		.kind = kind,
		.id = ++next_id,
	};
	model_take(frame, pages, next_id);
}

/* It is from the first place that has room: node by node, each zone by zone, then LOW. */
static void check_place(uint64_t frame, unsigned order, unsigned flags)
{
	uint64_t below = flags & PAGE_BELOW_1M ? 256 : ~(uint64_t)0;
	unsigned own = pa.cpu_node[port_cpu()], left = (1u << nodes.count) - 1;
	uint32_t room;
	int from = flags & PAGE_BELOW_1M   ? PAGE_ZONE_LOW
		   : flags & PAGE_BELOW_4G ? PAGE_ZONE_DMA32
					   : PAGE_ZONE_NORMAL;

	if (frame != PFN_NONE.n) {
		assert_true((int)zone_of(frame) <= from);
		assert_true(frame + ((uint64_t)1 << order) <= below);
	}
	room = model_room(order, below);
	while (left) {
		unsigned node = nearest(own, &left);

		for (int z = from; z > PAGE_ZONE_LOW; z--) {
			if (frame != PFN_NONE.n && (int)zone_of(frame) == z &&
			    node_of(frame) == node)
				return;
			if (room & place_bit(node, (enum page_zone)z))
				fail_msg("order %u, flags %u: node %u zone %d has room, answer "
					 "%#llx",
					 order, flags, node, z, (unsigned long long)frame);
		}
	}
	if (frame == PFN_NONE.n)
		assert_int_equal(room & place_bit(node_of(0), PAGE_ZONE_LOW), 0);
}

static unsigned pick_flags(void)
{
	static const unsigned choices[] = {PAGE_ANY, PAGE_ANY,      PAGE_ANY,      PAGE_ANY,
					   PAGE_ANY, PAGE_BELOW_4G, PAGE_BELOW_4G, PAGE_BELOW_1M};

	return choices[pick(array_len(choices))];
}

/* Small orders are frequent, large ones appear. */
static unsigned pick_order(void)
{
	unsigned order = (unsigned)pick(4);

	while (order < PAGE_ORDER_MAX && pick(3) == 0)
		order += (unsigned)pick(3);
	return order > PAGE_ORDER_MAX ? PAGE_ORDER_MAX : order;
}

static void do_alloc(void)
{
	unsigned order = pick_order(), flags = pick_flags();
	bool look = pick(256) == 0;
	pfn_t f;

	if (look)
		page_drain();
	f = page_alloc(&pa, order, flags);
	if (pfn_is_none(f)) {
		/* What other CPUs have cached is out of reach. */
		page_drain();
		f = page_alloc(&pa, order, flags);
	}
	if (pfn_is_none(f) || look)
		check_place(f.n, order, flags);
	if (pfn_is_none(f))
		return;
	assert_int_equal(f.n % ((uint64_t)1 << order), 0);
	remember(f.n, (uint64_t)1 << order, order, BLOCK);
}

static void do_alloc_run(void)
{
	uint64_t length = 1 + pick((uint64_t)1 << pick(14));
	unsigned order = 0, flags = pick_flags();
	pfn_t f = page_alloc_run(&pa, length, flags);

	if (pfn_is_none(f)) {
		page_drain();
		f = page_alloc_run(&pa, length, flags);
	}
	while ((uint64_t)1 << order < length)
		order++;
	if (pfn_is_none(f)) {
		check_place(f.n, order, flags);
		return;
	}
	assert_int_equal(f.n % ((uint64_t)1 << order), 0);
	remember(f.n, length, 0, RUN);
}

static void do_bulk(void)
{
	static pfn_t got[BULK_MAX];
	size_t wanted = 1 + pick(BULK_MAX), n;
	unsigned flags = pick_flags();

	if (live_count + wanted > LIVE_MAX)
		return;
	n = page_alloc_bulk(&pa, got, wanted, flags);
	for (size_t i = 0; i < n; i++)
		remember(got[i].n, 1, 0, BLOCK);
	if (n == wanted)
		return;
	page_drain();
	wanted -= n;
	n = page_alloc_bulk(&pa, got, wanted, flags);
	for (size_t i = 0; i < n; i++)
		remember(got[i].n, 1, 0, BLOCK);
	if (n < wanted)
		check_place(PFN_NONE.n, 0, flags);
}

/* Free a stretch of the live table's single pages in one call. */
static void do_free_bulk(void)
{
	static pfn_t frames[BULK_MAX];
	size_t n = 0, i = live_count ? pick(live_count) : 0, wanted = 1 + pick(BULK_MAX);

	while (i < live_count && n < wanted) {
		if (live[i].kind == BLOCK && live[i].order == 0 && live[i].references == 1) {
			frames[n++] = pfn(live[i].frame);
			model_give(&live[i]);
			live[i] = live[--live_count];
		} else {
			i++;
		}
	}
	page_free_bulk(&pa, frames, n);
}

static void do_free(void)
{
	struct live *l = &live[pick(live_count)];

	if (l->kind == SLAB)
		page_clear_slab(&pa, pfn(l->frame), l->order);
	if (l->kind == RUN)
		page_free_run(&pa, pfn(l->frame));
	else if (l->references > 1 || pick(8) == 0)
		page_put(&pa, pfn(l->frame));
	else
		page_free(&pa, pfn(l->frame), l->order);
	if (--l->references)
		return;
	model_give(l);
	*l = live[--live_count];
}

static void do_mark(void)
{
	static uint64_t slab;
	struct live *l = &live[pick(live_count)];

	if (l->kind == BLOCK && pick(2)) {
		page_get(&pa, pfn(l->frame));
		l->references++;
	} else if (l->kind == BLOCK && l->references == 1) {
		page_set_slab(&pa, pfn(l->frame), l->order, &slab);
		l->kind = SLAB;
	} else if (l->kind == SLAB) {
		page_clear_slab(&pa, pfn(l->frame), l->order);
		l->kind = BLOCK;
	}
}

/* A free that is wrong in a random way must be refused and change nothing. */
static void do_misuse(void)
{
	const struct region *r = &ram[pick(ram_count)];
	uint64_t frame = r->start.n + pick(r->pages + 64);
	unsigned order = (unsigned)pick(PAGE_ORDER_MAX + 3);
	bool as_run = pick(4) == 0;

	if (owner_of(frame) && *owner_of(frame) == OWNER_CACHE)
		return;
	for (size_t i = 0; i < live_count; i++) {
		const struct live *l = &live[i];

		if (l->frame != frame)
			continue;
		if (as_run ? l->kind == RUN
			   : l->kind == BLOCK && l->order == order && l->references == 1)
			return;
	}
	host_misuse_reset();
	if (as_run)
		page_free_run(&pa, pfn(frame));
	else
		page_free(&pa, pfn(frame), order);
	assert_int_equal(host_misuses, 1);
	assert_non_null(host_last_misuse.what);
	host_misuse_reset();
	model_refusals++;
}

/* Maximal aligned free blocks by order, counted from the oracle, as a buddy allocator has them. */
static void check_free_blocks(void)
{
	struct page_stats stats = page_figures();
	uint64_t expected[PAGE_ORDER_MAX + 1] = {0};

	for (size_t r = 0; r < ram_count; r++) {
		uint64_t at = ram[r].start.n, end = at + ram[r].pages;

		while (at < end) {
			unsigned order = 0;

			if (*owner_of(at) != OWNER_FREE) {
				at++;
				continue;
			}
			while (order < PAGE_ORDER_MAX && at % ((uint64_t)2 << order) == 0 &&
			       zone_of(at) == zone_of(at + ((uint64_t)2 << order) - 1) &&
			       all_free(at, (uint64_t)2 << order))
				order++;
			expected[order]++;
			at += (uint64_t)1 << order;
		}
	}
	assert_memory_equal(stats.free_blocks, expected, sizeof expected);
}

static void check_everything(void)
{
	struct page_stats stats = page_figures();
	uint64_t blocks = 0;

	page_verify();
	assert_int_equal(stats.free, model_free);
	assert_int_equal(stats.counters.misuses, model_refusals);
	for (size_t i = 0; i < PAGE_FULLNESS_STEPS; i++)
		blocks += stats.fullness[i];
	assert_int_equal(blocks, stats.pageblocks);
	for (size_t i = 0; i < live_count; i += 1 + live_count / 16) {
		const struct live *l = &live[i];
		struct page_about about = page_facts(l->frame + pick(l->pages));

		assert_false(about.free);
		if (l->kind == SLAB)
			continue;
		assert_int_equal(about.node, node_of(l->frame));
		assert_int_equal(about.head.n, l->frame);
		assert_int_equal(about.pages, l->pages);
		if (l->kind == BLOCK)
			assert_int_equal(about.references, l->references);
	}
}

/* Where regions begin, and how long they are at most. */
static const uint64_t places[REGIONS_MAX] = {
	1,
	256,
	512 * 9 + 77,
	GIB - 512 * 3,
	4 * (uint64_t)GIB - 700,
	5 * (uint64_t)GIB + 512 * 64,
	300 * (uint64_t)GIB,
	2048 * (uint64_t)GIB,
};
static const uint64_t limits[REGIONS_MAX] = {
	159, 4000, 3000, 512 * 6, 1400, 6000, 2 * (uint64_t)GIB + 900, 9000,
};

/* A random map: in ascending order, anywhere from page 1 to beyond 4 GiB, never denser than apart. */
static void make_map(void)
{
	ram_count = 0;
	for (size_t i = 0; i < REGIONS_MAX; i++) {
		uint64_t length = limits[i];

		if (pick(3) == 0)
			continue;
		/* The large one every eighth time, and then whole: it is there for the large orders. */
		if (length > GIB ? pick(8) != 0 : pick(2))
			length = 1 + pick(length > GIB ? 3000 : length);
		ram[ram_count++] = (struct region){pfn(places[i]), length, REGION_USABLE};
	}
	if (!ram_count)
		ram[ram_count++] = (struct region){pfn(GIB), 5000, REGION_USABLE};
}

static void start_epoch(void)
{
	struct page_config config;

	make_map();
	make_nodes(&seed);
	(void)host_pages_config(&config, ram, ram_count);
	if (nodes.count > 1)
		config.nodes = &nodes;
	assert_int_equal(page_init(&pa, &config), 0);
	page_verify();
	host_misuse_reset();
	live_count = 0;
	model_free = 0;
	model_refusals = 0;
	model_held = 0;
	host_cpu = 0;
	for (size_t r = 0; r < ram_count; r++) {
		uint64_t added = page_add(&pa, ram[r].start, ram[r].pages);

		owner[r] = calloc(ram[r].pages, sizeof *owner[r]);
		for (uint64_t i = 0; i < ram[r].pages; i++)
			if (!page_facts(ram[r].start.n + i).described)
				owner[r][i] = OWNER_NOBODYS;
			else
				added--, model_free++;
		assert_int_equal(added, 0);
	}
	page_verify();
}

static void end_epoch(void)
{
	struct page_stats stats;

	page_drain();
	check_free_blocks();
	while (live_count)
		do_free();
	check_everything();
	page_drain();
	check_everything();
	check_free_blocks();
	stats = page_figures();
	assert_int_equal(stats.free, stats.managed - model_held);
	assert_int_equal(stats.used, model_held);
	for (size_t r = 0; r < ram_count; r++)
		free(owner[r]);
}

/* Go on as another CPU; it comes online the first time, if there is memory for it. */
static void switch_cpu(void)
{
	unsigned cpu = (unsigned)pick(CPUS);

	if (!pa.caches[cpu] && live_count < LIVE_MAX && pick(4) == 0) {
		uint64_t before = page_free_pages(&pa);

		/* Its cache lives in pages that are nobody's in the model. */
		if (page_cpu_online(&pa, cpu) == 0) {
			uint64_t frame = paddr_to_pfn(port_virt_to_phys(pa.caches[cpu])).n;

			for (uint64_t i = 0; i < page_run_pages(&pa, pfn(frame)); i++)
				*owner_of(frame + i) = OWNER_CACHE;
			model_free -= page_run_pages(&pa, pfn(frame));
			model_held += page_run_pages(&pa, pfn(frame));
			assert_int_equal(page_free_pages(&pa),
					 before - page_run_pages(&pa, pfn(frame)));
		}
	}
	host_cpu = cpu; /* one that is not online works as well */
	if (pick(64) == 0)
		page_cpu_drain(&pa, cpu);
}

static void test_random_operations(void **state)
{
	(void)state;
	seed = host_seed("model_page");
	host_ram_init((places[REGIONS_MAX - 1] + limits[REGIONS_MAX - 1]) * PAGE_BYTES);
	for (unsigned epoch = 0; epoch < host_amount(EPOCHS); epoch++) {
		uint64_t greed = 50;

		start_epoch();
		for (unsigned i = 0; i < OPERATIONS; i++) {
			uint64_t what = pick(100);

			if (pick(8) == 0)
				switch_cpu();
			/* Now mostly taking, now mostly giving back; on CPUs here and there. */
			if (i % 3000 == 0) {
				greed = 20 + pick(60);
				page_set_cpu_node(&pa, (unsigned)pick(CPUS),
						  (unsigned)pick(nodes.count));
			}
			if (what >= 97)
				do_misuse();
			else if (what >= 95 && live_count)
				do_mark();
			else if (what >= 94)
				do_bulk();
			else if (what >= 93)
				do_free_bulk();
			else if (pick(100) < greed && live_count < LIVE_MAX)
				pick(10) ? do_alloc() : do_alloc_run();
			else if (live_count)
				do_free();
			if (i % CHECK_EVERY == 0)
				check_everything();
		}
		end_epoch();
	}
	host_pages_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
