/* SPDX-License-Identifier: MIT */
/*
 * Running a bench: rounds, their spread, the calibration. One bench at a time,
 * on the shell's thread; the state here needs no lock.
 *
 * A first round is not measured: slabs, descriptors and stacks come to life in
 * it (but for the bench that has one costly round). The timer's ticks fall into the rounds as they come; the median is the
 * figure, least and most say how far it can be trusted.
 */
#include "bench.h"
#include <quire/arch.h>
#include <quire/memory.h>
#include <quire/shell.h>

#define CALIBRATION_TURNS 1000000ull
#define CALIBRATION_TRIES 5
#define QUICK_ROUNDS      3
#define THOUSANDTHS       1000

bool bench_shows_progress = true;

static const struct bench *running;
static uint64_t tenths_shown;

static const struct bench *const lists[] = {
	bench_page,         bench_page_many, bench_kmalloc,
	bench_kmalloc_many, bench_thread,    bench_recovery,
};

const struct bench *bench_at(size_t i)
{
	for (size_t l = 0; l < array_len(lists); l++)
		for (const struct bench *b = lists[l]; b->name; b++)
			if (i-- == 0)
				return b;
	return NULL;
}

uint64_t bench_calibrate(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < CALIBRATION_TRIES; i++) {
		uint64_t start = port_cycles(), taken;

		arch_count_down(CALIBRATION_TURNS);
		taken = port_cycles() - start;
		if (taken < best)
			best = taken;
	}
	return best * THOUSANDTHS / (ARCH_COUNT_DOWN_INSTRUCTIONS * CALIBRATION_TURNS);
}

bool bench_progress(uint64_t done, uint64_t of)
{
	uint64_t tenths = of ? done * 10 / of : 10;

	if (bench_shows_progress && tenths != tenths_shown) {
		tenths_shown = tenths;
		shell_printf("\r%s: %llu %%\x1b[K", running->name, (unsigned long long)tenths * 10);
	}
	return shell_interrupted();
}

static void progress_end(void)
{
	if (bench_shows_progress && tenths_shown)
		shell_printf("\r\x1b[K");
	tenths_shown = 0;
}

static void sort(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t v = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > v; at--)
			values[at] = values[at - 1];
		values[at] = v;
	}
}

static size_t part_count(const struct bench *b)
{
	size_t n = 0;

	if (!b->parts)
		return 1;
	while (b->parts[n])
		n++;
	return n;
}

static size_t skip(const struct bench *b, const char *why, struct bench_result *rows)
{
	*rows = (struct bench_result){.bench = b, .skipped = why};
	return 1;
}

/* All rounds; NULL, or why there are no figures. values[part][round]. */
static const char *measure(const struct bench *b, unsigned rounds,
			   uint64_t values[BENCH_PARTS_MAX][BENCH_ROUNDS_MAX])
{
	for (unsigned i = b->rounds == 1 ? 1 : 0; i <= rounds; i++) {
		struct bench_round round = {{0}, {0}};

		if (bench_progress(0, 1))
			return "interrupted";
		b->round(b, &round);
		if (shell_interrupted())
			return "interrupted";
		for (size_t p = 0; p < part_count(b); p++) {
			if (!round.operations[p])
				return "out of memory on the way";
			if (i)
				values[p][i - 1] =
					(round.sum[p] * THOUSANDTHS + round.operations[p] / 2) /
					round.operations[p];
		}
	}
	return NULL;
}

size_t bench_run(const struct bench *b, bool quick,
		 struct bench_result rows[static BENCH_PARTS_MAX])
{
	static uint64_t values[BENCH_PARTS_MAX][BENCH_ROUNDS_MAX];
	unsigned rounds = b->rounds ? b->rounds : quick ? QUICK_ROUNDS : BENCH_ROUNDS;
	const char *problem;

	if (page_free_pages(&kernel_pages) < b->needs_pages)
		return skip(b, "too little free memory", rows);
	running = b;
	problem = b->prepare ? b->prepare(b) : NULL;
	if (!problem)
		problem = measure(b, rounds, values);
	if (b->finish)
		b->finish();
	progress_end();
	if (shell_interrupted())
		return 0;
	if (problem)
		return skip(b, problem, rows);
	for (size_t p = 0; p < part_count(b); p++) {
		sort(values[p], rounds);
		rows[p] = (struct bench_result){
			.bench = b,
			.part = b->parts ? b->parts[p] : NULL,
			.rounds = rounds,
			.least = values[p][0],
			.median = values[p][rounds / 2],
			.most = values[p][rounds - 1],
		};
	}
	return part_count(b);
}
