/* SPDX-License-Identifier: MIT */
/* Time since the kernel's first instruction. Before arch_time_init() it is the raw counter's guess
 * or 0. */
#ifndef QUIRE_TIME_H
#define QUIRE_TIME_H

#include <stdbool.h>
#include <stdint.h>

uint64_t time_ns(void);
uint64_t time_cycles(void);    /* TSC now */
uint64_t time_cycles_hz(void); /* 0 before calibration */
const char *
time_source(void); /* what the rate was calibrated against: "CPUID 15h", "PM timer", ... */
void time_delay_ns(uint64_t ns); /* busy wait */

/* Milestones of the boot, in order, for `time`. The name must be static. */
void time_mark(const char *name);
struct time_milestone {
	const char *name;
	uint64_t cycles; /* absolute TSC */
	uint64_t ns;     /* since the kernel's first instruction */
};
bool time_milestone_at(unsigned i, struct time_milestone *out);

#endif
