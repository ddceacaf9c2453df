/* SPDX-License-Identifier: MIT */
/*
 * Time from one counter that runs at a constant rate:
 *
 *   ns = (cycles - start) * scale / 2^32,   scale = 10^9 * 2^32 / hz
 *
 * Everything here is written during boot on one CPU and constant afterwards,
 * but for the milestones, which only the boot adds. No lock.
 */
#include "time_rate.h"
#include <quire/compiler.h>
#include <quire/port.h>
#include <quire/thread.h>
#include <quire/time.h>

#define MILESTONES_MAX 48
#define NS_PER_SECOND  1000000000ull

/* Below this, scale would not fit; no CPU in long mode is that slow. */
#define HZ_MIN 1000000u

static uint64_t start, rate, scale;
static const char *source = "not calibrated";
static struct {
	const char *name;
	uint64_t cycles;
} milestones[MILESTONES_MAX];
static unsigned milestone_count;

static void set_rate(uint64_t hz)
{
	rate = hz;
	scale = hz >= HZ_MIN ? (NS_PER_SECOND << 32) / hz : 0;
}

void time_start(uint64_t start_cycles, uint64_t hz)
{
	start = start_cycles;
	set_rate(hz);
}

void time_set_rate(uint64_t hz, const char *from)
{
	set_rate(hz);
	source = from;
}

static uint64_t since_start(uint64_t cycles)
{
	uint64_t passed = cycles > start ? cycles - start : 0;

	return (uint64_t)((unsigned __int128)passed * scale >> 32);
}

uint64_t time_ns(void)
{
	return since_start(port_cycles());
}

uint64_t time_ns_at(uint64_t cycles)
{
	return since_start(cycles);
}

uint64_t port_now_ns(void)
{
	return time_ns();
}

uint64_t time_cycles(void)
{
	return port_cycles();
}

uint64_t time_cycles_hz(void)
{
	return rate;
}

const char *time_source(void)
{
	return source;
}

/* Whole seconds apart, so that nothing overflows in 64 bits. */
static uint64_t delay_cycles(uint64_t ns, uint64_t hz)
{
	return ns / NS_PER_SECOND * hz + ns % NS_PER_SECOND * (hz / 1000) / (NS_PER_SECOND / 1000);
}

void time_delay_ns(uint64_t ns)
{
	uint64_t from = port_cycles();
	/* Before calibration assume a fast CPU: waiting too long is safe. */
	uint64_t hz = rate ? rate : 5 * NS_PER_SECOND;
	uint64_t cycles = delay_cycles(ns, hz);

	while (port_cycles() - from < cycles)
		port_relax();
}

void time_mark_at(const char *name, uint64_t cycles)
{
	if (milestone_count == MILESTONES_MAX)
		return;
	milestones[milestone_count].name = name;
	milestones[milestone_count++].cycles = cycles;
}

void time_mark(const char *name)
{
	time_mark_at(name, port_cycles());
}

bool time_milestone_at(unsigned i, struct time_milestone *out)
{
	if (i >= milestone_count)
		return false;
	*out = (struct time_milestone){
		.name = milestones[i].name,
		.cycles = milestones[i].cycles,
		.ns = since_start(milestones[i].cycles),
	};
	return true;
}
