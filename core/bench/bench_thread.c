/* SPDX-License-Identifier: MIT */
/* Threads: a whole life, and giving the CPU to an equal and getting it back. */
#include "bench.h"
#include <quire/thread.h>

#define LIVES  200u
#define YIELDS 5000u

static uint32_t partner;
static volatile bool partner_stops;

static void nothing(void *argument)
{
	(void)argument;
}

static void round_create(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = LIVES; i; i--) {
		uint32_t id = thread_create("bench", nothing, NULL, NULL);

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

static const char *prepare_yield(const struct bench *b)
{
	const struct thread_options options = {.priority = thread_current()->priority};

	(void)b;
	partner_stops = false;
	partner = thread_create("bench", yield_back, NULL, &options);
	return partner ? NULL : "no memory for a thread";
}

static void finish_yield(void)
{
	partner_stops = true;
	if (partner && thread_join(partner, NULL))
		port_panic("the bench's partner is gone");
	partner = 0;
}

static void round_yield(const struct bench *b, struct bench_round *r)
{
	uint64_t start = port_cycles();

	(void)b;
	for (unsigned i = YIELDS; i; i--)
		thread_yield();
	bench_record(r, 0, port_cycles() - start, YIELDS);
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
		.prepare = prepare_yield,
		.round = round_yield,
		.finish = finish_yield,
	},
	{.name = NULL},
};
