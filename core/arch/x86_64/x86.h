/* SPDX-License-Identifier: MIT */
/* The instructions C has no words for, and the bits they take. Intel SDM volumes 2 and 3A. */
#ifndef QUIRE_X86_H
#define QUIRE_X86_H

#include <quire/compiler.h>
#include <quire/types.h>

#define CR0_PE ((uint64_t)1 << 0)
#define CR0_MP ((uint64_t)1 << 1)
#define CR0_EM ((uint64_t)1 << 2)
#define CR0_TS ((uint64_t)1 << 3)
#define CR0_NE ((uint64_t)1 << 5)
#define CR0_WP ((uint64_t)1 << 16)

#define CR4_PAE        ((uint64_t)1 << 5)
#define CR4_MCE        ((uint64_t)1 << 6)
#define CR4_PGE        ((uint64_t)1 << 7)
#define CR4_OSFXSR     ((uint64_t)1 << 9)
#define CR4_OSXMMEXCPT ((uint64_t)1 << 10)
#define CR4_UMIP       ((uint64_t)1 << 11)
#define CR4_LA57       ((uint64_t)1 << 12)
#define CR4_SMEP       ((uint64_t)1 << 20)
#define CR4_SMAP       ((uint64_t)1 << 21)

#define RFLAGS_IF ((uint64_t)1 << 9)

#define MSR_APIC_BASE  0x1bu
#define MSR_MCG_CAP    0x179u
#define MSR_PAT        0x277u
#define MSR_MC0_STATUS 0x401u /* bank i: + 4 * i; address register + 1 */
#define MSR_X2APIC     0x800u /* register at xAPIC offset o: + o / 16 */
#define MSR_EFER       0xc0000080u
#define MSR_GS_BASE    0xc0000101u

#define EFER_LME ((uint64_t)1 << 8)
#define EFER_NXE ((uint64_t)1 << 11)

#define MSR_AMD_INTERRUPT_PENDING 0xc0010055u
#define AMD_HALT_ENTERS_C1E       ((uint64_t)3 << 27)

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

/* Give an old device a microsecond: a write to the unused POST code port. */
static inline void io_wait(void)
{
	outb(0x80, 0);
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

#define X86_CONTROL_REGISTER(name)                                                                 \
	static inline uint64_t read_##name(void)                                                   \
	{                                                                                          \
		uint64_t v;                                                                        \
                                                                                                   \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                    \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##name(uint64_t v)                                                \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                        \
	}
X86_CONTROL_REGISTER(cr0)
X86_CONTROL_REGISTER(cr2)
X86_CONTROL_REGISTER(cr3)
X86_CONTROL_REGISTER(cr4)

static inline void invlpg(vaddr_t v)
{
	__asm__ volatile("invlpg (%0)" : : "r"(v.a) : "memory");
}

static inline void cpu_cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

#endif
