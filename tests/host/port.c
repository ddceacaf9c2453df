/* SPDX-License-Identifier: MIT */
/* The out-of-line part of the port on a host. */
#define _GNU_SOURCE
#ifndef QUIRE_LOCK_CHECK
#define QUIRE_LOCK_CHECK /* the functions are here, whoever calls them */
#endif
#include "host.h"
#include <quire/assert.h>
#include <quire/spinlock.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

char *host_ram;
static uint64_t host_ram_bytes;
_Thread_local bool host_irq_on = true;
_Thread_local unsigned host_cpu;

unsigned host_misuses;
struct misuse host_last_misuse;

jmp_buf host_panic_jump;
bool host_panic_armed;
char host_panic_text[256];

static void *reserve(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return p;
}

void host_ram_init(uint64_t bytes)
{
	if (host_ram)
		munmap(host_ram, host_ram_bytes);
	host_ram = reserve(bytes);
	host_ram_bytes = bytes;
}

struct page *host_descs(uint64_t pfns)
{
	return reserve(align_up(pfns * sizeof(struct page), PAGE_BYTES));
}

void host_misuse_reset(void)
{
	host_misuses = 0;
	memset(&host_last_misuse, 0, sizeof host_last_misuse);
}

/* Odd: the thread that plays this CPU is in a stretch. */
static uint64_t stretches[PORT_CPUS_MAX];

void host_stretch_begin(void)
{
	__atomic_fetch_add(&stretches[host_cpu], 1, __ATOMIC_SEQ_CST);
}

void host_stretch_end(void)
{
	__atomic_fetch_add(&stretches[host_cpu], 1, __ATOMIC_RELEASE);
}

/* Threads that mark no stretches have to stand still when one of them comes here. */
void port_cpus_sync(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < PORT_CPUS_MAX; cpu++) {
		uint64_t seen = __atomic_load_n(&stretches[cpu], __ATOMIC_ACQUIRE);

		while (cpu != host_cpu && seen % 2 &&
		       __atomic_load_n(&stretches[cpu], __ATOMIC_ACQUIRE) == seen)
			sched_yield();
	}
}

void port_heap_publish(const struct kheap *heap, unsigned cpu, struct kheap_cpu *seen)
{
	(void)heap;
	(void)cpu;
	(void)seen;
}

unsigned port_cpus(void)
{
	return 1;
}

void port_misuse(const struct misuse *m)
{
	host_misuses++;
	host_last_misuse = *m;
}

/* ---- guarded objects: frames are not shown, the pages are memory of their own ---- */

static char *guard_range;
static uint64_t guard_pages;
static bool *guard_mapped;
bool host_guard_range_fails;

uint64_t port_guard_range(uint64_t pages)
{
	if (host_guard_range_fails)
		return 0;
	if (guard_range) {
		munmap(guard_range, guard_pages * PAGE_BYTES);
		free(guard_mapped);
	}
	guard_pages = pages;
	guard_range = reserve(pages * PAGE_BYTES);
	guard_mapped = calloc(pages, sizeof *guard_mapped);
	if (!guard_mapped || mprotect(guard_range, pages * PAGE_BYTES, PROT_NONE))
		abort();
	return (uintptr_t)guard_range;
}

static void guard_protect(uint64_t address, bool mapped)
{
	uint64_t page = (address - (uintptr_t)guard_range) / PAGE_BYTES;

	assert(page < guard_pages);
	guard_mapped[page] = mapped;
	if (mprotect(guard_range + page * PAGE_BYTES, PAGE_BYTES,
		     mapped ? PROT_READ | PROT_WRITE : PROT_NONE))
		abort();
}

void port_guard_map(uint64_t address, pfn_t frame)
{
	(void)frame;
	guard_protect(address, true);
}

void port_guard_unmap(uint64_t address)
{
	guard_protect(address, false);
}

bool port_guard_mapped(uint64_t address)
{
	return guard_mapped[(address - (uintptr_t)guard_range) / PAGE_BYTES];
}

/*
 * Locks, for tests with QUIRE_LOCK_CHECK: taken in rising rank, released last one first, with
 * interrupts off. As core/lock_check.c, but each thread has its own row, and a panic ends it.
 */
#define LOCK_DEPTH_MAX 8

static _Thread_local const struct spinlock *held[LOCK_DEPTH_MAX];
static _Thread_local unsigned held_count;

void lock_check_acquire(const struct spinlock *l)
{
	if (held_count == LOCK_DEPTH_MAX)
		port_panic("more than %d spinlocks held", LOCK_DEPTH_MAX);
	if (held_count && held[held_count - 1]->rank >= l->rank)
		port_panic("lock order: rank %u taken while holding rank %u", l->rank,
			   held[held_count - 1]->rank);
	held[held_count++] = l;
}

void lock_check_release(const struct spinlock *l)
{
	if (held_count == 0 || held[held_count - 1] != l)
		port_panic("lock of rank %u released out of order", l->rank);
	if (host_irq_on)
		port_panic("lock of rank %u held with interrupts on", l->rank);
	held_count--;
}

void host_irq_unbalanced(void)
{
	port_panic("interrupts turned on twice");
}

void port_panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(host_panic_text, sizeof host_panic_text, format, args);
	va_end(args);
	if (host_panic_armed) {
		host_panic_armed = false;
		held_count = 0;
		host_irq_on = true;
		longjmp(host_panic_jump, 1);
	}
	fprintf(stderr, "panic: %s\n", host_panic_text);
	abort();
}

void port_assert_failed(const char *expression, const char *file, int line)
{
	port_panic("assertion failed: %s (%s:%d)", expression, file, line);
}

uint64_t host_seed(const char *test)
{
	const char *text = getenv("QUIRE_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = text ? strtoull(text, NULL, 0)
		    : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
	printf("%s: QUIRE_SEED=0x%llx\n", test, (unsigned long long)seed);
	return seed;
}

unsigned long host_amount(unsigned long usual)
{
	const char *text = getenv("QUIRE_LESS");
	unsigned long less = text ? strtoul(text, NULL, 0) : 1;

	return less ? usual / less : usual;
}
