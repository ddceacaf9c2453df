/* SPDX-License-Identifier: MIT */
/* The CPU as the firmware left it, and the jump into the kernel. Intel SDM volume 3A. */
#include "../arch.h"
#include "paging.h"

#define CR0_WP        ((uint64_t)1 << 16)
#define CR4_LA57      ((uint64_t)1 << 12)
#define CR4_CET       ((uint64_t)1 << 23)
#define MSR_EFER      0xc0000080u
#define EFER_NXE      ((uint64_t)1 << 11)
#define CPUID_EXT     0x80000001u
#define CPUID_EXT_NX  (1u << 20)
#define CR3_ROOT_MASK 0x000ffffffffff000ull

static bool cpu_has_nx(void)
{
	uint32_t a = CPUID_EXT & 0x80000000u, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (a < CPUID_EXT)
		return false;
	a = CPUID_EXT;
	c = 0;
	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d & CPUID_EXT_NX;
}

static void enable_nx(void)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
	low |= (uint32_t)EFER_NXE;
	__asm__ volatile("wrmsr" : : "a"(low), "d"(high), "c"(MSR_EFER));
}

const char *arch_refusal(void)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_LA57)
		return "the firmware runs with 5-level paging, which Quire does not support; "
		       "turn it off in the firmware's setup";
	return NULL;
}

uint64_t arch_counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

uint64_t arch_tables_pages(uint64_t image_pages)
{
	return paging_pages(image_pages);
}

uint64_t arch_tables_make(void *memory, const struct boot_segment *segments, uint32_t count)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return paging_build(memory, (const uint64_t *)(uintptr_t)(cr3 & CR3_ROOT_MASK), segments,
			    count, cpu_has_nx());
}

/*
 * Without CET first: it forbids to clear WP (volume 2, MOV to control registers), and with indirect
 * branch tracking on the jump into the kernel would fault.
 */
void arch_take_over(void)
{
	uint64_t cr0, cr4;

	__asm__ volatile("cli" : : : "memory");
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 & ~CR4_CET) : "memory");
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP) : "memory");
}

/*
 * This code and its stack stay where they are across the switch: the lower
 * half is the firmware's identity map in both sets of tables. NX must be on before a table
 * that uses it; the firmware mostly has it on already.
 */
void arch_enter(uint64_t root, uint64_t entry, uint64_t info)
{
	if (cpu_has_nx())
		enable_nx();
	__asm__ volatile("cli\n\t"
			 "cld\n\t"
			 "mov %0, %%cr3\n\t"
			 "jmp *%1"
			 :
			 : "r"(root), "r"(entry), "D"(info)
			 : "memory");
	__builtin_unreachable();
}
