/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any bytes are a firmware map, 6 or 17 bytes an entry. What comes
 * out is checked against the frame by frame oracle at every frame where
 * anything could change, and then planned.
 *
 *   byte 0     bit 0: entries are raw (8 bytes base, 8 pages, 1 kind)
 *              else:  compact (4 bytes base in 256ths of a page, 1 pages, 1 kind)
 */
#include "must.h"
#include "region_oracle.h"
#include <errno.h>
#include <quire/desc_plan.h>
#include <string.h>

#define ENTRIES_MAX 64

static size_t decode(const uint8_t *data, size_t size, struct region_input *in)
{
	bool raw = size > 0 && (data[0] & 1);
	size_t step = raw ? 17 : 6, count = 0;

	for (size_t at = 1; at + step <= size && count < ENTRIES_MAX; at += step, count++) {
		const uint8_t *d = data + at;
		struct region_input *e = &in[count];

		if (raw) {
			memcpy(&e->base, d, 8);
			memcpy(&e->pages, d + 8, 8);
		} else {
			uint32_t base;

			memcpy(&base, d, 4);
			e->base = (uint64_t)(base & 0xfffff) << 4; /* the first 16 MiB */
			e->pages = d[4];
		}
		e->kind = (enum region_kind)(d[step - 1] % REGION_KINDS);
	}
	return count;
}

/* Kinds change only where an entry begins or ends, give or take a page. */
ORACLE_FN void compare(const struct region_input *in, size_t count, const struct region *out,
		       size_t out_count)
{
	for (size_t i = 0; i < 2 * count; i++) {
		const struct region_input *e = &in[i / 2];
		uint64_t edge = i % 2 ? e->base / 4096 + e->pages : e->base / 4096;

		for (uint64_t frame = edge < 2 ? 0 : edge - 2, n = 0; n < 5; frame++, n++) {
			const struct region *r = region_find(out, out_count, pfn(frame));

			must((r ? (int)r->kind : ORACLE_NOTHING) == oracle_kind(in, count, frame),
			     "not what the oracle says");
		}
	}
}

static void plan(const struct region *regions, size_t count)
{
	struct desc_cursor cursor = {0};
	struct desc_plan p;
	struct desc_block run;
	uint64_t blocks = 0, pages = 0, next = 0;
	int status = desc_plan_make(regions, count, &p);

	must(status == 0 || status == -ENOENT || status == -ENOSPC, "an unknown error");
	must(boot_pool_pages(regions, count, count) > 0, "no boot pool");
	if (status == -ENOENT)
		return;
	while (desc_plan_walk(regions, count, &p, &cursor, &run)) {
		must(run.run > 0 && run.pages > 0 && run.pages <= 512, "an empty run");
		must(run.block >= next, "runs not in order");
		next = run.block + run.run;
		blocks += run.run;
		pages += run.run * run.pages;
	}
	must(blocks == p.pages, "not as many pageblocks as planned");
	must(pages + p.undescribed == p.page_count, "pages lost");
	must(p.pages == 1 || p.pages * 4096 <= 9 * p.page_count, "more than 9 bytes a page");
	for (int i = 0; i < 100 && status == 0; i++) {
		const struct region *r = region_find(regions, count, p.start);

		must(r && r->kind == REGION_USABLE, "the array is not in usable memory");
		must(p.start.n >= 256 && p.start.n + p.pages <= region_end(r),
		     "the array does not fit");
		status = desc_plan_next(regions, count, &p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct region_input in[ENTRIES_MAX], work[ENTRIES_MAX];
	struct region out[2 * ENTRIES_MAX + 1];
	size_t count = decode(data, size, in), out_count;

	memcpy(work, in, sizeof work);
	must(region_build(work, count, out, 2 * count + 1, &out_count) == 0, "no room");
	must(region_check(out, out_count) == NULL, "not in normal form");
	compare(in, count, out, out_count);
	plan(out, out_count);
	return 0;
}
