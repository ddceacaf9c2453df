/* SPDX-License-Identifier: MIT */
/*
 * Every state a page allocator of 16 frames can reach, with the real code.
 *
 * From each state: an allocation of each order 0..4, a free of each live block,
 * and some wrong frees, which must be refused and change nothing. What comes of
 * each step is compared with the frames before it; the validator runs in every
 * state. A state is all memory the allocator decides by: bitmap, summaries,
 * classes, lists, descriptors, caches. So the count says something, too. A
 * block of 2^k frames is allocated whole, or made of two halves in any states:
 *
 *   f(0) = 2 (free, allocated)     f(k) = f(k-1)^2 + 1     f(4) = 458,330
 *
 * and with the caches closed exactly so many states are found: what the
 * allocator keeps in memory is a function of what is free and what is whose,
 * however it got there. With caches there are more; that search is of 8 frames.
 *
 * States are kept as differences from the first one, some 100 bytes each.
 */
#include "../host/pages.h"
#include "cm.h"
#include <page_internal.h>
#include <quire/region.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST      ((uint64_t)1 << 20) /* at 4 GiB: the NORMAL zone, alone */
#define FRAMES_MAX 16u
#define ORDERS     5u
#define STATES_MAX (1u << 19)
#define TABLE_SIZE (1u << 21)
#define ALL_STATES 458330
#define ARENA_SIZE ((size_t)192 << 20)

#define FREE   0u /* of a frame: values 1 + k are the head of a block of order k */
#define TAIL   14u
#define CACHED 15u

static struct page_allocator pa;
static unsigned frames;

/* Everything that decides what the allocator does next. All words, no holes. */
struct memory {
	struct page_free_set zone;
	struct superblock superblock;
	uint64_t bitmap[BITS_WORDS];
	struct pageblock block;
	uint64_t descs[FRAMES_MAX]; /* without the callers */
	uint64_t dirty_count;
	uint64_t counts[ORDERS];             /* of the caches */
	uint64_t cached[ORDERS][FRAMES_MAX]; /* lowest first; 0 beyond the count */
};
#define MEMORY_WORDS (sizeof(struct memory) / 8)
_Static_assert(sizeof(struct memory) % 8 == 0, "copied as words");

static struct superblock *superblock;
static struct pageblock *block;
static uint64_t *bitmap;
static struct page_free_set *zone;
static struct page_cpu *cache;

static void look(struct memory *m)
{
	memset(m, 0, sizeof *m);
	m->zone = *zone;
	m->superblock = *superblock;
	m->block = *block;
	memcpy(m->bitmap, bitmap, sizeof m->bitmap);
	m->dirty_count = pa.dirty_count;
	for (unsigned i = 0; i < frames; i++)
		m->descs[i] = (uint32_t)pa.descs[FIRST + i].word;
	for (unsigned k = 0; k < ORDERS; k++) {
		m->counts[k] = cache->stack[k].count;
		for (unsigned i = 0; i < m->counts[k]; i++)
			m->cached[k][i] = cache->frames[page_cache_first(k) + i].n;
	}
}

static void put_back(const struct memory *m)
{
	*zone = m->zone;
	*superblock = m->superblock;
	*block = m->block;
	memcpy(bitmap, m->bitmap, sizeof m->bitmap);
	pa.dirty_count = (uint32_t)m->dirty_count;
	for (unsigned i = 0; i < frames; i++)
		pa.descs[FIRST + i].word = m->descs[i];
	for (unsigned k = 0; k < ORDERS; k++) {
		cache->stack[k].count = m->counts[k];
		for (unsigned i = 0; i < m->counts[k]; i++)
			cache->frames[page_cache_first(k) + i].n = m->cached[k][i];
	}
}

/* ---- the states found ---- */

static uint64_t first[MEMORY_WORDS];
static struct {
	size_t at; /* in the arena: differences as (index, word) */
	unsigned words;
} states[STATES_MAX];
static size_t state_count;
static uint64_t *arena;
static size_t arena_used;
static uint64_t hashes[TABLE_SIZE]; /* 0: empty */

