/* SPDX-License-Identifier: MIT */
/* The host side of the tests: pretend RAM, recorded misuse, panics as jumps. */
#ifndef QUIRE_HOST_H
#define QUIRE_HOST_H

#include <quire/page.h>
#include <quire/port.h>
#include <setjmp.h>

/* Reserve address space (not memory) for `bytes` of pretend RAM from physical 0; frees an earlier
 * one. */
void host_ram_init(uint64_t bytes);

/*
 * What a CPU does between these, the stretches with interrupts off among it, port_cpus_sync()
 * of other threads waits for. For tests in which threads play CPUs.
 */
void host_stretch_begin(void);
void host_stretch_end(void);

/* A zeroed, sparsely backed descriptor array for `pfns` frames. */
struct page *host_descs(uint64_t pfns);

/* A page allocator over the given regions, planned and with all usable pages added. */
void host_pages_init(struct page_allocator *pa, const struct region *regions, size_t count);

/* port_guard_range() is to find no memory. */
extern bool host_guard_range_fails;

/* Misuse reports since the last reset. */
extern unsigned host_misuses;
extern struct misuse host_last_misuse;
void host_misuse_reset(void);

/*
 * if (host_expect_panic()) { ... the code that must panic ...; fail(); }
 * returns to the if with false, the message in host_panic_text. An unexpected panic aborts.
 */
extern jmp_buf host_panic_jump;
extern bool host_panic_armed;
extern char host_panic_text[256];
#define host_expect_panic() (host_panic_armed = true, setjmp(host_panic_jump) == 0)

/* xoshiro-quality is not needed; repeatability is. */
static inline uint64_t host_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* The seed for a random test: $QUIRE_SEED, else from the clock; printed, so that a failure repeats.
 */
uint64_t host_seed(const char *test);

/* How much of `usual` a long test should do: a $QUIRE_LESS-th, when that is set (tools/mutate). */
unsigned long host_amount(unsigned long usual);

#endif
