/* SPDX-License-Identifier: MIT */
/*
 * Making every exception happen, each in the way a bug would. For `test fault`
 * and the guest tests: what is not provoked is not known to be reported.
 */
#include "paging.h"
#include "trap.h"
#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/string.h>

/* Lower half, where nothing is ever mapped; for the tests that need a user page. */
#define USER_PAGE 0x400000ull

/* Keeps the compiler from knowing what a pointer is. */
static void *opaque(uint64_t address)
{
	__asm__ volatile("" : "+r"(address));
	return (void *)(uintptr_t)address;
}

static void divide(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" : : "a"(1), "d"(0) : "ecx");
}

static void debug(void)
{
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" : : : "memory");
}

static void nmi(void)
{
	__asm__ volatile("int $2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void invalid_opcode(void)
{
	__asm__ volatile("ud2");
}

static void floating_point(void)
{
	__asm__ volatile("fninit");
}

/* A stack that cannot even take the fault about it. */
static void double_fault(void)
{
	__asm__ volatile("movq %0, %%rsp\n\tpushq $0" : : "r"(KERNEL_BASE - PAGE_BYTES) : "memory");
}

static void segment_not_present(void)
{
	__asm__ volatile("movw %w0, %%es" : : "r"(SELECTOR_ABSENT));
}

/* The same selector in SS is told as #SS. */
static void stack_segment(void)
{
	__asm__ volatile("movw %w0, %%ss" : : "r"(SELECTOR_ABSENT));
}

static void general_protection(void)
{
	*(volatile char *)opaque((uint64_t)1 << 63) = 0;
}

static void machine_check(void)
{
	__asm__ volatile("int $18");
}

/* A vector nobody handles; the kernel goes on. */
static void stray_interrupt(void)
{
	__asm__ volatile("int $0xe0");
}

static void null_read(void)
{
	(void)*(volatile uint64_t *)opaque(8);
}

static void null_write(void)
{
	*(volatile uint64_t *)opaque(0) = 1;
}

static void call_address(uint64_t address)
{
	((void (*)(void))opaque(address))();
}

static void null_call(void)
{
	call_address(0);
}

/* Physical memory where no machine has any. */
static void hole_read(void)
{
	(void)*(volatile uint64_t *)opaque(DIRECT_MAP_BASE + DIRECT_MAP_BYTES - PAGE_BYTES);
}

static void descriptor_write(void)
{
	*(volatile uint64_t *)opaque(DESC_WINDOW_BASE + (PFN_LIMIT - 1) * 8) = 1;
}

#define RETURN_INSTRUCTION 0xc3

static void execute_stack(void)
{
	volatile uint8_t code[16] = {RETURN_INSTRUCTION};

	call_address((uintptr_t)code);
}

static uint8_t data_code[16] = {RETURN_INSTRUCTION};

static void execute_data(void)
{
	call_address((uintptr_t)data_code);
}

static void execute_heap(void)
{
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ANY);
	uint8_t *page;

	if (pfn_is_none(frame))
		return;
	page = port_phys_to_virt(pfn_to_paddr(frame));
	*page = RETURN_INSTRUCTION;
	call_address((uintptr_t)page);
	page_free(&kernel_pages, frame, 0);
}

static void write_text(void)
{
	*(volatile uint8_t *)opaque((uintptr_t)kernel_image_start) = 0x90;
}

static void write_rodata(void)
{
	*(volatile uint8_t *)opaque((uintptr_t)kernel_rodata_start) = 0;
}

/* The kernel's text again, where the direct map shows it. */
static void write_text_alias(void)
{
	struct arch_mapping m;

	arch_lookup((vaddr_t){(uintptr_t)kernel_image_start}, &m);
	*(volatile uint8_t *)port_phys_to_virt(m.physical) = 0x90;
}

static unsigned recurse(volatile unsigned *depth);
static unsigned (*volatile recurse_again)(volatile unsigned *) = recurse;

/* Through a pointer and with work after the call, or the compiler makes a loop of it. */
static unsigned recurse(volatile unsigned *depth)
{
	volatile unsigned here = *depth + 1;

	return recurse_again(&here) + here;
}

static void stack_overflow(void)
{
	volatile unsigned depth = 0;

	recurse(&depth);
}

#ifdef QUIRE_UBSAN
static void undefined_shift(void)
{
	volatile unsigned by = 40;
	volatile int value = 1;

	value = value << by;
}

static void undefined_index(void)
{
	static const uint8_t table[4];
	volatile unsigned at = 4;
	volatile uint8_t found = table[at];

	(void)found;
}

static void undefined_sum(void)
{
	volatile int value = __INT_MAX__;

	value = value + 1;
}
#endif

#define SMASHED_BYTES 48 /* over the canary, the frame pointer and the return address */

static void stack_smash(void)
{
	char text[16];

	memset(opaque((uintptr_t)text), 'A', SMASHED_BYTES);
}

static uint64_t *page_for_table(void)
{
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ZEROED);

	return pfn_is_none(frame) ? NULL : port_phys_to_virt(pfn_to_paddr(frame));
}

