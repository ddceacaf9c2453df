/* SPDX-License-Identifier: MIT */
/*
 * The timer tick: the local APIC's timer, periodic, its rate measured against
 * the TSC. Each tick drives the scheduler and looks at the devices, so that a
 * machine with broken interrupt routing still has its keys. The devices are the boot
 * CPU's, whose tick never stops; that of others does when they have long been idle (idle.c).
 */
#define LOG_TAG "tick"
#include "platform.h"
#include <quire/format.h>
#include <quire/kheap_guard.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/thread.h>
#include <quire/time.h>

#define CALIBRATION_NS 10000000ull

static char name[48] = "none yet";
static uint32_t counts; /* of the APIC timer in one tick: the same on every CPU */

const char *tick_name(void)
{
	return name;
}

static void tick(void)
{
	struct cpu *c = this_cpu();

	c->ticks++;
	if (c == &boot_cpu) {
		serial_poll();
		keyboard_poll();
	} else {
		idle_tick(c);
	}
	apic_end_of_interrupt();
	kheap_guard_tick(&kernel_heap);
	page_sample_tick(&kernel_pages);
	sched_tick();
}

void tick_start(void)
{
	apic_timer_periodic(VECTOR_TIMER, counts);
}

void tick_stop(void)
{
	apic_timer_oneshot(0);
}

/* APIC timer counts in one tick. */
static uint32_t measure(void)
{
	uint64_t from, passed, cycles;

	apic_timer_oneshot(UINT32_MAX);
	from = port_cycles();
	time_delay_ns(CALIBRATION_NS);
	passed = UINT32_MAX - apic_timer_count();
	cycles = port_cycles() - from;
	apic_timer_oneshot(0);
	if (!cycles)
		return 0;
	/* counts a second = passed * hz / cycles; hz below 2^34, passed below 2^30: no overflow. */
	return (uint32_t)(passed * (time_cycles_hz() / TICK_HZ) / cycles);
}

void tick_init(void)
{
	counts = measure();
	if (!counts)
		port_panic("the local APIC's timer does not count");
	interrupt_set_handler(VECTOR_TIMER, tick);
	tick_start();
	format_buffer(name, sizeof name, "%s periodic, %u Hz",
		      apic_is_x2apic() ? "x2APIC" : "xAPIC", TICK_HZ);
	log_info("%s: %llu kHz / %u, %u counts a tick", name,
		 (unsigned long long)counts * TICK_HZ * APIC_TIMER_DIVIDER / 1000,
		 APIC_TIMER_DIVIDER, counts);
}
