/* SPDX-License-Identifier: MIT */
/* Threads: a whole life, and giving the CPU to an equal and getting it back. */
#include "bench.h"
#include <quire/thread.h>

#define LIVES  200u
#define YIELDS 5000u

static volatile bool partner_stops;
static uint64_t yield_ticks;

static void nothing(void *argument)
{
	(void)argument;
}

static void round_create(const struct bench *b, struct bench_round *r)
{
	const struct thread_options options = {.cpu_plus_one = port_cpu() + 1};
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = LIVES; i; i--) {
		uint32_t id = thread_create("bench", nothing, NULL, &options);

		if (!id || thread_join(id, NULL))
			return;
	}
	bench_record(r, 0, port_cycles() - start, LIVES);
}

static void yield_back(void *argument)
{
	(void)argument;
	while (!partner_stops)
		thread_yield();
}

/* The first yield lets the partner begin. */
static void yield_timed(void *argument)
{
	uint64_t start;

	(void)argument;
	thread_yield();
	start = port_cycles();
	for (unsigned i = YIELDS; i; i--)
		thread_yield();
	yield_ticks = port_cycles() - start;
	partner_stops = true;
}

/* Both on this CPU, equals, and alone while the shell waits. */
static void round_yield(const struct bench *b, struct bench_round *r)
{
	const struct thread_options options = {
		.priority = THREAD_PRIORITY_SHELL,
		.cpu_plus_one = port_cpu() + 1,
	};
	uint32_t timed, partner;

	(void)b;
	partner_stops = false;
	partner = thread_create("bench", yield_back, NULL, &options);
	timed = partner ? thread_create("bench", yield_timed, NULL, &options) : 0;
	if (!timed)
		partner_stops = true;
	if (partner && thread_join(partner, NULL))
		return;
	if (timed && !thread_join(timed, NULL))
		bench_record(r, 0, yield_ticks, YIELDS);
}

const struct bench bench_thread[] = {
	{
		.name = "thread-life",
		.what = "thread create + run + join",
		.round = round_create,
	},
	{
		.name = "thread-yield",
		.what = "yield to another thread and back",
		.round = round_yield,
	},
	{.name = NULL},
};
