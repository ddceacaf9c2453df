/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a free, and what is known about any one frame. All of it
 * is worked out from descriptors and bitmaps when asked; the ways in and out
 * of the allocator pay nothing for it.
 *
 * The head of an allocation is found from any of its frames: it is aligned to
 * the next power of two of its length, so only 19 places can hold it.
 *
 * Lock: pa->lock, held by the callers of everything here but page_about().
 */
#include "page_internal.h"

uintptr_t caller_expand(uint64_t word)
{
	uint64_t low = word >> DESC_CALLER_SHIFT;

	/* All text of a program lies within 4 GiB of this function's. */
	return low ? (((uintptr_t)&caller_expand) & ~(uintptr_t)0xffffffff) | low : 0;
}

struct superblock *superblock_find(struct page_allocator *pa, uint64_t frame)
{
	struct superblock *sb = frame < pa->pfn_limit ? superblock_for(pa, frame) : NULL;

	return sb && bits_test(sb->described, frame_block(frame)) ? sb : NULL;
}

/* Described, but its pageblock was never opened, added or taken. */
static bool block_is_pristine(const struct superblock *sb, unsigned block)
{
	return bits_test(sb->fresh, block) && !bits_test(sb->spare, block) &&
	       !bits_test(sb->taken, block);
}

bool frame_is_free(const struct superblock *sb, uint64_t frame)
{
	unsigned block = frame_block(frame);

	if (bits_test(sb->spare, block))
		return true;
	if (bits_test(sb->fresh, block) || bits_test(sb->taken, block))
		return false;
	return bits_test(block_bits(sb, block), (unsigned)(frame % PAGEBLOCK_PAGES));
}

bool page_find_head(const struct page_allocator *pa, uint64_t frame, uint64_t *head)
{
	for (unsigned k = 0; k <= PAGE_ORDER_MAX; k++) {
		uint64_t at = align_down(frame, (uint64_t)1 << k);

		if (frame - at < desc_pages(pa->descs[at].word)) {
			*head = at;
			return true;
		}
	}
	return false;
}

/*
 * In the cache of a CPU: used in the bitmaps, and nobody's. Of another CPU's
 * frame this may be out of date by the time it is known.
 */
static bool frame_is_cached(const struct page_allocator *pa, const struct superblock *sb,
			    uint64_t frame)
{
	uint64_t head;

	return !block_is_pristine(sb, frame_block(frame)) && !frame_is_free(sb, frame) &&
	       page_state(&pa->descs[frame]) == PAGE_NONE && !page_find_head(pa, frame, &head);
}

/* What a descriptor word says its block is, for people; NULL when it heads none. */
static const char *word_name(uint64_t word)
{
	static const char *const orders[PAGE_ORDER_MAX + 1] = {
		"order 0",  "order 1",  "order 2",  "order 3",  "order 4",  "order 5",  "order 6",
		"order 7",  "order 8",  "order 9",  "order 10", "order 11", "order 12", "order 13",
		"order 14", "order 15", "order 16", "order 17", "order 18",
	};

	switch (word & 7) {
	case PAGE_HEAD:
		return desc_order(word) <= PAGE_ORDER_MAX ? orders[desc_order(word)] : NULL;
	case PAGE_RUN:
		return (word & 15) == (PAGE_RUN | PAGE_OBJECT) ? "kmalloc object" : "run";
	case PAGE_SLAB:
		return "slab";
	default:
		return NULL;
	}
}

static const char *wrong_with_head(uint64_t word, uint64_t expected)
{
	if ((expected & 7) == PAGE_RUN)
		return "block of pages freed as a run";
	if (desc_order(word) != desc_order(expected) || (expected & 7) != PAGE_HEAD)
		return "page free with the wrong order";
	return "free of a shared page";
}

