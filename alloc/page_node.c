/* SPDX-License-Identifier: MIT */
/*
 * NUMA: which node a superblock belongs to, and the order in which the CPUs of
 * each node try the zones of all.
 *
 *   node 0's CPUs   0 NORMAL, 0 DMA32, 1 NORMAL, 2 NORMAL    distances 10 20 30
 *   node 1's CPUs   1 NORMAL, 0 NORMAL, 0 DMA32, 2 NORMAL    distances 20 10 20
 *
 * The orders are made once, and hold only zones that have superblocks: a
 * machine with one node tries what it would try without this file. A node's own
 * DMA32 comes before anything farther away, because nearness is what a node is
 * for; LOW, one pageblock, is everybody's last resort (page_block.c).
 *
 * A superblock is never split: it goes whole to the node that has the most of
 * it. Where nodes do not meet at a multiple of 1 GiB, up to half a GiB on each
 * side of the border is thereby called near for the wrong node. That costs a
 * little speed and nothing else.
 *
 * Lock: none in page_init(), when nobody else has the allocator; afterwards only
 * the node of a CPU changes, under pa->lock.
 */
#include "page_internal.h"
#include <quire/assert.h>

/* Who has how much of the frames [first, end), from that range on. */
static unsigned largest_owner(const struct page_nodes *nodes, size_t range, uint64_t first,
			      uint64_t end)
{
	uint64_t share[PAGE_NODES_MAX] = {0};
	unsigned best = 0;

	for (size_t i = range; i < nodes->range_count; i++) {
		const struct page_node_range *r = &nodes->ranges[i];
		uint64_t from = r->start.n > first ? r->start.n : first;
		uint64_t to = r->start.n + r->pages < end ? r->start.n + r->pages : end;

		if (r->start.n >= end)
			break;
		assert(r->node < nodes->count);
		share[r->node] += to - from;
	}
	for (unsigned node = 1; node < nodes->count; node++)
		if (share[node] > share[best])
			best = node;
	return best;
}

unsigned node_of_frames(struct node_cursor *cursor, uint64_t first, uint64_t pages)
{
	const struct page_nodes *nodes = cursor->nodes;

	if (!nodes)
		return 0;
	/* The GiB of pageblock 0 is asked for after it: done with is only what ends below. */
	while (cursor->range < nodes->range_count &&
	       nodes->ranges[cursor->range].start.n + nodes->ranges[cursor->range].pages <= first)
		cursor->range++;
	return largest_owner(nodes, cursor->range, first, first + pages);
}

uint64_t node_like_gibs(const struct node_cursor *cursor, uint64_t first, uint64_t gibs)
{
	const struct page_nodes *nodes = cursor->nodes;
	const struct page_node_range *r;
	uint64_t until, alike;

	if (!nodes || cursor->range == nodes->range_count)
		return gibs;
	/* Inside one range, or before the next one. */
	r = &nodes->ranges[cursor->range];
	until = r->start.n <= first ? r->start.n + r->pages : r->start.n;
	alike = until <= first ? 0 : (until - first) >> SUPERBLOCK_SHIFT;
	if (!alike)
		return 1;
	return alike < gibs ? alike : gibs;
}

void node_add_superblocks(struct node_cursor *cursor, unsigned zone, uint64_t first, uint64_t end)
{
	unsigned node = zone / PAGE_ZONES;

	if (!cursor->extent[node].end)
		cursor->extent[node].first = first;
	cursor->extent[node].end = end;
	cursor->zones |= (uint64_t)1 << zone;
}

/*
 * Is `a` nearer to `from` than `b`? A node is nearest to itself, whatever the
 * firmware says. Between equals the next number decides, so that not everybody
 * falls back to the same one.
 */
static bool is_nearer(const struct page_nodes *nodes, unsigned from, unsigned a, unsigned b)
{
	unsigned to_a = nodes->distance[from][a], to_b = nodes->distance[from][b];

	if (a == from || b == from)
		return a == from;
	if (to_a != to_b)
		return to_a < to_b;
	return (a + nodes->count - from) % nodes->count < (b + nodes->count - from) % nodes->count;
}

/* All nodes, nearest to `from` first. */
static void sort_nodes(const struct page_nodes *nodes, unsigned from, uint8_t *order)
{
	for (unsigned node = 0; node < nodes->count; node++) {
		unsigned at = node;

		for (; at > 0 && is_nearer(nodes, from, node, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)node;
	}
}

/* Its zones are ranked. Nodes may interleave: then a CPU may cache what lies between its own. */
static void set_extent(struct page_allocator *pa, struct page_near *near,
		       const struct node_cursor *cursor)
{
	unsigned node = near->any[0] / (unsigned)PAGE_ZONES;
	uint64_t end = cursor->extent[node].end;

	near->first = cursor->extent[node].first;
	near->end = end < pa->pfn_limit ? end : pa->pfn_limit;
}

static void rank_zones(struct page_near *near, const uint8_t *order, unsigned count,
		       uint64_t exists)
{
	unsigned any = 0, below_4g = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned first = order[i] * (unsigned)PAGE_ZONES;

		if (exists >> (first + PAGE_ZONE_NORMAL) & 1)
			near->any[any++] = (uint8_t)(first + PAGE_ZONE_NORMAL);
		if (exists >> (first + PAGE_ZONE_DMA32) & 1) {
			near->any[any++] = (uint8_t)(first + PAGE_ZONE_DMA32);
			near->below_4g[below_4g++] = (uint8_t)(first + PAGE_ZONE_DMA32);
		}
	}
	near->any[any] = 0;
	near->below_4g[below_4g] = 0;
}

void nodes_rank(struct page_allocator *pa, const struct node_cursor *cursor)
{
	static const struct page_nodes one = {.count = 1};
	const struct page_nodes *nodes = cursor->nodes ? cursor->nodes : &one;
	uint8_t order[PAGE_NODES_MAX];

	assert(nodes->count >= 1 && nodes->count <= PAGE_NODES_MAX);
	pa->nodes = nodes->count;
	for (unsigned node = 0; node < nodes->count; node++) {
		sort_nodes(nodes, node, order);
		rank_zones(&pa->near[node], order, nodes->count, cursor->zones);
		set_extent(pa, &pa->near[node], cursor);
	}
}

void page_set_cpu_node(struct page_allocator *pa, unsigned cpu, unsigned node)
{
	port_irq_t irq;

	assert(cpu < PORT_CPUS_MAX && node < pa->nodes);
	irq = spin_lock(&pa->lock);
	pa->cpu_node[cpu] = (uint8_t)node;
	page_cpu_moved(pa, cpu);
	spin_unlock(&pa->lock, irq);
}
