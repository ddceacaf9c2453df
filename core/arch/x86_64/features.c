/* SPDX-License-Identifier: MIT */
/*
 * What this CPU can do, and switching it on. Intel SDM 2A, CPUID; AMD APM 3, appendix E.
 *
 * Two moments: before our own page tables only what no page table can
 * contradict; SMEP, SMAP and WP wait for ours, because the firmware's may mark
 * everything as user memory or read-only. Constant after boot, so no lock.
 */
#define LOG_TAG "cpu"
#include "trap.h"
#include <quire/arch.h>
#include <quire/format.h>
#include <quire/log.h>

struct cpu_features cpu_features;

_Static_assert(PORT_DIRECT_MAP == DIRECT_MAP_BASE, "one direct map");
_Static_assert(PORT_DESCRIPTORS == DESC_WINDOW_BASE, "one array of descriptors");

/* How many frames the direct map can show, for quire_fast.h. */
extern const uint64_t port_frames;
const uint64_t port_frames = DIRECT_MAP_BYTES >> PAGE_SHIFT;

static bool bit(uint32_t word, unsigned n)
{
	return (word >> n & 1) != 0;
}

void features_detect(void)
{
	struct cpu_features *f = &cpu_features;
	struct cpuid one = cpuid(1, 0), seven = {0}, ext1 = {0};
	uint32_t max_ext = cpuid(0x80000000u, 0).eax;

	f->max_leaf = cpuid(0, 0).eax;
	if (f->max_leaf >= 7)
		seven = cpuid(7, 0);
	if (max_ext >= 0x80000001u)
		ext1 = cpuid(0x80000001u, 0);
	f->x2apic = bit(one.ecx, 21);
	f->hypervisor = bit(one.ecx, 31);
	f->mce = bit(one.edx, 7) && bit(one.edx, 14);
	f->pge = bit(one.edx, 13);
	f->pat = bit(one.edx, 16);
	f->smep = bit(seven.ebx, 7);
	f->smap = bit(seven.ebx, 20);
	f->umip = bit(seven.ecx, 2);
	f->la57 = bit(seven.ecx, 16);
	f->nx = bit(ext1.edx, 20);
	f->pages_1g = bit(ext1.edx, 26);
	f->invariant_tsc = max_ext >= 0x80000007u && bit(cpuid(0x80000007u, 0).edx, 8);
	f->physical_bits = max_ext >= 0x80000008u ? cpuid(0x80000008u, 0).eax & 0xff : 36;
}

void features_enable_early(void)
{
	uint64_t cr0 = read_cr0();

	if (cpu_features.nx)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	/* No WP yet: some firmware leaves memory we own read-only in its tables. TS: the kernel has
	 * no floating point, and a stray use traps. */
	cr0 &= ~(CR0_WP | CR0_EM);
	write_cr0(cr0 | CR0_MP | CR0_NE | CR0_TS);
}

/*
 * PAT entry 1 (PWT set) becomes write-combining instead of write-through; the others keep their
 * reset values: 0 write-back, 2 UC-, 3 uncached. Intel SDM 3A section 11.12.4.
 */
static void enable_pat(void)
{
	uint64_t pat = 0x0007040600070106ull;

	__asm__ volatile("wbinvd" : : : "memory");
	wrmsr(MSR_PAT, pat);
}

/*
 * AMD's families 0Fh (from model 40h) to 11h halt into C1E where the firmware says so, and there
 * the local APIC's timer stands still: an idle machine would not wake again. BKDG for family 10h,
 * MSRC001_0055, bits 27 and 28. A hypervisor does not pass that on.
 */
static void disable_c1e(void)
{
	uint32_t signature = cpuid(1, 0).eax, base = signature >> 8 & 0xf;
	uint32_t family = base == 0xf ? base + (signature >> 20 & 0xff) : base;
	uint32_t model = (signature >> 12 & 0xf0) | (signature >> 4 & 0xf);
	bool amd = cpuid(0, 0).ecx == 0x444d4163; /* "cAMD", the end of "AuthenticAMD" */

	if (!amd || cpu_features.hypervisor || family < 0xf || family > 0x11 ||
	    (family == 0xf && model < 0x40))
		return;
	wrmsr(MSR_AMD_INTERRUPT_PENDING, rdmsr(MSR_AMD_INTERRUPT_PENDING) & ~AMD_HALT_ENTERS_C1E);
}

void features_enable_paging(void)
{
	const struct cpu_features *f = &cpu_features;
	uint64_t cr4 = read_cr4();

	write_cr0(read_cr0() | CR0_WP);
	if (f->pat)
		enable_pat();
	write_cr4(cr4 & ~CR4_PGE);   /* throws away what the old tables left as global */
	cr4 |= f->mce ? CR4_MCE : 0; /* without it a machine check is a silent reset */
	cr4 |= f->pge ? CR4_PGE : 0;
	cr4 |= f->smep ? CR4_SMEP : 0;
	cr4 |= f->smap ? CR4_SMAP : 0;
	cr4 |= f->umip ? CR4_UMIP : 0;
	if (f->mce)
		machine_check_enable();
	write_cr4(cr4);
	disable_c1e();
}

