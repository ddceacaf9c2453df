/* SPDX-License-Identifier: MIT */
/*
 * Single pages, many at a time: what fills and drains caches of pages.
 *
 * Taking empties whole bitmap words, 64 pages each, and settles count, class
 * and lists once a pageblock. Giving back collects neighbours that follow each
 * other into one word first. About ten instructions a page when they do.
 *
 * Lock: pa->lock, dropped every CHUNK pages so that interrupts are not off for long.
 */
#include "page_internal.h"

#define CHUNK 512u

/* `n` frames that follow each other into out[0], out[step], ...; `desc` 0 leaves descriptors alone. */
static inline void take_run(struct page *descs, uint64_t frame, uint64_t desc, pfn_t *out,
			    ptrdiff_t step, size_t n)
{
#pragma clang loop unroll_count(8)
	for (size_t i = 0; i < n; i++) {
		if (desc)
			descs[frame + i].word = desc;
		out[step * (ptrdiff_t)i].n = frame + i;
	}
}

/* Empty one bitmap word (not 0), lowest frame first, at most `room`; returns how many. */
static inline __attribute__((always_inline)) size_t take_word(struct page_allocator *pa,
							      uint64_t *word, uint64_t first_frame,
							      uint64_t desc, pfn_t *out,
							      ptrdiff_t step, size_t room)
{
	uint64_t left = *word;
	size_t n = 0;

	do {
		unsigned at = bits_lowest(left);
		uint64_t zeros = ~(left >> at);
		size_t ones = zeros ? bits_lowest(zeros) : 64;

		if (ones > room - n)
			ones = room - n;
		take_run(pa->descs, first_frame + at, desc, out + step * (ptrdiff_t)n, step, ones);
		left &= ~bits_mask(at, (unsigned)ones);
		n += ones;
	} while (left && n < room);
	*word = left;
	return n;
}

/* Up to `room` pages from the pageblock a single page would come from. */
static inline __attribute__((always_inline)) size_t take_singles(struct page_allocator *pa,
								 unsigned zone, uint64_t desc,
								 pfn_t *out, ptrdiff_t step,
								 size_t room)
{
	struct superblock *sb;
	struct pageblock *info;
	uint64_t *bits, words;
	unsigned block;
	size_t n = 0;

	if (!block_for_single(pa, zone, &sb, &block))
		return 0;
	info = block_info(sb, block);
	bits = block_bits(sb, block);
	words = runs_words(info->runs, 0);
	while (words && n < room) {
		unsigned w = bits_lowest(words) / 8;
		uint64_t value = bits[w];

		n += take_word(pa, &value, block_frame(sb, block) + w * 64u, desc,
			       out + step * (ptrdiff_t)n, step, room - n);
		bits_store(bits, &info->runs, w, value);
		words &= words - 1;
	}
	info->free = (uint16_t)(info->free - n);
	pa->zones[zone].free -= n;
	block_reclass(pa, sb, block);
	return n;
}

size_t page_take_singles(struct page_allocator *pa, unsigned zone, pfn_t *out, size_t room)
{
	size_t n = 0, got;

	do {
		got = take_singles(pa, zone, 0, out + room - 1 - n, -1, room - n);
		n += got;
	} while (got && n < room);
	return n;
}

/* At least one page when there is any, at most `room`. */
static size_t take_some(struct page_allocator *pa, unsigned flags, uint64_t desc, pfn_t *out,
			size_t room)
{
	size_t n = 0;

	if (!(flags & PAGE_BELOW_1M) && likely(!pa->patterned))
		for (const uint8_t *near = zones_near(pa, flags); *near && !n; near++)
			n = take_singles(pa, *near, desc, out, 1, room);
	if (!n) {
		/* Who needs more than there is gets what this CPU has cached as well.
		 * The LOW zone has rules about who gets which half, and pages that hold
		 * the pattern are to be verified: one at a time. */
		out[0].n = page_take(pa, 0, 1, flags);
		if (pfn_is_none(out[0]) && page_cpu_drain_own(pa))
			out[0].n = page_take(pa, 0, 1, flags);
		if (!pfn_is_none(out[0])) {
			pattern_take(pa, out[0].n, 1);
			pa->descs[out[0].n].word = desc;
			n = 1;
		}
	}
	return n;
}

