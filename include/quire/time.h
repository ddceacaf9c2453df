/* SPDX-License-Identifier: MIT */
/*
 * Time since the kernel's first instruction. Before arch_time_init() by the loader's estimate of
 * the counter's rate; 0 where it had none. Any context.
 */
#ifndef QUIRE_TIME_H
#define QUIRE_TIME_H

#include <stdbool.h>
#include <stdint.h>

uint64_t time_ns(void);
uint64_t time_cycles(void);           /* TSC now */
uint64_t time_ns_at(uint64_t cycles); /* of an earlier time_cycles() */
uint64_t time_cycles_hz(void);        /* 0 before calibration */
/* What the rate was calibrated against: "CPUID 15h", "ACPI PM timer", ... */
const char *time_source(void);
void time_delay_ns(uint64_t ns); /* busy wait */

/* Milestones of the boot, in order, for `time`. The name must be static. */
void time_mark(const char *name);
/* The same for a counter reading from before; earlier than the kernel's first instruction is 0 ns. */
void time_mark_at(const char *name, uint64_t cycles);
struct time_milestone {
	const char *name;
	uint64_t cycles; /* absolute TSC */
	uint64_t ns;     /* since the kernel's first instruction */
};
/* The ones that others ask for by name. */
#define TIME_EXIT_BOOT_SERVICES "ExitBootServices returned"
#define TIME_KERNEL_ENTRY       "kernel entry"
#define TIME_FIRST_PAGE         "first page_alloc served"
#define TIME_FIRST_PROMPT       "first prompt"
bool time_milestone_at(unsigned i, struct time_milestone *out);

#endif
