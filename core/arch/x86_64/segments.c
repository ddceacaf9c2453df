/* SPDX-License-Identifier: MIT */
/*
 * Segments: in long mode a formality, but for the TSS, which tells the CPU
 * which stack to use when the current one cannot be trusted. The order of the
 * user entries is what SYSRET wants. Written once a CPU, then constant.
 *
 *   0x00 null   0x08 kernel code   0x10 kernel data   0x18 user data
 *   0x20 user code   0x28 TSS (16 bytes)   0x38 a segment that is not present
 */
#include "cpu.h"

struct cpu boot_cpu;

_Static_assert(offsetof(struct cpu, self) == 0, "this_cpu() and entry.S know it");
_Static_assert(offsetof(struct cpu, index) == PORT_GS_INDEX, "port_cpu() reads it");
_Static_assert(offsetof(struct cpu, heap) == PORT_GS_HEAP, "quire_fast.h reads it");

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	uint64_t base;
};

/* Long-mode code and data descriptors; accessed bits set, so that the table may be read-only. */
#define GDT_KERNEL_CODE 0x00af9b000000ffffull
#define GDT_KERNEL_DATA 0x00cf93000000ffffull
#define GDT_USER_DATA   0x00cff3000000ffffull
#define GDT_USER_CODE   0x00affb000000ffffull
#define GDT_ABSENT_DATA 0x00cf13000000ffffull

static void fill_gdt(struct cpu *c)
{
	uint64_t base = (uintptr_t)&c->tss, limit = sizeof c->tss - 1;

	c->gdt[1] = GDT_KERNEL_CODE;
	c->gdt[2] = GDT_KERNEL_DATA;
	c->gdt[3] = GDT_USER_DATA;
	c->gdt[4] = GDT_USER_CODE;
	/* Available 64-bit TSS. Intel SDM 3A figure 8-4. */
	c->gdt[5] =
		limit | (base & 0xffffff) << 16 | (uint64_t)0x89 << 40 | (base >> 24 & 0xff) << 56;
	c->gdt[6] = base >> 32;
	c->gdt[7] = GDT_ABSENT_DATA;
}

/* While it runs there is no GS, so no canary. */
__attribute__((no_stack_protector)) void segments_load(struct cpu *c)
{
	struct table_pointer gdtr = {.limit = sizeof c->gdt - 1, .base = (uintptr_t)c->gdt};

	fill_gdt(c);
	c->tss = (struct tss){.io_map = sizeof c->tss};
	for (size_t i = 0; i < IST_COUNT; i++)
		c->tss.ist[i] = (uintptr_t)c->ist_stack[i] + IST_STACK_BYTES;
	__asm__ volatile("lgdt %0" : : "m"(gdtr) : "memory");
	__asm__ volatile("pushq %0\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:"
			 :
			 : "i"(SELECTOR_KERNEL_CODE)
			 : "rax", "memory");
	__asm__ volatile("movw %w0, %%ds\n\tmovw %w0, %%es\n\tmovw %w0, %%ss"
			 :
			 : "r"(SELECTOR_KERNEL_DATA));
	/* Loading a selector clears the base, so the base comes after. */
	__asm__ volatile("movw %w0, %%fs\n\tmovw %w0, %%gs" : : "r"(0));
	wrmsr(MSR_GS_BASE, (uintptr_t)c);
	c->self = c;
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}
