/* SPDX-License-Identifier: MIT */
/* The model's NUMA machine: borders and distances at random, and who is nearest, the long way. */
#ifndef QUIRE_PAGE_NODES_H
#define QUIRE_PAGE_NODES_H

#include "../unit/page_fixture.h"

#define NODES_MAX   3
#define BORDERS_MAX 6

static struct page_nodes nodes;
static struct page_node_range borders[BORDERS_MAX];
static uint8_t node_of_gib[2050]; /* NODES_MAX: not looked up yet */

/* A pageblock at a time: who has most of the frames from `at` to `end`? */
static inline unsigned largest_share(uint64_t at, uint64_t end)
{
	uint64_t share[NODES_MAX] = {0};
	unsigned best = 0;

	for (; at < end; at += 512)
		for (size_t i = 0; i < nodes.range_count; i++)
			if (at >= borders[i].start.n && at < borders[i].start.n + borders[i].pages)
				share[borders[i].node]++;
	for (unsigned node = 1; node < nodes.count; node++)
		if (share[node] > share[best])
			best = node;
	return best;
}

static inline unsigned node_of(uint64_t frame)
{
	uint8_t *known = &node_of_gib[frame / GIB];

	if (frame < 512)
		return largest_share(0, 512);
	if (*known == NODES_MAX)
		*known = (uint8_t)largest_share(align_down(frame, GIB), align_up(frame + 1, GIB));
	return *known;
}

/* Of the nodes in `left`, the one nearest to the CPU's own; removed from the set. */
static inline unsigned nearest(unsigned own, unsigned *left)
{
	unsigned best = own;

	if (!(*left >> own & 1)) {
		best = NODES_MAX;
		for (unsigned i = 1; i < nodes.count; i++) {
			unsigned node = (own + i) % nodes.count;

			if (*left >> node & 1 &&
			    (best == NODES_MAX ||
			     nodes.distance[own][node] < nodes.distance[own][best]))
				best = node;
		}
	}
	*left &= ~(1u << best);
	return best;
}

static inline uint64_t below(uint64_t *seed, uint64_t limit)
{
	return host_random(seed) % limit;
}

/* Borders anywhere, ranges with gaps between them, any distances. */
static inline void make_nodes(uint64_t *seed)
{
	uint64_t at = 0;

	nodes = (struct page_nodes){.count = 1 + (unsigned)below(seed, NODES_MAX),
				    .ranges = borders};
	while (nodes.range_count < BORDERS_MAX) {
		uint64_t pages = 512 * (1 + below(seed, below(seed, 3) ? 512 * 3 : 512 * 300));

		borders[nodes.range_count++] = (struct page_node_range){
			pfn(at), pages, (unsigned)below(seed, nodes.count)};
		at += pages + 512 * (below(seed, 4) ? 0 : below(seed, 512));
	}
	memset(node_of_gib, NODES_MAX, sizeof node_of_gib);
	for (unsigned a = 0; a < NODES_MAX; a++)
		for (unsigned b = 0; b < NODES_MAX; b++)
			nodes.distance[a][b] = (uint8_t)(10 + below(seed, 3));
}

#endif