static uint64_t hash(const uint64_t *words)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < MEMORY_WORDS; i++) {
		h = (h ^ words[i]) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h ? h : 1;
}

static bool is_new(uint64_t h)
{
	size_t slot = h % TABLE_SIZE;

	for (; hashes[slot]; slot = (slot + 1) % TABLE_SIZE)
		if (hashes[slot] == h)
			return false;
	hashes[slot] = h;
	return true;
}

static void keep(const struct memory *m)
{
	const uint64_t *words = (const uint64_t *)m;

	if (!is_new(hash(words)))
		return;
	assert_true(state_count < STATES_MAX);
	states[state_count].at = arena_used;
	for (size_t i = 0; i < MEMORY_WORDS; i++) {
		if (words[i] == first[i])
			continue;
		arena[arena_used++] = i;
		arena[arena_used++] = words[i];
		states[state_count].words++;
	}
	assert_true(arena_used * 8 < ARENA_SIZE - sizeof *m * 2);
	state_count++;
}

static void recall(size_t state, struct memory *m)
{
	const uint64_t *difference = &arena[states[state].at];
	uint64_t *words = (uint64_t *)m;

	memcpy(m, first, sizeof *m);
	for (unsigned i = 0; i < states[state].words; i++)
		words[difference[2 * i]] = difference[2 * i + 1];
}

/* ---- what a state says of each frame ---- */

static void spell(const struct memory *m, uint8_t *out)
{
	for (unsigned i = 0; i < frames; i++) {
		uint64_t word = m->descs[i];

		if (bits_test(m->bitmap, i))
			out[i] = FREE;
		else if ((word & 7) == PAGE_HEAD)
			out[i] = (uint8_t)(1 + (word >> DESC_ORDER_SHIFT & 31));
		else
			out[i] = TAIL;
	}
	for (unsigned k = 0; k < ORDERS; k++)
		for (unsigned i = 0; i < m->counts[k]; i++)
			memset(&out[m->cached[k][i] - FIRST], CACHED, (size_t)1 << k);
}

static bool is_available(const uint8_t *frame, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++)
		if (frame[i] != FREE && frame[i] != CACHED)
			return false;
	return true;
}

/* What must not change: the frames outside [at, at + n) that are somebody's. */
static void assert_others_same(const uint8_t *before, const uint8_t *after, unsigned at, unsigned n)
{
	for (unsigned i = 0; i < frames; i++) {
		if (i - at < n)
			continue;
		if (before[i] == FREE || before[i] == CACHED)
			assert_true(after[i] == FREE || after[i] == CACHED);
		else
			assert_int_equal(after[i], before[i]);
	}
}

static uint64_t steps, refusals;

static void try_alloc(const struct memory *from, const uint8_t *before, unsigned order)
{
	uint8_t after[FRAMES_MAX];
	struct memory to;
	pfn_t frame;

	put_back(from);
	frame = page_alloc_block(&pa, order, PAGE_ANY);
	look(&to);
	spell(&to, after);
	if (pfn_is_none(frame)) {
		for (unsigned i = 0; i < frames; i += 1u << order)
			assert_false(is_available(&before[i], order));
		assert_others_same(before, after, 0, 0);
	} else {
		unsigned at = (unsigned)(frame.n - FIRST), n = 1u << order;

		assert_true(frame.n >= FIRST && at < frames && at % n == 0);
		assert_true(is_available(&before[at], order));
		assert_int_equal(after[at], 1 + order);
		for (unsigned i = 1; i < n; i++)
			assert_int_equal(after[at + i], TAIL);
		assert_others_same(before, after, at, n);
	}
	keep(&to);
	steps++;
}

static void try_free(const struct memory *from, const uint8_t *before, unsigned at)
{
	unsigned order = before[at] - 1u;
	uint8_t after[FRAMES_MAX];
	struct memory to;

	put_back(from);
	page_free_block(&pa, pfn(FIRST + at), order);
	look(&to);
	spell(&to, after);
	assert_int_equal(host_misuses, 0);
	assert_true(is_available(&after[at], order));
	assert_others_same(before, after, at, 1u << order);
	keep(&to);
	steps++;
}