size_t page_alloc_bulk(struct page_allocator *pa, pfn_t *out, size_t count, unsigned flags)
{
	uintptr_t caller = caller_address();
	uint64_t desc = DESC_HEAD_1(0) | DESC_CALLER(caller);
	bool more = true, injected = false;
	size_t done = 0;

	while (done < count && more) {
		size_t chunk_end = count - done > CHUNK ? done + CHUNK : count;
		size_t before = done;
		port_irq_t irq = spin_lock(&pa->lock);

		page_settle(pa);
		if (!done && page_must_fail(pa, caller)) {
			injected = true;
			more = false;
		}
		while (done < chunk_end && more) {
			size_t n = take_some(pa, flags, desc, out + done, chunk_end - done);

			more = n != 0;
			done += n;
		}
		pa->counters.allocs[0] += done - before;
		pa->counters.bulk_pages += done - before;
		pa->counters.failures += !more && !injected;
		page_record(pa, TRACE_BULK_ALLOC, done > before ? out[before].n : PFN_NONE.n,
			    more ? done - before : chunk_end - before, caller, injected);
		page_unlock_and_report(pa, irq, caller);
	}
	for (size_t i = 0; PORT_REDZONE && i < done; i++)
		page_unpoison(out[i], 1);
	for (size_t i = 0; flags & PAGE_ZEROED && i < done; i++)
		page_clear(out[i], 1);
	return done;
}

/* The frames of `mask` in one bitmap word become free. */
static void give_word(struct page_allocator *pa, uint64_t frame, uint64_t mask, size_t count)
{
	struct superblock *sb = superblock_at(pa, frame);
	unsigned block = frame_block(frame), w = (unsigned)(frame / 64 % BITS_WORDS);
	struct pageblock *info = block_info(sb, block);
	uint64_t *bits = block_bits(sb, block), runs = info->runs;

	bits_store(bits, &info->runs, w, bits[w] | mask);
	info->free = (uint16_t)(info->free + count);
	pa->zones[sb->zone].free += count;
	block_reclass_from(pa, sb, block, runs);
}

/* Free frames[0..count) up to the first that is no single allocated page; returns how many. */
static size_t give_singles(struct page_allocator *pa, const pfn_t *frames, size_t count,
			   uint64_t freed)
{
	struct page *descs = pa->descs;
	size_t i = 0;

	while (i < count) {
		uint64_t frame = frames[i].n, word_number = frame / 64, mask = 0;
		size_t first = i;

		if (frame >= pa->pfn_limit)
			break;
		while ((uint32_t)descs[frame].word == DESC_HEAD_1(0)) {
			descs[frame].word = freed;
			if (unlikely(pa->watch))
				pattern_give(pa, frame, 1, (uintptr_t)(freed >> DESC_CALLER_SHIFT));
			page_poison(pfn(frame), 1);
			mask |= (uint64_t)1 << frame % 64;
			if (++i == count)
				break;
			frame = frames[i].n;
			if (frame / 64 != word_number)
				break;
		}
		if (i == first)
			break;
		give_word(pa, frames[first].n, mask, i - first);
	}
	return i;
}

void page_free_bulk(struct page_allocator *pa, const pfn_t *frames, size_t count)
{
	uintptr_t caller = caller_address();
	size_t done = 0;

	while (done < count) {
		size_t chunk = count - done > CHUNK ? CHUNK : count - done;
		struct misuse misuse;
		port_irq_t irq = spin_lock(&pa->lock);
		size_t n = give_singles(pa, frames + done, chunk, PAGE_NONE | DESC_CALLER(caller));
		bool refused = n < chunk;

		pa->counters.frees[0] += n;
		if (n)
			page_record(pa, TRACE_BULK_FREE, frames[done].n, n, caller, false);
		if (refused)
			page_diagnose(pa, frames[done + n].n, DESC_HEAD_1(0), caller, &misuse);
		spin_unlock(&pa->lock, irq);
		if (refused)
			port_misuse(&misuse);
		done += n + refused;
	}
}