void features_log(void)
{
	const struct cpu_features *f = &cpu_features;
	struct {
		bool has;
		const char *name;
	} wanted[] = {{f->nx, "NX"},
		      {f->smep, "SMEP"},
		      {f->smap, "SMAP"},
		      {f->umip, "UMIP"},
		      {f->pge, "global pages"},
		      {f->pages_1g, "1 GiB pages"},
		      {f->pat, "PAT"},
		      {f->invariant_tsc, "invariant TSC"}};
	char on[96] = "", off[96] = "";
	size_t on_length = 0, off_length = 0;

	for (size_t i = 0; i < array_len(wanted); i++) {
		char *text = wanted[i].has ? on : off;
		size_t *length = wanted[i].has ? &on_length : &off_length;

		*length += format_buffer(text + *length, sizeof on - *length, "%s%s",
					 *length ? ", " : "", wanted[i].name);
	}
	log_info("protection: W^X, write protection; has %s", on_length ? on : "nothing more");
	if (off_length)
		log_warn("this CPU lacks %s", off);
}

static void copy_cpuid_text(char *out, const struct cpuid *r, bool vendor_order)
{
	uint32_t words[4] = {r->eax, r->ebx, r->ecx, r->edx};

	if (vendor_order) {
		words[0] = r->ebx;
		words[1] = r->edx;
		words[2] = r->ecx;
	}
	for (size_t i = 0; i < (vendor_order ? 12 : 16); i++)
		out[i] = (char)(words[i / 4] >> (i % 4 * 8));
}

/* CPUID gives the name blank-padded on either side. */
static void trim(char *text)
{
	size_t start = 0, length;

	while (text[start] == ' ')
		start++;
	for (length = 0; text[start + length]; length++)
		text[length] = text[start + length];
	while (length && text[length - 1] == ' ')
		length--;
	text[length] = 0;
}

static void cpu_name(struct arch_cpu_info *out)
{
	struct cpuid zero = cpuid(0, 0);

	copy_cpuid_text(out->vendor, &zero, true);
	if (cpuid(0x80000000u, 0).eax >= 0x80000004u)
		for (uint32_t i = 0; i < 3; i++) {
			struct cpuid part = cpuid(0x80000002u + i, 0);

			copy_cpuid_text(out->model + i * 16, &part, false);
		}
	trim(out->model);
	if (cpu_features.hypervisor) {
		struct cpuid hv = cpuid(0x40000000u, 0);
		struct cpuid swapped = {.ebx = hv.ebx, .edx = hv.ecx, .ecx = hv.edx};

		copy_cpuid_text(out->hypervisor_name, &swapped, true);
	}
}

/* Leaf 0xb knows all 32 bits, where it exists and is filled in. */
uint32_t arch_cpu_id(void)
{
	if (cpu_features.max_leaf >= 0xb) {
		struct cpuid topology = cpuid(0xb, 0);

		if (topology.ebx & 0xffff)
			return topology.edx;
	}
	return cpuid(1, 0).ebx >> 24;
}

uint64_t arch_physical_bytes(void)
{
	return (uint64_t)1 << cpu_features.physical_bits;
}

void arch_cpu_info(struct arch_cpu_info *out)
{
	const struct cpu_features *f = &cpu_features;
	uint32_t signature = cpuid(1, 0).eax;
	uint32_t family = signature >> 8 & 0xf;
	struct arch_cpu_state cpu;

	*out = (struct arch_cpu_info){
		.stepping = signature & 0xf,
		.family = family == 0xf ? family + (signature >> 20 & 0xff) : family,
		.model_number = signature >> 4 & 0xf,
		.physical_bits = f->physical_bits,
		.virtual_bits = 48,
		.nx = f->nx,
		.wp = (read_cr0() & CR0_WP) != 0,
		.smep = f->smep,
		.smap = f->smap,
		.umip = f->umip,
		.pages_1g = f->pages_1g,
		.x2apic = f->x2apic,
		.invariant_tsc = f->invariant_tsc,
		.la57 = f->la57,
		.hypervisor = f->hypervisor,
		.apic_id = this_cpu()->apic_id,
		.timer = tick_name(),
		.ticks = this_cpu()->ticks,
	};
	for (unsigned i = 0; arch_cpu_state(i, &cpu); i++) {
		out->spurious_interrupts += cpu.spurious;
		out->unknown_interrupts += cpu.unknown_interrupts;
	}
	if (family == 6 || family == 0xf)
		out->model_number |= signature >> 12 & 0xf0;
	cpu_name(out);
}
