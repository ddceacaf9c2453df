/* SPDX-License-Identifier: MIT */
/*
 * A million random firmware maps, most of them malformed, each through all of
 * the chain (tests/host/map_chain.h): planned, handed over, brought up by
 * core/memory.c, every page allocated, freed, and the books checked.
 *
 * A map is some memory that may make sense, and entries that do not: put over
 * each other, unaligned, empty, wrapping, of unknown types, beyond what a CPU
 * reaches, copied, shuffled. Shrinking is by the seed alone: a failure prints
 * the map as `memplan` reads it.
 *
 *   QUIRE_MAPS=n    so many maps instead
 */
#include "../host/map_chain.h"
#include "cm.h"
#include "host.h"
#include <quire/memmap.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPS        1000000
#define ENTRIES_MAX 40

static uint64_t random_state;
static struct boot_mem_desc entries[ENTRIES_MAX];
static struct chain_machine machine = {.entries = entries};

static uint64_t below(uint64_t limit)
{
	return host_random(&random_state) % limit;
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

static uint32_t random_type(void)
{
	if (one_in(3))
		return MEMMAP_CONVENTIONAL;
	if (one_in(3))
		return (uint32_t)(MEMMAP_LOADER_CODE + below(4));
	return one_in(16) ? (uint32_t)host_random(&random_state) : (uint32_t)below(MEMMAP_TYPES);
}

/* Addresses that matter: small, near a power of two, at an edge of an entry, anywhere. */
static uint64_t random_base(void)
{
	const struct boot_mem_desc *e = &entries[below(machine.count ? machine.count : 1)];
	uint64_t near = (uint64_t)1 << (12 + below(52));

	switch (below(8)) {
	case 0:
		return near + (below(9) - 4) * PAGE_BYTES;
	case 1:
		return host_random(&random_state) >> below(60);
	case 2:
		return e->phys + e->pages * PAGE_BYTES + (below(5) - 2) * PAGE_BYTES;
	case 3:
		return e->phys + (below(9) - 4) * PAGE_BYTES;
	default:
		return below(4096) * PAGE_BYTES;
	}
}

static uint64_t random_pages(void)
{
	switch (below(16)) {
	case 0:
		return 0;
	case 1:
		return host_random(&random_state) >> below(64);
	case 2:
		return below(3000);
	default:
		return 1 + below(40);
	}
}

static void add(uint32_t type, uint64_t base, uint64_t pages)
{
	/* All that is given will be allocated: mostly little. What reaches out of the world may stay. */
	if (memmap_kind(type) <= REGION_RECLAIMABLE && pages > 4096 &&
	    pages <= PFN_LIMIT - (base >> PAGE_SHIFT) % PFN_LIMIT)
		pages %= one_in(64) ? 1 << 20 : 4096;
	entries[machine.count++] = (struct boot_mem_desc){
		.type = type,
		.phys = base,
		.pages = pages,
		.attributes = one_in(2) ? MEMMAP_ATTR_WB : host_random(&random_state),
	};
}

static void random_map(void)
{
	uint64_t strange = below(ENTRIES_MAX - 6);

	machine.count = 0;
	machine.stride = 40 + 8 * (uint32_t)below(4);
	machine.physical_bits = one_in(4) ? 32 + (unsigned)below(21) : 46;
	machine.kernel = (struct boot_range){0};
	/* Most have enough for the kernel to come up in. */
	if (!one_in(16))
		add(MEMMAP_CONVENTIONAL, 0x100000 + below(64) * PAGE_BYTES, 500 + below(3000));
	for (uint64_t i = below(4); i > 0; i--)
		add(random_type(), below(1 << 14) * PAGE_BYTES, 1 + below(600));
	while (strange-- > 0 && !one_in(12)) {
		if (machine.count && one_in(10)) {
			entries[machine.count] = entries[below(machine.count)];
			machine.count++;
			continue;
		}
		add(random_type(), random_base() + (one_in(6) ? below(PAGE_BYTES) : 0),
		    random_pages());
	}
	for (size_t i = machine.count; i > 1; i--) {
		struct boot_mem_desc *other = &entries[below(i)], e = *other;

		*other = entries[i - 1];
		entries[i - 1] = e;
	}
}

static void print_map(void)
{
	printf("# %u physical bits, stride %u\n", machine.physical_bits, machine.stride);
	for (size_t i = 0; i < machine.count; i++)
		printf("%s 0x%llx %llu 0x%llx # type %u\n", memmap_type_name(entries[i].type),
		       (unsigned long long)entries[i].phys, (unsigned long long)entries[i].pages,
		       (unsigned long long)entries[i].attributes, entries[i].type);
}

static void test_random_maps(void **state)
{
	const char *wanted = getenv("QUIRE_MAPS"), *wrong;
	unsigned long maps = wanted ? strtoul(wanted, NULL, 0) : MAPS;
	unsigned long long ends[4] = {0}, frames = 0;

	(void)state;
	random_state = host_seed("model_bad_maps");
	for (unsigned long i = 0; i < maps; i++) {
		struct chain_result result;

		random_map();
		machine.recount = i % 8 == 0;
		wrong = chain_run(&machine, &result);
		if (wrong) {
			print_map();
			fail_msg("map %lu: %s", i, wrong);
		}
		ends[result.end]++;
		frames += result.handed_out;
	}
	printf("model_bad_maps: %lu maps: %llu planned (%llu frames allocated and freed), "
	       "%llu without usable memory, %llu without a place for the array, %llu for the "
	       "pool\n",
	       maps, ends[CHAIN_PLANNED], frames, ends[CHAIN_NO_MEMORY], ends[CHAIN_NO_PLACE],
	       ends[CHAIN_NO_POOL]);
	assert_true(ends[CHAIN_PLANNED] > maps / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_maps)};

	return cmocka_run_group_tests_name("model_bad_maps", tests, NULL, NULL);
}