/* One user page at USER_PAGE, as the kernel sees it; NULL when out of memory. What comes next
 * ends the kernel, so nothing is given back. */
static uint8_t *map_user_page(void)
{
	uint64_t *table = port_phys_to_virt(kernel_root);
	uint64_t *leaf = table_walk(table, USER_PAGE, 0, page_for_table);
	uint8_t *page = (uint8_t *)page_for_table();

	if (!leaf || !page)
		return NULL;
	*leaf = port_virt_to_phys(page).a | PTE_PRESENT | PTE_WRITE | PTE_USER;
	for (unsigned level = LEVEL_ROOT; level > 0; level--) {
		uint64_t *entry = &table[level_index(USER_PAGE, level)];

		*entry |= PTE_USER;
		table = table_of(*entry);
	}
	invlpg((vaddr_t){USER_PAGE});
	return page;
}

static void smep(void)
{
	uint8_t *page = map_user_page();

	if (!page)
		return;
	*page = RETURN_INSTRUCTION;
	call_address(USER_PAGE);
}

static void smap(void)
{
	if (map_user_page())
		(void)*(volatile uint8_t *)opaque(USER_PAGE);
}

/* UMIP binds user mode only, so go there: the page is both code and stack. */
static void umip(void)
{
	static const uint8_t sgdt_then_loop[] = {0x0f, 0x01, 0x44, 0x24, 0xf0, 0xeb, 0xfe};
	uint8_t *page = map_user_page();
	uint64_t *trap_stack = page_for_table();

	if (!page || !trap_stack)
		return;
	memcpy(page, sgdt_then_loop, sizeof sgdt_then_loop);
	this_cpu()->tss.rsp[0] = (uintptr_t)trap_stack + PAGE_BYTES;
	__asm__ volatile("pushq %0\n\tpushq %1\n\tpushq $2\n\tpushq %2\n\tpushq %3\n\tiretq"
			 :
			 : "i"(SELECTOR_USER_DATA), "r"(USER_PAGE + PAGE_BYTES - 64),
			   "i"(SELECTOR_USER_CODE), "r"(USER_PAGE)
			 : "memory");
}

static const struct {
	const char *name;
	void (*provoke)(void);
	const bool *possible; /* NULL: always */
} faults[] = {
	{"divide", divide, NULL},
	{"debug", debug, NULL},
	{"nmi", nmi, NULL},
	{"breakpoint", breakpoint, NULL},
	{"invalid-opcode", invalid_opcode, NULL},
	{"floating-point", floating_point, NULL},
	{"double-fault", double_fault, NULL},
	{"segment-not-present", segment_not_present, NULL},
	{"stack-segment", stack_segment, NULL},
	{"general-protection", general_protection, NULL},
	{"machine-check", machine_check, NULL},
	{"stray-interrupt", stray_interrupt, NULL},
	{"null-read", null_read, NULL},
	{"null-write", null_write, NULL},
	{"null-call", null_call, NULL},
	{"hole-read", hole_read, NULL},
	{"descriptor-write", descriptor_write, NULL},
	{"exec-stack", execute_stack, &cpu_features.nx},
	{"exec-data", execute_data, &cpu_features.nx},
	{"exec-heap", execute_heap, &cpu_features.nx},
	{"write-text", write_text, NULL},
	{"write-rodata", write_rodata, NULL},
	{"write-text-alias", write_text_alias, NULL},
	{"stack-overflow", stack_overflow, NULL},
#ifdef QUIRE_UBSAN
	{"ubsan-shift", undefined_shift, NULL},
	{"ubsan-index", undefined_index, NULL},
	{"ubsan-sum", undefined_sum, NULL},
#endif
	{"stack-smash", stack_smash, NULL},
	{"smep", smep, &cpu_features.smep},
	{"smap", smap, &cpu_features.smap},
	{"umip", umip, &cpu_features.umip},
};

int arch_provoke(const char *name)
{
	for (size_t i = 0; i < array_len(faults); i++)
		if (!strcmp(faults[i].name, name)) {
			if (faults[i].possible && !*faults[i].possible)
				return -EOPNOTSUPP;
			faults[i].provoke();
			return 0;
		}
	return -EINVAL;
}

const char *const *arch_provoke_names(void)
{
	static const char *names[array_len(faults) + 1];
	size_t count = 0;

	for (size_t i = 0; i < array_len(faults); i++)
		if (!faults[i].possible || *faults[i].possible)
			names[count++] = faults[i].name;
	names[count] = NULL;
	return names;
}
