/* SPDX-License-Identifier: MIT */
/* Everything the kernel knows of one address, gathered and shown (cmd_peek.c). */
#ifndef QUIRE_SHELL_ABOUT_H
#define QUIRE_SHELL_ABOUT_H

#include <quire/arch.h>
#include <quire/kmalloc.h>
#include <quire/page.h>

struct address_about {
	uint64_t address; /* virtual */
	struct arch_mapping mapping;
	bool has_frame; /* the fields below are valid */
	pfn_t frame;
	struct page_about page;
	struct kheap_about heap;
	const struct region *region; /* NULL: in no firmware range */
};

/* `address`: kernel virtual, or physical when it is below the direct map's length. Reads nothing there. */
void address_look(uint64_t address, struct address_about *out);

/* Is this pointer inside the direct map window? */
bool address_in_direct_map(const void *pointer);

/* The address on a line of its own and the rest indented below; or one JSON object. */
void address_print(const struct address_about *a, bool as_json);

#endif
