/* SPDX-License-Identifier: MIT */
/*
 * What one tick of the time stamp counter is worth. Asked in this order, the
 * first sensible answer counts:
 *
 *   CPUID 15h     the CPU says so itself (and in full)
 *   PM timer      ACPI's 3.579545 MHz counter
 *   PIT           channel 2, 1.193182 MHz
 *   the loader    measured against the firmware's Stall()
 *
 * Clocks are measured three times and the median counts: a system-management
 * interrupt or a busy host spoils one measurement, rarely two. Every wait is
 * bounded by the TSC itself: a device that is not there costs a fraction of a
 * second, not the boot. Boot only, interrupts off.
 */
#define LOG_TAG "time"
#include "platform.h"
#include "time_rate.h"
#include <quire/arch.h>
#include <quire/log.h>
#include <quire/time.h>

#define PM_TIMER_HZ 3579545u
#define PIT_HZ      1193182u

/* A measurement takes 1/100 s, and at most this many cycles: over 0.1 s at 10 GHz. */
#define WINDOWS_A_SECOND 100u
#define WAIT_CYCLES_MAX  1000000000ull

/* Slower or faster than this is a mistake, not a CPU. */
#define HZ_LOWEST  50000000ull
#define HZ_HIGHEST 20000000000ull

static bool sensible(uint64_t hz)
{
	return hz >= HZ_LOWEST && hz <= HZ_HIGHEST;
}

/* Intel SDM 2A: crystal * EBX / EAX; many CPUs leave the crystal out, and then it is not said. */
static uint64_t tsc_hz_from_cpuid(void)
{
	struct cpuid r;

	if (cpu_features.max_leaf < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	if (!r.eax || !r.ebx || !r.ecx)
		return 0;
	return (uint64_t)r.ecx * r.ebx / r.eax;
}

struct pm_timer {
	uint16_t port;
	volatile uint32_t *memory;
	uint32_t mask;
};

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

static bool pm_timer_open(const struct acpi_platform *p, struct pm_timer *t)
{
	*t = (struct pm_timer){.mask = p->pm_timer_32bit ? UINT32_MAX : 0xffffff};
	if (!p->pm_timer.address)
		return false;
	if (p->pm_timer.space == ACPI_SPACE_PORTS) {
		t->port = (uint16_t)p->pm_timer.address;
		return p->pm_timer.address <= UINT16_MAX;
	}
	if (p->pm_timer.space != ACPI_SPACE_MEMORY)
		return false;
	t->memory = arch_map_physical(paddr(p->pm_timer.address), 4, ARCH_MAP_UNCACHED);
	return t->memory != NULL;
}

static uint32_t pm_timer_read(const struct pm_timer *t)
{
	return (t->memory ? *t->memory : inl(t->port)) & t->mask;
}

/* Cycles a second over one window; the counter wraps after 4.7 s at the soonest. 0: it stands still. */
static uint64_t pm_timer_once(const struct pm_timer *t)
{
	const uint32_t wanted = PM_TIMER_HZ / WINDOWS_A_SECOND;
	uint32_t from = pm_timer_read(t), passed = 0;
	uint64_t begin = port_cycles(), cycles = 0;

	while (passed < wanted && cycles < WAIT_CYCLES_MAX) {
		passed = (pm_timer_read(t) - from) & t->mask;
		cycles = port_cycles() - begin;
	}
	return passed < wanted ? 0 : cycles * PM_TIMER_HZ / passed;
}

static uint64_t tsc_hz_from_pm_timer(const struct acpi_platform *p)
{
	struct pm_timer t;
	uint64_t first;

	if (!pm_timer_open(p, &t))
		return 0;
	first = pm_timer_once(&t);
	return first ? median(first, pm_timer_once(&t), pm_timer_once(&t)) : 0;
}

/* Channel 2 in mode 0: its output, bit 5 of port 0x61, rises when the count is over. */
static uint64_t pit_once(void)
{
	const uint32_t count = PIT_HZ / WINDOWS_A_SECOND;
	uint8_t speaker = inb(0x61);
	uint64_t begin, cycles;
	bool done;

	outb(0x61, (uint8_t)((speaker & ~2u) | 1)); /* gate on, speaker off */
	outb(0x43, 0xb0);                           /* channel 2, low then high byte, mode 0 */
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
	begin = port_cycles();
	do {
		done = (inb(0x61) & 0x20) != 0;
		cycles = port_cycles() - begin;
	} while (!done && cycles < WAIT_CYCLES_MAX);
	outb(0x61, speaker);
	return done ? cycles * PIT_HZ / count : 0;
}

static uint64_t tsc_hz_from_pit(void)
{
	uint64_t first = pit_once();

	return first ? median(first, pit_once(), pit_once()) : 0;
}

static uint64_t measure(const char **source)
{
	uint64_t hz = tsc_hz_from_cpuid();

	*source = "CPUID 15h";
	if (sensible(hz))
		return hz;
	hz = tsc_hz_from_pm_timer(platform());
	*source = "ACPI PM timer";
	if (sensible(hz))
		return hz;
	hz = tsc_hz_from_pit();
	*source = "PIT";
	if (sensible(hz))
		return hz;
	*source = "UEFI Stall()";
	return boot_facts.tsc_hz;
}

void arch_time_init(void)
{
	const char *source;
	uint64_t hz = measure(&source);

	if (!sensible(hz))
		port_panic("no way to measure the time stamp counter: no CPUID 15h, PM timer, PIT");
	time_set_rate(hz, source);
	log_info("TSC at %llu.%03llu MHz, from %s%s", (unsigned long long)(hz / 1000000),
		 (unsigned long long)(hz / 1000 % 1000), source,
		 cpu_features.invariant_tsc ? "" : "; not invariant: sleep states may stop it");
}
