/* SPDX-License-Identifier: MIT */
/*
 * Everything that is allocated, frame by frame: for people who look for leaks.
 *
 * Only descriptors are read, pageblock by pageblock, without the lock: what comes or goes meanwhile
 * is seen or not. Pageblocks nobody ever touched and wholly free ones are passed over.
 */
#include "page_internal.h"

static uint64_t walk_block(struct page_allocator *pa, uint64_t frame, uint64_t end,
			   page_visitor visit, void *context)
{
	while (frame < end) {
		struct page_owned owned = {.frame = pfn(frame), .pages = 1};
		uint64_t word = __atomic_load_n(&pa->descs[frame].word, __ATOMIC_RELAXED);

		owned.state = (enum page_state)(word & 7);
		if (owned.state == PAGE_HEAD || owned.state == PAGE_RUN) {
			owned.pages = desc_pages(word);
			owned.is_object = owned.state == PAGE_RUN && (word & PAGE_OBJECT);
			owned.allocated_by = caller_expand(word);
		}
		/* HEAD without owners: marked by page_check(), free. */
		if (owned.state == PAGE_SLAB ||
		    (owned.state == PAGE_HEAD && desc_references(word)) || owned.state == PAGE_RUN)
			visit(context, &owned);
		frame += owned.pages ? owned.pages : 1;
	}
	return frame;
}

void page_walk(struct page_allocator *pa, page_visitor visit, void *context)
{
	for (uint32_t i = 0; i < pa->superblock_count; i++) {
		const struct superblock *sb = &pa->superblocks[i];
		uint64_t next = 0; /* behind the last allocation seen */

		if (superblock_sleeps(pa, i))
			continue;
		for (unsigned block = 0; block < SUPERBLOCK_BLOCKS; block++) {
			uint64_t first = block_frame(sb, block);

			if (!bits_test(sb->described, block) || bits_test(sb->fresh, block) ||
			    bits_test(sb->spare, block))
				continue;
			if (next < first)
				next = first;
			next = walk_block(pa, next, first + PAGEBLOCK_PAGES, visit, context);
		}
	}
}

uintptr_t page_caller(const struct page_allocator *pa, pfn_t head)
{
	return caller_expand(page_desc(pa, head)->word);
}
