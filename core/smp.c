/* SPDX-License-Identifier: MIT */
/*
 * Every CPU, in order:
 *
 *   memory: caches, idle thread ──► started ──► listed by the scheduler ──► let go
 *                  └───────────────── silent: reported, left out; its number, with the caches,
 *                                     goes to the next
 *
 * Numbers are dense: CPU n is the n-th that came online. Command line: maxcpus=N starts at most
 * N - 1 others; smp_silent=N pretends that the N-th other one does not answer (for tests).
 * Boot CPU only, before there are threads to run: no lock.
 */
#define LOG_TAG "smp"
#include <quire/arch.h>
#include <quire/cmdline.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/numa.h>
#include <quire/port.h>
#include <quire/thread.h>

/* The number after `key`= on the command line. */
static unsigned option(const char *key, unsigned fallback)
{
	char text[8];
	unsigned n = 0;

	if (!cmdline_get(key, text, sizeof text))
		return fallback;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9') {
			log_warn("%s=%s: expected a number", key, text);
			return fallback;
		}
		n = n * 10 + (unsigned)(*c - '0');
	}
	return n;
}

/* The allocators' part. Once a number: that of a CPU that stayed silent goes to the next. */
static int make_caches(unsigned cpu)
{
	static unsigned made; /* CPU 0 has its own from the start */
	int error;

	if (cpu <= made)
		return 0;
	error = page_cpu_online(&kernel_pages, cpu);
	if (!error)
		error = kheap_cpu_online(&kernel_heap, cpu);
	if (!error)
		made = cpu;
	return error;
}

static int start(uint32_t id, bool pretend_silent)
{
	void *stack_top;
	int error = make_caches(port_cpus());

	if (error)
		return error;
	numa_cpu_online(port_cpus(), id);
	error = sched_cpu_prepare(port_cpus(), &stack_top);
	if (error)
		return error;
	error = arch_smp_start(id, stack_top, pretend_silent);
	if (error) {
		sched_cpu_abandon(port_cpus());
		return error;
	}
	sched_cpu_online(port_cpus());
	arch_smp_release();
	return 0;
}

static void start_all(unsigned limit, unsigned silent)
{
	struct arch_cpu_state boot;
	unsigned others = 0;

	arch_cpu_state(0, &boot);
	for (unsigned i = 0; i < arch_smp_count() && port_cpus() < limit; i++) {
		uint32_t id = arch_smp_id(i);
		int error;

		if (id == boot.apic_id)
			continue;
		error = start(id, ++others == silent);
		if (error)
			log_warn("the CPU with APIC id %u is left out: %s", id, errno_text(error));
	}
}

void smp_init(void)
{
	unsigned limit = option("maxcpus", PORT_CPUS_MAX), count = arch_smp_count();
	int error;

	arch_smp_init();
	if (limit > PORT_CPUS_MAX)
		limit = PORT_CPUS_MAX;
	if (count < 2 || limit < 2) {
		log_info("1 CPU%s", count < 2 ? "" : " (maxcpus)");
		return;
	}
	error = arch_smp_begin();
	if (error) {
		log_warn("the other CPUs are left out: %s below 1 MiB", errno_text(error));
		return;
	}
	start_all(limit, option("smp_silent", 0));
	arch_smp_end();
	log_info("%u of %u CPUs online", port_cpus(), count);
}
