/* SPDX-License-Identifier: MIT */
/* The end of the line: print everything that helps, then stop. */
#ifndef QUIRE_PANIC_H
#define QUIRE_PANIC_H

#include <quire/compiler.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * port_panic() (port.h) and the trap code both end here. panic_begin() takes the consoles and
 * prints the heading; a second panic while the first prints is cut short. panic_end() prints
 * backtrace, memory state and log tail, tells the harness (isa-debug-exit) and halts.
 */
/*
 * Be the CPU that reports: the others are stopped. Does not return on a second CPU. panic_begin()
 * begins with it.
 */
void panic_claim(void);
void panic_begin(const char *heading);
noreturn_fn void panic_end(uintptr_t frame);

/*
 * The boot has no memory for something it cannot do without. No error of the kernel's, so no report
 * either: what there is no memory for (with how much of it), what is free, and what may help.
 */
noreturn_fn cold_fn void panic_no_memory(const char *format, ...) printf_like(1, 2);

/* panic_on_corruption=1 on the command line: port_misuse() panics instead of going on. */
extern bool panic_on_corruption;

#endif
