/* SPDX-License-Identifier: MIT */
/*
 * Blocks with more than one owner, and blocks that became slabs.
 *
 *   references(block) = owners that hold it; the last one to let go frees it
 *
 * Counting is a compare-and-swap on the descriptor, without the lock: whoever
 * holds a reference keeps the descriptor a HEAD. Turning a block into a slab
 * and back writes many descriptors and happens under pa->lock.
 */
#include "page_internal.h"
#include <quire/assert.h>

/* Report that `head` is not a block one could share. Returns when the report does. */
static void refuse(struct page_allocator *pa, pfn_t head, const char *what, uintptr_t caller)
{
	struct misuse misuse;
	port_irq_t irq = spin_lock(&pa->lock);

	page_diagnose(pa, head.n, PAGE_HEAD, caller, &misuse);
	spin_unlock(&pa->lock, irq);
	misuse.what = what;
	port_misuse(&misuse);
}

void page_get(struct page_allocator *pa, pfn_t head)
{
	uint64_t *word = head.n < pa->pfn_limit ? &pa->descs[head.n].word : NULL;
	uint64_t seen = word ? __atomic_load_n(word, __ATOMIC_RELAXED) : PAGE_NONE;

	do {
		if ((seen & 7) != PAGE_HEAD) {
			refuse(pa, head, "reference to a page that heads no block",
			       caller_address());
			return;
		}
		if (desc_references(seen) == DESC_REF_MAX)
			return;
	} while (!__atomic_compare_exchange_n(word, &seen, seen + DESC_REF_ONE, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void page_put(struct page_allocator *pa, pfn_t head)
{
	uint64_t *word = head.n < pa->pfn_limit ? &pa->descs[head.n].word : NULL;
	uint64_t seen = word ? __atomic_load_n(word, __ATOMIC_RELAXED) : PAGE_NONE;

	do {
		if ((seen & 7) != PAGE_HEAD) {
			refuse(pa, head, "reference dropped on a page that heads no block",
			       caller_address());
			return;
		}
		if (desc_references(seen) == DESC_REF_MAX)
			return;
		if (desc_references(seen) == 1) {
			/* Nobody else is left who could change it. */
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			page_free_for(pa, head, desc_order(seen), caller_address());
			return;
		}
	} while (!__atomic_compare_exchange_n(word, &seen, seen - DESC_REF_ONE, true,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Give every pageblock of an allocation its descriptors: a large one has only its first opened. */
static void open_blocks(struct page_allocator *pa, uint64_t head, uint64_t pages)
{
	struct superblock *sb = superblock_at(pa, head);

	for (uint64_t n = 0; n < pages; n += PAGEBLOCK_PAGES)
		if (bits_test(sb->fresh, frame_block(head + n)))
			block_open(pa, sb, frame_block(head + n));
}

void page_set_slab(struct page_allocator *pa, pfn_t head, unsigned order, void *slab)
{
	uint64_t pages = (uint64_t)1 << order;
	port_irq_t irq = spin_lock(&pa->lock);

	assert(((uintptr_t)slab & 7) == 0);
	assert((uint32_t)pa->descs[head.n].word == DESC_HEAD_1(order));
	open_blocks(pa, head.n, pages);
	for (uint64_t i = 0; i < pages; i++)
		pa->descs[head.n + i].word = (uintptr_t)slab | PAGE_SLAB;
	spin_unlock(&pa->lock, irq);
}

void page_clear_slab(struct page_allocator *pa, pfn_t head, unsigned order)
{
	uint64_t pages = (uint64_t)1 << order;
	port_irq_t irq = spin_lock(&pa->lock);

	for (uint64_t i = 0; i < pages; i++) {
		assert(page_state(&pa->descs[head.n + i]) == PAGE_SLAB);
		pa->descs[head.n + i].word = PAGE_NONE;
	}
	pa->descs[head.n].word = DESC_HEAD_1(order) | DESC_CALLER(caller_address());
	spin_unlock(&pa->lock, irq);
}
