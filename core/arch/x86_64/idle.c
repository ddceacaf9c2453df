/* SPDX-License-Identifier: MIT */
/*
 * A CPU with nothing to run.
 *
 *   halted:  resting = true     nobody need ask it to forget a translation (tlb.c):
 *                               it looks for itself before it goes on, and before the handler
 *                               of the interrupt that wakes it: that may look at anything
 *   long idle:                  its tick is off; a kick or a device wakes it
 *
 * The boot CPU's tick goes on for ever: it wakes all sleepers and polls the devices. Each CPU
 * touches only its own struct cpu here, with interrupts off: no lock.
 */
#include "platform.h"
#include <quire/thread.h>

/* Long enough for the idle thread to have cleared up (core/memory.c). */
#define REST_TICKS (TICK_HZ / 4)

static void stop_resting(struct cpu *c)
{
	__atomic_store_n(&c->resting, false, __ATOMIC_SEQ_CST);
	tlb_answer();
}

void idle_interrupted(void)
{
	struct cpu *c = this_cpu();

	c->was_resting = c->resting;
	if (c->was_resting)
		stop_resting(c);
}

void port_idle(void)
{
	struct cpu *c = this_cpu();

	/* Seen late, it costs an interrupt that was not needed. */
	__atomic_store_n(&c->resting, true, __ATOMIC_RELEASE);
	/* sti takes effect after the next instruction: no interrupt is lost before the hlt. */
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	stop_resting(c);
}

/* From an interrupt that came in the halt, or from the idle thread awake. */
void port_idle_end(void)
{
	struct cpu *c = this_cpu();

	stop_resting(c);
	c->rest_ticks = 0;
	if (!c->tick_stopped)
		return;
	c->tick_stopped = false;
	tick_start();
}

void idle_tick(struct cpu *c)
{
	if (!c->was_resting || ++c->rest_ticks < REST_TICKS)
		return;
	c->tick_stopped = true;
	tick_stop();
}
