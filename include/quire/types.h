/* SPDX-License-Identifier: MIT */
/*
 * Addresses, page frames and their arithmetic.
 *
 * Physical addresses, virtual addresses and page frame numbers are different
 * quantities that are all 64 bits wide; mixing them up is the classic kernel
 * bug. Here each is a type of its own, so that the compiler refuses the mix.
 * A one-member struct travels in one register: the types cost no instruction.
 */
#ifndef QUIRE_TYPES_H
#define QUIRE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A physical address, in bytes. */
typedef struct {
	uint64_t a;
} paddr_t;

/* A virtual address, in bytes. */
typedef struct {
	uint64_t a;
} vaddr_t;

/* A page frame number: physical address / PAGE_BYTES. */
typedef struct {
	uint64_t n;
} pfn_t;

#define PAGE_SHIFT 12
#define PAGE_BYTES ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_BYTES - 1)

/* A pageblock is the unit of the bitmap layer: 512 frames, 2 MiB. */
#define PAGEBLOCK_SHIFT 9
#define PAGEBLOCK_PAGES ((uint64_t)1 << PAGEBLOCK_SHIFT)

/* A superblock is 512 pageblocks: 1 GiB, the largest order. */
#define SUPERBLOCK_SHIFT 18
#define SUPERBLOCK_PAGES ((uint64_t)1 << SUPERBLOCK_SHIFT)

/* "No frame": what an allocator returns when there is none. */
#define PFN_NONE ((pfn_t){~(uint64_t)0})

/* The widest physical address any x86-64 or AArch64 CPU has (Intel SDM 3A section 4.1.4). */
#define PADDR_BITS_MAX 52
#define PFN_LIMIT      ((uint64_t)1 << (PADDR_BITS_MAX - PAGE_SHIFT))

static inline pfn_t pfn(uint64_t n)
{
	return (pfn_t){n};
}

static inline bool pfn_is_none(pfn_t f)
{
	return f.n == ~(uint64_t)0;
}

static inline pfn_t pfn_add(pfn_t f, uint64_t pages)
{
	return (pfn_t){f.n + pages};
}

static inline paddr_t paddr(uint64_t a)
{
	return (paddr_t){a};
}

static inline pfn_t paddr_to_pfn(paddr_t p)
{
	return (pfn_t){p.a >> PAGE_SHIFT};
}

static inline paddr_t pfn_to_paddr(pfn_t f)
{
	return (paddr_t){f.n << PAGE_SHIFT};
}

static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
	return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
	return value & ~(power_of_two - 1);
}

static inline uint64_t bytes_to_pages(uint64_t bytes)
{
	return (bytes >> PAGE_SHIFT) + ((bytes & PAGE_MASK) != 0);
}

#endif