/* Any frame, any order, unless it is right: refused, reported once, and nothing has changed. */
static void try_wrong_free(const struct memory *from, const uint8_t *before, unsigned choice)
{
	unsigned order = choice % (ORDERS + 1);
	int at = (int)(choice / (ORDERS + 1) % (frames + 2)) - 1; /* one on each side, too */
	struct memory to;

	if (at >= 0 && at < (int)frames && before[at] == 1 + order)
		return;
	put_back(from);
	page_free_block(&pa, pfn(FIRST + (uint64_t)(int64_t)at), order);
	assert_int_equal(host_misuses, 1);
	host_misuse_reset();
	look(&to);
	assert_memory_equal(&to, from, sizeof to);
	refusals++;
}

static void expand(size_t state)
{
	uint8_t before[FRAMES_MAX];
	struct memory from;
	const char *wrong;

	recall(state, &from);
	spell(&from, before);
	put_back(&from);
	wrong = page_check(&pa);
	if (wrong)
		fail_msg("state %zu: %s", state, wrong);
	for (unsigned order = 0; order < ORDERS; order++)
		try_alloc(&from, before, order);
	for (unsigned at = 0; at < frames; at++)
		if (before[at] != FREE && before[at] < TAIL)
			try_free(&from, before, at);
	for (unsigned i = 0; i < 3; i++)
		try_wrong_free(&from, before, (unsigned)state * 3 + i);
}

/* Every list was used once: what a list leaves behind is then the same, whenever it was used. */
static void warm_up(void)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		pfn_t held[FRAMES_MAX];
		unsigned n = 0;

		while (!pfn_is_none(held[n] = page_alloc_block(&pa, order, PAGE_ANY)))
			if (++n == FRAMES_MAX)
				break;
		for (unsigned i = 0; i < n; i++)
			page_free_block(&pa, held[i], order);
	}
	page_cpu_drain(&pa, 0);
}

/* Not all of them when less is wanted. */
static size_t states_max(void)
{
	return host_amount(ALL_STATES + 1);
}

static void search(unsigned count, const uint8_t *limits)
{
	const struct region ram[] = {{pfn(FIRST), count, REGION_USABLE}};
	size_t max = states_max();
	struct memory start;

	frames = count;
	host_pages_init(&pa, ram, 1);
	host_misuse_reset();
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++)
		pa.cache_limit[k] = k < ORDERS ? limits[k] : 0;
	superblock = &pa.superblocks[0];
	block = block_info(superblock, frame_block(FIRST));
	bitmap = block_bits(superblock, frame_block(FIRST));
	zone = &pa.zones[superblock->zone];
	cache = pa.caches[0];
	warm_up();

	if (!arena)
		arena = malloc(ARENA_SIZE);
	memset(hashes, 0, sizeof hashes);
	memset(states, 0, sizeof states);
	state_count = arena_used = 0;
	steps = refusals = 0;
	look(&start);
	memcpy(first, &start, sizeof first);
	keep(&start);
	for (size_t state = 0; state < state_count && state < max; state++)
		expand(state);
	printf("exhaust_page: %u frames, caches of %u %u %u %u %u blocks: %zu states, "
	       "%llu steps, %llu wrong frees refused\n",
	       count, limits[0], limits[1], limits[2], limits[3], limits[4], state_count,
	       (unsigned long long)steps, (unsigned long long)refusals);
}

static void every_state_of_16_frames(void **state)
{
	static const uint8_t closed[ORDERS];

	(void)state;
	search(16, closed);
	if (states_max() > ALL_STATES)
		assert_int_equal(state_count, ALL_STATES);
}

static void every_state_of_8_frames_with_caches(void **state)
{
	static const uint8_t limits[][ORDERS] = {{1}, {0, 1}, {1, 1, 1}, {2, 1}};

	(void)state;
	for (size_t i = 0; i < array_len(limits); i++) {
		search(8, limits[i]);
		assert_true(state_count > 677);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_of_16_frames),
		cmocka_unit_test(every_state_of_8_frames_with_caches),
	};

	return cmocka_run_group_tests_name("exhaust_page", tests, NULL, NULL);
}
