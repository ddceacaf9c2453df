/* SPDX-License-Identifier: MIT */
/*
 * What the page tables say of an address. Reads the live CR3, so that it
 * serves reports before and after the switch to our own tables. No lock: a
 * report that needs this must not wait for one, and a mapping may change under it.
 */
#include "paging.h"

static bool canonical(uint64_t virt)
{
	return virt >> 47 == 0 || virt >> 47 == 0x1ffff;
}

void arch_lookup(vaddr_t address, struct arch_mapping *out)
{
	uint64_t *table = table_of(read_cr3());
	bool writable = true, executable = true, user = true;

	*out = (struct arch_mapping){0};
	if (!canonical(address.a))
		return;
	for (unsigned level = LEVEL_ROOT;; level--) {
		uint64_t entry = table[level_index(address.a, level)];

		if (!(entry & PTE_PRESENT))
			return;
		writable &= (entry & PTE_WRITE) != 0;
		executable &= (entry & PTE_NX) == 0;
		user &= (entry & PTE_USER) != 0;
		if (level == 0 || (level < LEVEL_ROOT && (entry & PTE_LARGE))) {
			uint64_t within = level_bytes(level) - 1;

			*out = (struct arch_mapping){
				.present = true,
				.writable = writable,
				.executable = executable,
				.user = user,
				.physical = paddr((entry & PTE_ADDRESS & ~within) |
						  (address.a & within)),
				.page_bytes = level_bytes(level),
			};
			return;
		}
		table = table_of(entry);
	}
}

/*
 * Tables hang below other tables; the shared ones of the descriptor window stand side by side in
 * many entries, and looking at the first of such a row is enough.
 */
static bool table_is_below(const uint64_t *table, unsigned level, uint64_t frame)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t entry = table[i], below = entry & PTE_ADDRESS;

		if (!(entry & PTE_PRESENT) || (level < LEVEL_ROOT && (entry & PTE_LARGE)) ||
		    below == last)
			continue;
		last = below;
		if (below == frame ||
		    (level > 1 && table_is_below(table_of(entry), level - 1, frame)))
			return true;
	}
	return false;
}

bool arch_is_page_table(paddr_t frame)
{
	uint64_t root = read_cr3() & PTE_ADDRESS;

	return frame.a == root || table_is_below(table_of(root), LEVEL_ROOT, frame.a);
}
