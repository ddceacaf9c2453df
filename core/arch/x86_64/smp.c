/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs, and stopping them. Intel SDM 3A section 8.4.
 *
 *   all:   INIT, 10 ms
 *   each:  STARTUP ──► trampoline.S ──► ALIVE ── the boot CPU lists it ──► RUNNING ──► scheduler
 *            └ silent: STARTUP again; silent still: INIT, so that it cannot come late, and left out
 *
 * What the trampoline needs lives only while CPUs are started:
 *
 *   page below 1 MiB   the code, and at its end what this one CPU needs
 *   root below 4 GiB   the kernel's upper half, and entry 0 ──► 3 tables ──► that page
 *
 * Invariant: cpus[0 .. port_cpus() - 1] are online; entries never change once counted.
 * One CPU at a time, started by the boot CPU: no lock.
 */
#define LOG_TAG "smp"
#include "paging.h"
#include "platform.h"
#include <quire/assert.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/string.h>
#include <quire/thread.h>
#include <quire/time.h>

#define INIT_NS    10000000ull
#define STARTUP_NS 1000000ull    /* after which it is told again; some need it */
#define ANSWER_NS  2000000000ull /* a CPU of a machine on a busy host may take that long */
#define STOP_NS    200000000ull

enum cpu_start {
	CPU_SILENT,
	CPU_ALIVE,    /* on its own stack, with its tables; waits */
	CPU_UNUSABLE, /* alive, but its interrupt controller cannot be had; halted */
	CPU_RUNNING,  /* told to go on */
};

/* At the end of the trampoline. */
struct trampoline_data {
	uint16_t gdt_limit;
	uint32_t gdt;
	uint16_t padding;
	uint32_t protected_ip, protected_cs;
	uint32_t long_ip, long_cs;
	uint32_t root, efer;
	uint64_t stack, cpu, entry;
} __attribute__((packed));

extern const char trampoline[], trampoline_data[], trampoline_end[];

static struct cpu *cpus[PORT_CPUS_MAX] = {&boot_cpu};
static unsigned online = 1;
static bool stopping;    /* atomic: the next NMI means halt */
static unsigned stopped; /* atomic: how many have */

/* From arch_smp_begin() to arch_smp_end(). */
static struct {
	pfn_t page;      /* the trampoline */
	pfn_t tables[4]; /* root, and one a level below */
	bool ready;
} start = {.page = PFN_NONE, .tables = {PFN_NONE, PFN_NONE, PFN_NONE, PFN_NONE}};

unsigned port_cpus(void)
{
	return __atomic_load_n(&online, __ATOMIC_SEQ_CST); /* in one order with tlb.c's requests */
}

struct cpu *cpu_at(unsigned index)
{
	return cpus[index];
}

/* One that is not started yet finds it when it is. GS has room for one heap. */
void port_heap_publish(const struct kheap *heap, unsigned cpu, struct kheap_cpu *seen)
{
	assert(heap == &kernel_heap);
	if (cpus[cpu])
		__atomic_store_n(&cpus[cpu]->heap, seen, __ATOMIC_RELEASE);
}

/* ---- what the trampoline needs ---- */

static uint64_t *table_at(unsigned i)
{
	return port_phys_to_virt(pfn_to_paddr(start.tables[i]));
}

static void map_identity(void)
{
	const uint64_t *kernel = port_phys_to_virt(kernel_root);
	uint64_t *root = table_at(0), virt = pfn_to_paddr(start.page).a;

	for (unsigned i = TABLE_ENTRIES / 2; i < TABLE_ENTRIES; i++)
		root[i] = kernel[i];
	for (unsigned i = 0; i < 3; i++)
		table_at(i)[level_index(virt, LEVEL_ROOT - i)] = table_entry(table_at(i + 1));
	table_at(3)[level_index(virt, 0)] = virt | PTE_PRESENT | PTE_WRITE;
}

/* The copy in the page below 1 MiB. */
static struct trampoline_data *trampoline_fields(void)
{
	char *page = port_phys_to_virt(pfn_to_paddr(start.page));

	return (void *)(page + (trampoline_data - trampoline));
}

static void place_trampoline(void)
{
	uint32_t base = (uint32_t)pfn_to_paddr(start.page).a;
	struct trampoline_data *d = trampoline_fields();

	memcpy(port_phys_to_virt(pfn_to_paddr(start.page)), trampoline,
	       (size_t)(trampoline_end - trampoline));
	d->gdt += base;
	d->protected_ip += base;
	d->long_ip += base;
	d->root = (uint32_t)pfn_to_paddr(start.tables[0]).a;
	d->efer = (uint32_t)(EFER_LME | (cpu_features.nx ? EFER_NXE : 0));
}

int arch_smp_begin(void)
{
	const struct acpi_platform *p = platform();

	start.page = page_alloc(&kernel_pages, 0, PAGE_BELOW_1M);
	if (pfn_is_none(start.page))
		goto fail;
	for (unsigned i = 0; i < array_len(start.tables); i++) {
		start.tables[i] = page_alloc(&kernel_pages, 0, PAGE_ZEROED | PAGE_BELOW_4G);
		if (pfn_is_none(start.tables[i]))
			goto fail;
	}
	map_identity();
	place_trampoline();
	tlb_init();
	for (unsigned i = 0; i < p->cpus && i < ACPI_CPUS_MAX; i++)
		if (p->cpu_ids[i] != boot_cpu.apic_id && apic_can_reach(p->cpu_ids[i]))
			apic_send(p->cpu_ids[i], APIC_INIT, 0);
	time_delay_ns(INIT_NS);
	return 0;
fail:
	arch_smp_end();
	return -ENOMEM;
}