static const char *wrong_with_none(const struct page_allocator *pa, const struct superblock *sb,
				   uint64_t frame)
{
	uint64_t head;

	if (block_is_pristine(sb, frame_block(frame)))
		return "free of a reserved page";
	if (!frame_is_free(sb, frame) && page_find_head(pa, frame, &head))
		return "free of a page inside a block";
	return pa->descs[frame].word ? "double free" : "free of a page that is not allocated";
}

void page_diagnose(struct page_allocator *pa, uint64_t frame, uint64_t expected, uintptr_t caller,
		   struct misuse *out)
{
	const struct superblock *sb = superblock_find(pa, frame);
	uint64_t word, head;

	pa->counters.misuses++;
	*out = (struct misuse){
		.allocator = "page",
		.address = frame << PAGE_SHIFT,
		.caller = caller,
	};
	if (!sb) {
		out->what = "free of a page that is not the allocator's";
		return;
	}
	word = pa->descs[frame].word;
	switch (word & 7) {
	case PAGE_HEAD:
		out->what = wrong_with_head(word, expected);
		break;
	case PAGE_RUN:
		out->what = (word & 15) == (PAGE_RUN | PAGE_OBJECT) ? "object freed as pages"
			    : (expected & 7) == PAGE_RUN ? "run of pages freed as an object"
							 : "run of pages freed as a block";
		break;
	case PAGE_SLAB:
		out->what = "free of a page of a slab";
		break;
	case PAGE_RESERVED:
		out->what = "free of a reserved page";
		return;
	default:
		out->what = wrong_with_none(pa, sb, frame);
		if (frame_is_free(sb, frame) || frame_is_cached(pa, sb, frame))
			out->freed_by = caller_expand(word);
		break;
	}
	if (!frame_is_free(sb, frame) && page_find_head(pa, frame, &head)) {
		word = pa->descs[head].word;
		out->object = head << PAGE_SHIFT;
		out->bytes = desc_pages(word) << PAGE_SHIFT;
		out->cache = word_name(word);
		if (head == frame && (word ^ expected) & (DESC_REF_ONE - 1))
			out->freed_to = word_name(expected);
		if ((word & 7) != PAGE_SLAB)
			out->allocated_by = caller_expand(word);
	}
}

static void about_locked(const struct page_allocator *pa, const struct superblock *sb,
			 uint64_t frame, struct page_about *out)
{
	unsigned block = frame_block(frame);
	uint64_t word = pa->descs[frame].word, head = frame;

	out->described = true;
	out->zone = (enum page_zone)(sb->zone % PAGE_ZONES);
	out->node = sb->zone / PAGE_ZONES;
	out->free = frame_is_free(sb, frame) || frame_is_cached(pa, sb, frame);
	if (bits_test(sb->spare, block))
		out->block_free = PAGEBLOCK_PAGES;
	else if (!bits_test(sb->fresh, block) && !bits_test(sb->taken, block))
		out->block_free = block_info(sb, block)->free;
	if (out->free) {
		out->freed_by = caller_expand(word);
		return;
	}
	if (block_is_pristine(sb, block)) {
		out->state = PAGE_RESERVED;
		return;
	}
	out->state = page_state(&pa->descs[frame]);
	if (!page_find_head(pa, frame, &head))
		return;
	word = pa->descs[head].word;
	out->state = page_state(&pa->descs[head]);
	out->tail = head != frame;
	out->head = pfn(head);
	out->pages = desc_pages(word);
	if (out->state != PAGE_SLAB)
		out->allocated_by = caller_expand(word);
	if (out->state == PAGE_HEAD) {
		out->order = desc_order(word);
		out->references = desc_references(word);
	}
}

void page_about(struct page_allocator *pa, pfn_t frame, struct page_about *out)
{
	const struct superblock *sb;
	port_irq_t irq;

	*out = (struct page_about){.head = frame};
	irq = spin_lock(&pa->lock);
	sb = superblock_find(pa, frame.n);
	if (sb)
		about_locked(pa, sb, frame.n, out);
	spin_unlock(&pa->lock, irq);
}
