/* SPDX-License-Identifier: MIT */
/*
 * Firmware maps no firmware should write, each with its name, its picture where
 * that helps, and what must become of it. For tests/unit/test_bad_maps.c.
 *
 * A column of a picture is some pages; u usable, c boot services' or loader's,
 * R reserved, t runtime, n NVS, i MMIO. `gives` is how many frames of the map may
 * be handed out, before the loader took its own; the test checks it against the
 * frame by frame oracle, so that both are seen to agree.
 */
#ifndef QUIRE_BAD_MAPS_H
#define QUIRE_BAD_MAPS_H

#include <quire/boot_info.h>
#include <quire/compiler.h>
#include <quire/memmap.h>

struct bad_map {
	const char *name;
	const struct boot_mem_desc *entries;
	size_t count;
	void (*grow)(struct boot_mem_desc *entries,
		     size_t *count); /* adds what is too long to list */
	uint64_t gives;
	const char *sentence; /* why the loader gives up; NULL: it does not */
	const char *check;    /* what memory_check() finds then; NULL: nothing */
	uint32_t stride;      /* 0: 48, as most firmware has it */
	unsigned bits;        /* physical address bits of the CPU, 0: 46 */
	struct boot_range kernel;
	uint64_t undescribed; /* of the frames given, at most so many left out as too sparse */
};

#define E(t, b, p)                                                                                 \
	{                                                                                          \
		.type = (t), .phys = (b), .pages = (p), .attributes = MEMMAP_ATTR_WB               \
	}
#define FREE(b, p) E(MEMMAP_CONVENTIONAL, b, p)
#define BOOT(b, p) E(MEMMAP_BOOT_DATA, b, p)
#define LOAD(b, p) E(MEMMAP_LOADER_CODE, b, p)
#define RSVD(b, p) E(MEMMAP_RESERVED, b, p)
#define RUN(b, p)  E(MEMMAP_RUNTIME_DATA, b, p)
#define NVS(b, p)  E(MEMMAP_ACPI_NVS, b, p)
#define MMIO(b, p) E(MEMMAP_MMIO, b, p)

/* Enough to come up in, beside the oddity: 1 MiB to 33 MiB. */
#define RAM       FREE(0x100000, 8192)
#define RAM_PAGES 8192

#define MAP(...)                                                                                   \
	.entries = (const struct boot_mem_desc[]){__VA_ARGS__},                                    \
	.count =                                                                                   \
		sizeof((const struct boot_mem_desc[]){__VA_ARGS__}) / sizeof(struct boot_mem_desc)

#define NO_MEMORY "the firmware's memory map has no usable page"
#define NO_PLACE  "no usable region holds the descriptor array, "

#define NO_POOL "no memory for the boot pool, "

#define PAST_52 ((uint64_t)1 << 52)
#define GIB_MAP ((uint64_t)1 << 30)

/* A tooth every other page. */
static inline void comb(struct boot_mem_desc *entries, size_t *count, uint32_t type, size_t teeth,
			uint64_t base, uint64_t step)
{
	for (size_t i = 0; i < teeth; i++)
		entries[(*count)++] = (struct boot_mem_desc)E(type, base + i * step, 1);
}

static inline void grow_reserved_comb(struct boot_mem_desc *entries, size_t *count)
{
	comb(entries, count, MEMMAP_RESERVED, 4096, 0x101000, 0x2000);
}

static inline void grow_usable_comb(struct boot_mem_desc *entries, size_t *count)
{
	comb(entries, count, MEMMAP_CONVENTIONAL, 5000, 0x10000000, 0x2000);
}

static inline void grow_gib_comb(struct boot_mem_desc *entries, size_t *count)
{
	comb(entries, count, MEMMAP_BOOT_DATA, 4096, GIB_MAP, GIB_MAP);
}

static inline void grow_few_gib_comb(struct boot_mem_desc *entries, size_t *count)
{
	comb(entries, count, MEMMAP_BOOT_DATA, 400, GIB_MAP, GIB_MAP);
}

/* One reserved region of 2 GiB, in which every other entry is RAM: an edge in each 2 MiB. */
static inline void grow_spotted(struct boot_mem_desc *entries, size_t *count)
{
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t base = 0x10000000 + i * 0x100000;

		entries[(*count)++] = (struct boot_mem_desc){.phys = base, .pages = 255};
		entries[(*count)++] = (struct boot_mem_desc)RSVD(base + 255 * PAGE_BYTES, 1);
	}
}

