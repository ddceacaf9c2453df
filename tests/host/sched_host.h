/* SPDX-License-Identifier: MIT */
/*
 * proc/ on a host: contexts from ucontext, a clock and a timer tick that the
 * test turns by hand, and a heap that counts and can fail. The scheduler under
 * test is the real one; only one host thread runs.
 */
#ifndef QUIRE_SCHED_HOST_H
#define QUIRE_SCHED_HOST_H

#include <quire/thread.h>

#define HOST_TICK_NS 1000000ull

/* ---- heap_shim.c: kmalloc and friends, pages and stacks, counted ---- */

/* The n-th allocation from now (0: the next one) fails, once; negative: none does. */
extern long host_fail_after;
/* Does the countdown say that this allocation fails? */
bool host_allocation_fails(void);

/* Live objects, stacks and page blocks. All zero means: nothing was left behind. */
struct host_live {
	long objects, stacks, blocks;
};
extern struct host_live host_live;

void host_heap_reset(void);   /* frees every object still live */
void host_pages_forget(void); /* the same for page blocks */

/* ---- sched_port.c: the port's part for proc/ ---- */

extern uint64_t host_clock_ns;
extern uint64_t host_idle_rounds; /* how often the idle thread halted */

/* Every n-th look at the clock with interrupts on is interrupted by a tick; 0: none is. For code
 * that computes and cannot call host_tick(). */
extern unsigned host_tick_every;

/* The scheduler from scratch, the caller being the boot thread. */
void host_sched_begin(void);
/* Everything but idle and reaper must be gone, and their memory is freed. */
void host_sched_end(void);

/* A timer interrupt now, as the hardware would do it: nothing happens while interrupts are off. */
void host_tick(void);
void host_ticks(unsigned n);

#endif