static void give_back(pfn_t *frame)
{
	if (!pfn_is_none(*frame))
		page_free(&kernel_pages, *frame, 0);
	*frame = PFN_NONE;
}

void arch_smp_end(void)
{
	for (unsigned i = 0; i < array_len(start.tables); i++)
		give_back(&start.tables[i]);
	give_back(&start.page);
}

/* ---- a CPU that starts ---- */

static uint32_t start_state(const struct cpu *c)
{
	return __atomic_load_n(&c->started, __ATOMIC_ACQUIRE);
}

/*
 * From the trampoline, on the idle thread's stack, interrupts off, in the trampoline's root, without
 * GS. (Not checked: it would ask GS for its canary at once.)
 */
static noreturn_fn __attribute__((no_stack_protector)) void begin(struct cpu *c)
{
	write_cr3(kernel_root.a);
	segments_load(c);
	trap_load();
	features_enable_early();
	features_enable_paging();
	if (!apic_init_other(c)) {
		__atomic_store_n(&c->started, CPU_UNUSABLE, __ATOMIC_RELEASE);
		arch_halt();
	}
	__atomic_store_n(&c->started, CPU_ALIVE, __ATOMIC_RELEASE);
	while (start_state(c) != CPU_RUNNING)
		__asm__ volatile("pause");
	write_cr3(kernel_root.a); /* while it waited nobody told it what to forget */
	tlb_answer();             /* from here on it is asked like everybody else */
	tick_start();
	sched_cpu_run();
}

static bool wait_for_answer(const struct cpu *c, uint64_t ns)
{
	uint64_t from = time_ns();

	while (start_state(c) == CPU_SILENT)
		if (time_ns() - from > ns)
			return false;
		else
			__asm__ volatile("pause");
	return true;
}

static bool wake_up(struct cpu *c)
{
	unsigned page = (unsigned)start.page.n;

	apic_send(c->apic_id, APIC_STARTUP, page);
	if (wait_for_answer(c, STARTUP_NS))
		return true;
	apic_send(c->apic_id, APIC_STARTUP, page);
	return wait_for_answer(c, ANSWER_NS);
}

unsigned arch_smp_count(void)
{
	unsigned cpus_listed = platform()->cpus;

	return cpus_listed < ACPI_CPUS_MAX ? cpus_listed : ACPI_CPUS_MAX;
}

uint32_t arch_smp_id(unsigned i)
{
	return platform()->cpu_ids[i];
}

int arch_smp_start(uint32_t id, void *stack_top, bool pretend_silent)
{
	struct trampoline_data *d = trampoline_fields();
	struct cpu *c;
	int error = -ETIMEDOUT;

	if (!apic_can_reach(id))
		return -ERANGE;
	c = kzalloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	c->self = c;
	c->index = online;
	c->apic_id = id;
	c->stack_canary = stack_guard_new();
	c->heap = kernel_heap.cpu[online];
	d->stack = (uintptr_t)stack_top;
	d->cpu = (uintptr_t)c;
	d->entry = (uintptr_t)begin;
	if (pretend_silent ? wait_for_answer(c, ANSWER_NS) : wake_up(c))
		error = start_state(c) == CPU_ALIVE ? 0 : -EIO;
	if (error) {
		/* Wherever it is, it now waits for a STARTUP that never comes. */
		apic_send(id, APIC_INIT, 0);
		time_delay_ns(INIT_NS);
		kfree(c);
		return error;
	}
	cpus[online] = c;
	return 0;
}

void arch_smp_release(void)
{
	struct cpu *c = cpus[online];

	__atomic_store_n(&online, online + 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->started, CPU_RUNNING, __ATOMIC_RELEASE);
}

/* ---- messages ---- */

static void kicked(void)
{
	apic_end_of_interrupt(); /* trap_dispatch() ends in sched_preempt(): that is all */
}

void arch_smp_init(void)
{
	interrupt_set_handler(VECTOR_KICK, kicked);
}

void port_cpu_kick(unsigned cpu)
{
	apic_send(cpus[cpu]->apic_id, APIC_FIXED, VECTOR_KICK);
}

/* An NMI, because a CPU may be spinning with interrupts off. */
void arch_stop_others(void)
{
	unsigned count = port_cpus();
	port_irq_t irq;
	uint64_t from;

	if (count == 1 || __atomic_exchange_n(&stopping, true, __ATOMIC_SEQ_CST))
		return;
	irq = port_irq_save();
	for (unsigned i = 0; i < count; i++)
		if (cpus[i] != this_cpu())
			apic_send(cpus[i]->apic_id, APIC_NMI, 0);
	from = time_ns();
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < count - 1 &&
	       time_ns() - from < STOP_NS)
		__asm__ volatile("pause");
	port_irq_restore(irq);
}

void smp_stop_if_asked(void)
{
	if (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
		return;
	__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
	arch_halt();
}

bool arch_cpu_state(unsigned cpu, struct arch_cpu_state *out)
{
	const struct cpu *c;

	if (cpu >= port_cpus())
		return false;
	c = cpus[cpu];
	*out = (struct arch_cpu_state){
		.apic_id = c->apic_id,
		.ticks = c->ticks,
		.tlb_flushes = c->tlb_flushes,
		.unknown_interrupts = c->unknown_interrupts,
		.spurious = c->spurious,
	};
	return true;
}