static inline void grow_copies(struct boot_mem_desc *entries, size_t *count)
{
	while (*count < 4500)
		entries[(*count)++] = entries[0];
}

static inline void grow_island_comb(struct boot_mem_desc *entries, size_t *count)
{
	comb(entries, count, MEMMAP_CONVENTIONAL, 2000, 0x400000, 0x400000);
}

/* Each over the rest of all before: 5,000 deep at the end. */
static inline void grow_onion(struct boot_mem_desc *entries, size_t *count)
{
	for (uint64_t i = 0; i < 5000; i++)
		entries[(*count)++] =
			(struct boot_mem_desc)E(i % 2 ? MEMMAP_CONVENTIONAL : MEMMAP_BOOT_CODE,
						0x10000000 + i * PAGE_BYTES, 10000 - 2 * i);
}

/* Sorted the wrong way round. */
static inline void grow_descending(struct boot_mem_desc *entries, size_t *count)
{
	for (uint64_t i = 4200; i-- > 0;)
		entries[(*count)++] = (struct boot_mem_desc)E(
			i % 3 ? MEMMAP_CONVENTIONAL : MEMMAP_RUNTIME_CODE, (1 + i) * 0x100000, 256);
}

/* clang-format off */
static const struct bad_map bad_maps[] = {
	/* ---- overlap ---- */
	{"reserved inside usable", /* uuRRuu */
	 MAP(RAM, RSVD(0x400000, 16)), .gives = RAM_PAGES - 16},
	{"usable inside reserved", /* RRRRRR, and nothing of the u in it */
	 MAP(RAM, RSVD(0x40000000, 1000), FREE(0x40005000, 9)), .gives = RAM_PAGES},
	{"runtime over conventional, at its end", /* uuuutt, tt past it */
	 MAP(RAM, RUN(0x2000000, 512)), .gives = RAM_PAGES - 256},
	{"runtime over conventional, at its start", /* ttuuuu */
	 MAP(RAM, RUN(0xf0000, 32)), .gives = RAM_PAGES - 16},
	{"runtime over all of conventional",
	 MAP(FREE(0x100000, 4096), RUN(0x100000, 4096)), .sentence = NO_MEMORY},
	{"conventional over boot services", /* the page is given either way, and once */
	 MAP(RAM, BOOT(0x300000, 64), FREE(0x310000, 4)), .gives = RAM_PAGES},
	{"conventional twice over the same pages, shifted", /* uuuu--, --uuuu */
	 MAP(FREE(0x100000, 8192), FREE(0x1100000, 8192)), .gives = 4096 + 8192},
	{"duplicate entries", MAP(RAM, RAM, RAM, BOOT(0x4000000, 9), BOOT(0x4000000, 9)),
	 .gives = RAM_PAGES + 9},
	{"the same range under every type",
	 MAP(RAM, E(0, 0x200000, 8), E(1, 0x200000, 8), E(2, 0x200000, 8), E(3, 0x200000, 8),
	     E(4, 0x200000, 8), E(5, 0x200000, 8), E(6, 0x200000, 8), E(7, 0x200000, 8),
	     E(8, 0x200000, 8), E(9, 0x200000, 8), E(10, 0x200000, 8), E(11, 0x200000, 8),
	     E(12, 0x200000, 8), E(13, 0x200000, 8), E(14, 0x200000, 8), E(15, 0x200000, 8)),
	 .gives = RAM_PAGES - 8},
	{"three deep", /* uuccRRccuu */
	 MAP(RAM, BOOT(0x400000, 100), NVS(0x410000, 10)), .gives = RAM_PAGES - 10},
	{"one byte of NVS in a page of conventional", /* the page is not free */
	 MAP(RAM, E(MEMMAP_ACPI_NVS, 0x400fff, 1)), .gives = RAM_PAGES - 2},
	{"everything reserved, from 0 to the end", MAP(RAM, RSVD(0, (uint64_t)1 << 40)),
	 .sentence = NO_MEMORY},
	{"MMIO over the middle of RAM", /* uuiiuu: a graphics card's window */
	 MAP(FREE(0x100000, 0x40000), MMIO(0x10000000, 0x8000)), .gives = 0x38000},

	/* ---- empty, and wrapping ---- */
	{"zero pages", MAP(RAM, RSVD(0x400000, 0), FREE(0x800000, 0), RUN(0, 0)), .gives = RAM_PAGES},
	{"zero pages, unaligned", MAP(RAM, RSVD(0x400800, 0), BOOT(0x900001, 0)), .gives = RAM_PAGES},
	{"nothing but zero pages", MAP(FREE(0x100000, 0), FREE(0x200000, 0)), .sentence = NO_MEMORY},
	{"reserved wraps at 2^64", /* nonsense as a whole, not a reason to reserve page 0 */
	 MAP(RAM, RSVD(0xfffffffffffff000, 300)), .gives = RAM_PAGES},
	{"usable wraps at 2^64, down into RAM", MAP(RAM, FREE(0xffffffffffff0000, 0x10000)),
	 .gives = RAM_PAGES},
	{"ends at 2^64 exactly", MAP(RAM, MMIO(0xfffffffffff00000, 256)), .gives = RAM_PAGES},
	{"bytes wrap to four pages", MAP(RAM, RSVD(0x400000, PAST_52 + 4), FREE(0, PAST_52 + 1)),
	 .gives = RAM_PAGES},
	{"2^64 - 1 pages", MAP(RAM, RUN(0x1000, ~(uint64_t)0), FREE(0x1000, ~(uint64_t)0)),
	 .gives = RAM_PAGES},

	/* ---- addresses nothing has ---- */
	{"usable at 2^52", MAP(RAM, FREE(PAST_52, 16)), .gives = RAM_PAGES},
	{"usable across 2^52", MAP(RAM, FREE(PAST_52 - 0x1000, 2)), .gives = RAM_PAGES},
	{"boot services from low memory past 2^52: garbage, also as RAM to be mapped",
	 MAP(RAM, BOOT(0x3000000, (uint64_t)1 << 41), FREE(GIB_MAP * 2000, 10)),
	 .gives = RAM_PAGES + 10},
	{"reserved across 2^52", MAP(RAM, RSVD(PAST_52 - 0x1000, 2)), .gives = RAM_PAGES},
	{"runtime at 2^63", MAP(RAM, RUN((uint64_t)1 << 63, 16)), .gives = RAM_PAGES},
	{"RAM just below 2^52, no direct map reaches it", MAP(RAM, FREE(PAST_52 - 0x400000, 1024)),
	 .gives = RAM_PAGES, .bits = 52},
	{"RAM above the CPU's physical bits", /* 36 bits: 64 GiB */
	 MAP(RAM, FREE(63 * GIB_MAP, 0x80000)), .gives = RAM_PAGES + 0x40000, .bits = 36},
	{"all RAM but a little above the CPU's physical bits",
	 MAP(RAM, FREE(GIB_MAP << 6, 0x40000), BOOT((GIB_MAP << 6) + GIB_MAP, 0x8000)),
	 .gives = RAM_PAGES, .bits = 36},

	/* ---- unaligned ---- */
	{"usable, unaligned base", MAP(RAM, FREE(0x8000800, 10)), .gives = RAM_PAGES + 9},
	{"usable, one page, one byte off", MAP(RAM, FREE(0x8000001, 1)), .gives = RAM_PAGES},
	{"boot services, unaligned base: the halves are somebody's",
	 MAP(RAM, BOOT(0x8000800, 10)), .gives = RAM_PAGES + 9},
	{"two halves of a page, usable and boot services'",
	 MAP(RAM, FREE(0x8000800, 4), BOOT(0x8004800, 4)), .gives = RAM_PAGES + 3 + 3},
	{"boot services' half page over usable", MAP(RAM, BOOT(0x400800, 1)), .gives = RAM_PAGES - 2},
	{"reserved, unaligned, over usable", MAP(RAM, RSVD(0x400fff, 1)), .gives = RAM_PAGES - 2},

	/* ---- order and number ---- */
	{"unsorted",
	 MAP(FREE(0x8000000, 9), MMIO(0xfec00000, 1), RAM, RUN(0x5000000, 4), BOOT(0x4000000, 6)),
	 .gives = RAM_PAGES + 15, .undescribed = 6},
	{"4,200 entries, descending", MAP(RAM), .grow = grow_descending,
	 .sentence = NO_PLACE "1575 pages"}, /* no piece is larger than 2 MiB */
	{"4,097 entries: a reserved page in each second one of RAM", MAP(RAM),
	 .grow = grow_reserved_comb, .sentence = NO_PLACE "9 pages"},
	{"5,001 entries: single usable pages", MAP(FREE(0x100000, 16384)), .grow = grow_usable_comb,
	 .gives = 16384 + 5000, .undescribed = 2184},
	{"5,001 entries, one inside the other", MAP(RAM), .grow = grow_onion,
	 .gives = RAM_PAGES + 10000},
	{"4,500 times the same", MAP(RAM), .grow = grow_copies, .gives = RAM_PAGES},
	{"400 single pages, one a GiB", MAP(RAM), .grow = grow_few_gib_comb,
	 .gives = RAM_PAGES + 400, .undescribed = 399},
	{"4,096 single pages, one a GiB: books of 4 TiB do not fit into 32 MiB", MAP(RAM),
	 .grow = grow_gib_comb, .sentence = NO_POOL},
	{"RAM in spots of one reserved region, below the RAM in use",
	 MAP(RAM, FREE(0x100000000, 0x10000)), .grow = grow_spotted, .gives = RAM_PAGES + 0x10000},
	{"one entry", MAP(RAM), .gives = RAM_PAGES},

	/* ---- types ---- */
	{"types nobody knows", /* of UEFI's future, an OEM's, an OS's */
	 MAP(RAM, E(16, 0x400000, 4), E(0x70000000, 0x500000, 4), E(0xffffffff, 0x600000, 4)),
	 .gives = RAM_PAGES - 12},
	{"all RAM of a type nobody knows", MAP(E(0x80000001, 0x100000, 8192)), .sentence = NO_MEMORY},
	{"unaccepted and persistent beside usable",
	 MAP(RAM, E(MEMMAP_UNACCEPTED, 0x8000000, 512), E(MEMMAP_PERSISTENT, 0x9000000, 512)),
	 .gives = RAM_PAGES},

	/* ---- too little ---- */
	{"no usable RAM", MAP(RSVD(0x100000, 8192), BOOT(0x4000000, 8192)), .sentence = NO_MEMORY},
	{"no entry at all", .entries = NULL,
	 .sentence = "the firmware does not tell the size of its memory map"},
	{"usable is page 0 alone", MAP(FREE(0, 1)), .sentence = NO_MEMORY},
	{"usable below 1 MiB only", MAP(FREE(0x1000, 158)), .sentence = NO_PLACE "1 pages"},
	{"only tiny islands", MAP(FREE(0x100000, 3)), .grow = grow_island_comb,
	 .sentence = NO_PLACE "4 pages"},
	{"the array fits nowhere",
	 MAP(FREE(0x100000, 1023), BOOT(0x100000000, 0x100000)), .sentence = NO_PLACE "2051 pages"},
	{"the array fits, the boot pool does not",
	 MAP(FREE(0x100000, 64)), .sentence = NO_POOL},
	{"page 0 usable", MAP(RAM, FREE(0, 160)), .gives = RAM_PAGES + 159},

	/* ---- how the firmware delivers it ---- */
	{"stride 40", MAP(RAM, RSVD(0x400000, 4)), .gives = RAM_PAGES - 4, .stride = 40},
	{"stride 56", MAP(RAM, RSVD(0x400000, 4)), .gives = RAM_PAGES - 4, .stride = 56},
	{"stride 4096", MAP(RAM, RSVD(0x400000, 4)), .gives = RAM_PAGES - 4, .stride = 4096},
	{"stride 39", MAP(RAM), .stride = 39,
	 .sentence = "the firmware's memory map has entries of 39 bytes, too short to be descriptors"},
	{"stride 1", MAP(RAM), .stride = 1,
	 .sentence = "the firmware's memory map has entries of 1 bytes, too short to be descriptors"},

	/* ---- what the loader left ---- */
	{"the kernel's image outside RAM", MAP(RAM), .gives = RAM_PAGES,
	 .kernel = {0x80000000, 64}, .check = "RAM is not free + used + kernel + metadata + firmware"},
	{"NVS that an MMIO window covers: not to be mapped as RAM",
	 MAP(RAM, FREE(0x20000000000, 64), NVS(0x1000000000, 0x10000000),
	     MMIO(0x1000000000, 0x10000000)),
	 .gives = RAM_PAGES + 64},
	{"the kernel's image in reserved memory", MAP(RAM, RSVD(0x8000000, 512)), .gives = RAM_PAGES,
	 .kernel = {0x8000000, 64}},
	{"the kernel's image over runtime services", /* kept, whoever's it is */
	 MAP(RAM, RUN(0x1000000, 16)), .gives = RAM_PAGES - 16, .kernel = {0x1008000, 16}},
};
/* clang-format on */

#endif
