/* SPDX-License-Identifier: MIT */
/*
 * What belongs to one CPU. GS points at it: port_cpu() reads the index, this_cpu() the whole.
 *
 *   gs:0    self ──► struct cpu        fixed offsets: entry.S and quire_port.h know them
 *   gs:8    index
 *   gs:16   canary of the thread it runs: the compiler knows it (stack_guard.c)
 *   gs:24   heap ──► this CPU's magazines, or those of nobody: port_heap_publish()
 *           apic_id, counters; what others ask of it (tlb.c, idle.c)
 *           GDT, TSS                   each CPU has its own: the TSS names its own stacks
 *           #DF, NMI, #MC stacks       Intel SDM 3A section 6.14.5, interrupt stack table
 */
#ifndef QUIRE_X86_CPU_H
#define QUIRE_X86_CPU_H

#include "x86.h"
#include <quire/port.h>

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA   0x1b
#define SELECTOR_USER_CODE   0x23
#define SELECTOR_TSS         0x28
#define SELECTOR_ABSENT      0x38 /* a segment marked not present; for arch_provoke() */
#define GDT_ENTRIES          8

enum ist {
	IST_NONE,
	IST_DOUBLE_FAULT,
	IST_NMI,
	IST_MACHINE_CHECK,
	IST_COUNT = IST_MACHINE_CHECK,
};
#ifdef QUIRE_KASAN /* frames are larger: redzones */
#define IST_STACK_BYTES 16384
#else
#define IST_STACK_BYTES 8192
#endif

/* Intel SDM 3A section 8.7, figure 8-11. */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* IST 1 is ist[0] */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "the CPU's layout");

struct cpu {
	struct cpu *self;
	uint32_t index;
	uint32_t apic_id;
	uint64_t stack_canary;
	struct kheap_cpu *heap; /* atomic: other CPUs write it */
	uint64_t ticks;
	uint64_t tlb_seen;    /* atomic; the last request to forget translations it has met */
	uint64_t sync_seen;   /* atomic; the last request met in the interrupt */
	bool resting;         /* atomic; halted, and will look at tlb_seen before it goes on */
	bool was_resting;     /* the interrupt that is handled ended a rest */
	uint32_t started;     /* atomic; enum cpu_start, smp.c */
	uint32_t rest_ticks;  /* ticks since the idle thread began to run */
	bool tick_stopped;    /* nothing to do for long: the timer is off. idle.c */
	uint64_t tlb_flushes; /* forgotten all because another CPU asked */
	uint64_t unknown_interrupts; /* vectors nobody handles */
	uint64_t spurious;           /* what the APIC and the PICs call spurious */
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss;
	uint8_t ist_stack[IST_COUNT][IST_STACK_BYTES] __attribute__((aligned(16)));
};

extern struct cpu boot_cpu;

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/* What CPUID said, and what of it is switched on. features.c */
struct cpu_features {
	bool nx, smep, smap, umip, pge, pages_1g, x2apic, invariant_tsc, pat, la57, hypervisor, mce;
	unsigned physical_bits;
	uint32_t max_leaf;
};
extern struct cpu_features cpu_features;

void features_detect(void);        /* boot CPU, first of all */
void features_enable_early(void);  /* what is right under anybody's page tables: NX, CR0 */
void features_enable_paging(void); /* what needs our own: WP, PGE, SMEP, SMAP, UMIP, PAT */
void features_log(void);

/* The CPUs that are online, 0 .. port_cpus() - 1; each is there for good. smp.c */
struct cpu *cpu_at(unsigned index);

/* A canary for a new thread, or for the first frames of a CPU. Any context. stack_guard.c */
uint64_t stack_guard_new(void);

void segments_load(struct cpu *c); /* its GDT, TSS and GS; any CPU, on itself */

/* What arch_cpu_info() says of the timer. tick.c */
const char *tick_name(void);

/* Bounds of the boot stack and of the parts of the image. kernel.ld, entry.S */
extern char boot_stack_guard[], boot_stack[], boot_stack_top[];
extern char kernel_image_start[], kernel_text_end[], kernel_rodata_start[], kernel_rodata_end[],
	kernel_data_start[], kernel_image_end[];
extern uint64_t entry_cycles; /* TSC at the kernel's first instruction */

#endif
