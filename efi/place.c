/* SPDX-License-Identifier: MIT */
/*
 * The seed: the page descriptor array finds its place before there is an
 * allocator. Read the map, bring it into normal form, plan, and ask the
 * firmware for exactly that place.
 *
 *   scratch:  | firmware map, with slack | struct region_input * n | struct region * (2n + 1) |
 *
 * Between reading the map and asking for the place nothing else is allocated,
 * so the plan is for the map as it is.
 */
#include "loader.h"
#include <quire/desc_plan.h>
#include <quire/errno.h>
#include <quire/memmap.h>

#define REFUSALS_TOLD 8

struct planning {
	struct firmware_map map;
	struct region_input *inputs;
	struct region *regions;
	size_t region_count;
	struct desc_plan plan;
};

static EFI_STATUS scratch_take(struct loader *l, struct planning *p)
{
	uint64_t capacity, most;
	EFI_STATUS status = map_capacity(l, &capacity);

	if (EFI_ERROR(status))
		return status;
	/* The smallest stride gives the most descriptors. */
	capacity = align_up(capacity, 64);
	most = capacity / sizeof(struct boot_mem_desc);
	status = memory_take(l, MEMORY_SCRATCH,
			     bytes_to_pages(capacity + most * sizeof *p->inputs +
					    (2 * most + 1) * sizeof *p->regions),
			     false);
	if (EFI_ERROR(status))
		return status;
	p->map = (struct firmware_map){.at = memory_at(l, MEMORY_SCRATCH), .capacity = capacity};
	p->inputs = (void *)((char *)p->map.at + capacity);
	p->regions = (void *)(p->inputs + most);
	return EFI_SUCCESS;
}

static EFI_STATUS regions_make(struct loader *l, struct planning *p)
{
	size_t count;
	EFI_STATUS status = map_read(l, &p->map);

	if (status == EFI_INCOMPATIBLE_VERSION)
		return loader_fail(status,
				   "the firmware's memory map has entries of %llu bytes, too short "
				   "to be descriptors",
				   p->map.stride);
	if (EFI_ERROR(status))
		return loader_fail(status, "the firmware does not give its memory map");
	count = p->map.bytes / p->map.stride;
	if (p->map.spoiled)
		say("the memory map as map=%s makes it: %llu entries of %llu bytes", l->config.map,
		    (uint64_t)count, p->map.stride);
	else if (l->config.map[0])
		say("quire.cfg: no map called '%s': the firmware's is used", l->config.map);
	for (size_t i = 0; i < count; i++) {
		const struct boot_mem_desc *d = boot_map_at(p->map.at, (uint32_t)p->map.stride, i);

		p->inputs[i] = (struct region_input){d->phys, d->pages, memmap_kind(d->type)};
	}
	if (region_build(p->inputs, count, p->regions, 2 * count + 1, &p->region_count))
		return loader_fail(EFI_BUFFER_TOO_SMALL, "the memory map has too many regions");
	return EFI_SUCCESS;
}

/* Ask for the plan's place, then for the next, until the firmware agrees. */
static EFI_STATUS array_take(struct loader *l, struct planning *p)
{
	for (;;) {
		uint64_t base = pfn_to_paddr(p->plan.start).a;
		EFI_STATUS status =
			l->info.refused_places < l->config.refuse
				? EFI_NOT_FOUND
				: memory_take_at(l, MEMORY_DESCRIPTORS, base, p->plan.pages);

		if (!EFI_ERROR(status)) {
			say("descriptor array: %llu pages at 0x%llx", p->plan.pages, base);
			return EFI_SUCCESS;
		}
		/* A large machine has thousands of places, and a console is slow. */
		if (l->info.refused_places++ < REFUSALS_TOLD)
			say("the firmware refused 0x%llx for the descriptor array (%s); trying the "
			    "next place",
			    base, status_name(status));
		if (desc_plan_next(p->regions, p->region_count, &p->plan))
			return loader_fail(status,
					   "the firmware refused all %u places for the descriptor "
					   "array, %llu pages",
					   l->info.refused_places, p->plan.pages);
	}
}

EFI_STATUS place_descriptors(struct loader *l)
{
	struct planning p = {.region_count = 0};
	EFI_STATUS status = scratch_take(l, &p);
	int error;

	if (EFI_ERROR(status))
		return status;
	status = regions_make(l, &p);
	if (EFI_ERROR(status))
		return status;
	error = desc_plan_make(p.regions, p.region_count, &p.plan);
	if (error == -ENOENT)
		return loader_fail(EFI_OUT_OF_RESOURCES,
				   "the firmware's memory map has no usable page");
	if (error || loader_pretend(l, "plan"))
		return loader_fail(EFI_OUT_OF_RESOURCES,
				   "no usable region holds the descriptor array, %llu pages",
				   p.plan.pages);
	status = array_take(l, &p);
	if (EFI_ERROR(status))
		return status;
	status = memory_take(l, MEMORY_POOL,
			     boot_pool_pages(p.regions, p.region_count, p.map.bytes / p.map.stride),
			     false);
	memory_give_back(l, MEMORY_SCRATCH);
	return status;
}
