/* SPDX-License-Identifier: MIT */
/*
 * Measuring the kernel's own operations where they run: interrupts on, every
 * check on, the real allocators and scheduler.
 *
 * A bench is prepared once, run for some rounds and finished. Each round fills
 * in one figure for each of its parts (alloc, free, ...): a sum and what it is
 * divided by, mostly counter ticks and operations. Under QEMU's icount with
 * shift=0 a tick is an instruction; bench_calibrate() says how many it is here.
 */
#ifndef QUIRE_BENCH_H
#define QUIRE_BENCH_H

#include <quire/compiler.h>
#include <quire/port.h>
#include <quire/types.h>

#define BENCH_PARTS_MAX  3
#define BENCH_ROUNDS_MAX 15

/* One round's figures. A part nothing was divided by has failed. */
struct bench_round {
	uint64_t sum[BENCH_PARTS_MAX];
	uint64_t operations[BENCH_PARTS_MAX];
};

struct bench {
	const char *name;         /* NULL ends a list */
	const char *what;         /* one line; what an operation is */
	const char *unit;         /* NULL: counter ticks an operation */
	const char *const *parts; /* NULL-terminated suffixes, or NULL: one part */
	unsigned parameter;       /* an order, a size, a share: its own business */
	unsigned rounds;          /* 0: BENCH_ROUNDS */
	bool slow;                /* only when asked for all, or by name */
	uint64_t needs_pages;     /* that must be free */
	const char *(*prepare)(
		const struct bench *); /* NULL, or why it cannot run here: static text */
	void (*round)(const struct bench *, struct bench_round *);
	void (*finish)(void); /* after prepare(), even when that failed; may be NULL */
};

#define BENCH_ROUNDS 7

extern const struct bench bench_page[], bench_page_many[], bench_kmalloc[], bench_kmalloc_many[],
	bench_thread[], bench_recovery[];

/* The i-th bench; NULL past the end. */
const struct bench *bench_at(size_t i);

/* One row of the table. Figures are in thousandths. */
struct bench_result {
	const struct bench *bench;
	const char *part;    /* NULL: the only one */
	const char *skipped; /* why there are no figures, or NULL */
	unsigned rounds;
	uint64_t least, median, most;
};

/* Run one bench; `quick` takes 3 rounds. Returns its rows, 0 when interrupted. Context: threads. */
must_check size_t bench_run(const struct bench *bench, bool quick,
			    struct bench_result rows[static BENCH_PARTS_MAX]);

/* Thousandths of a tick an instruction takes, least of several tries with a known loop. */
uint64_t bench_calibrate(void);

/* ---- for the benches ---- */

/*
 * Between two lumps of work that takes long: shows that it goes on. True when it is to be given
 * up: return from round() at once.
 */
must_check bool bench_progress(uint64_t done, uint64_t of);
/* Show progress at all? Off for --json. */
extern bool bench_shows_progress;

static inline void bench_record(struct bench_round *r, unsigned part, uint64_t sum,
				uint64_t operations)
{
	r->sum[part] = sum;
	r->operations[part] = operations;
}

/* Cheap, repeatable, good enough: splitmix64. */
static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	return z ^ (z >> 27);
}

/* A number below `limit`, without dividing. */
static inline uint32_t bench_random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((bench_random(state) >> 32) * limit >> 32);
}

#endif
