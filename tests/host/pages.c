/* SPDX-License-Identifier: MIT */
/*
 * A page allocator over pretend RAM. The descriptor array is one sparse
 * mapping, so backing a piece of it is nothing to do; what the allocator asked
 * for is kept for the tests to look at. Boot memory comes from anonymous
 * mappings and is given back when the next allocator is made.
 */
#define _GNU_SOURCE
#include "pages.h"
#include <quire/desc_plan.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BOOT_CALLS_MAX 16

struct host_backing host_backing;
int host_boot_alloc_fails_at = -1;

static struct {
	void *memory;
	size_t bytes;
} boot_calls[BOOT_CALLS_MAX];
static unsigned boot_call_count;
static void *descs;
static size_t descs_bytes;

void port_back_descriptors(struct page *descs_of_block, pfn_t frame)
{
	host_backing.calls++;
	host_backing.descs = descs_of_block;
	host_backing.frame = frame;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *host_boot_alloc(size_t bytes)
{
	void *p;

	if (host_boot_alloc_fails_at == (int)boot_call_count || boot_call_count == BOOT_CALLS_MAX)
		return NULL;
	p = map(bytes);
	if (p) {
		boot_calls[boot_call_count].memory = p;
		boot_calls[boot_call_count++].bytes = bytes;
	}
	return p;
}

/* Memory that was never cleared: whoever reads before writing finds this. */
void *host_boot_alloc_raw(size_t bytes)
{
	void *p = host_boot_alloc(bytes);

	/* Beyond that, filling would take longer than the test. */
	if (p && bytes < (size_t)64 << 20)
		memset(p, 0xa5, bytes);
	return p;
}

void host_pages_release(void)
{
	while (boot_call_count) {
		boot_call_count--;
		munmap(boot_calls[boot_call_count].memory, boot_calls[boot_call_count].bytes);
	}
	if (descs)
		munmap(descs, descs_bytes);
	descs = NULL;
	memset(&host_backing, 0, sizeof host_backing);
}

int host_pages_config(struct page_config *config, const struct region *regions, size_t count)
{
	const struct region *last = &regions[count - 1];
	int error;

	host_pages_release();
	*config = (struct page_config){
		.pfn_limit = last->start.n + last->pages,
		.regions = regions,
		.region_count = count,
		.boot_alloc = host_boot_alloc,
		.boot_alloc_raw = host_boot_alloc_raw,
	};
	descs_bytes = align_up(config->pfn_limit, PAGEBLOCK_PAGES) * sizeof(struct page);
	descs = map(descs_bytes);
	if (!descs)
		abort();
	config->descs = descs;
	/* On a host the array needs no place among the regions. */
	error = desc_plan_make(regions, count, &config->plan);
	return error;
}

void host_pages_init(struct page_allocator *pa, const struct region *regions, size_t count)
{
	struct page_config config;

	(void)host_pages_config(&config, regions, count);
	if (page_init(pa, &config))
		abort();
	for (size_t i = 0; i < count; i++)
		if (regions[i].kind == REGION_USABLE)
			page_add(pa, regions[i].start, regions[i].pages);
}
