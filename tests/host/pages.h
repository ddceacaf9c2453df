/* SPDX-License-Identifier: MIT */
/* What tests of the page allocator itself want beyond host_pages_init(). */
#ifndef QUIRE_HOST_PAGES_H
#define QUIRE_HOST_PAGES_H

#include "host.h"

/* Calls of port_back_descriptors() since the allocator was made, and the last one's arguments. */
struct host_backing {
	unsigned calls;
	struct page *descs;
	pfn_t frame;
};
extern struct host_backing host_backing;

/* The boot_alloc call (from 0) that returns NULL; -1 for none. */
extern int host_boot_alloc_fails_at;
void *host_boot_alloc(size_t bytes);
void *host_boot_alloc_raw(size_t bytes);

/* Everything page_init() needs for these regions, nothing added yet. What desc_plan_make() says. */
int host_pages_config(struct page_config *config, const struct region *regions, size_t count);

/* Give the host's memory behind the last allocator back. */
void host_pages_release(void);

#endif
