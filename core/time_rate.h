/* SPDX-License-Identifier: MIT */
/* How the CPU's code tells core/time.c what its counter is worth. */
#ifndef QUIRE_TIME_RATE_H
#define QUIRE_TIME_RATE_H

#include <stdint.h>

/* The counter read `start` at the kernel's first instruction; `hz` is a guess, or 0. */
void time_start(uint64_t start_cycles, uint64_t hz);
/* The measured rate. `source` is static text. Boot only: it moves time_ns(). */
void time_set_rate(uint64_t hz, const char *source);

#endif
