/* SPDX-License-Identifier: MIT */
/* Forgetting translations. One CPU runs, so telling this one is telling all. */
#include "paging.h"

void tlb_flush_page(vaddr_t address)
{
	/* Also drops what the CPU cached of the tables above it. Intel SDM 3A section 4.10.4.1. */
	invlpg(address);
}
