/* SPDX-License-Identifier: MIT */
/*
 * What a person needs to know about an exception: its name, what the error
 * code means, what lies at the address, every register, the way there.
 *
 * Printing can fault itself (the report may be about the console). The depth
 * is counted: the second report is one line, the third only stops the CPU.
 */
#include "trap.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/format.h>
#include <quire/panic.h>
#include <quire/symbols.h>

typedef unsigned long long ull;

static const char *const names[VECTOR_EXCEPTIONS] = {
	[0] = "#DE divide error",
	[1] = "#DB debug exception",
	[2] = "NMI non-maskable interrupt",
	[3] = "#BP breakpoint",
	[4] = "#OF overflow",
	[5] = "#BR bound range exceeded",
	[6] = "#UD invalid opcode",
	[7] = "#NM device not available",
	[8] = "#DF double fault",
	[9] = "coprocessor segment overrun",
	[10] = "#TS invalid TSS",
	[11] = "#NP segment not present",
	[12] = "#SS stack-segment fault",
	[13] = "#GP general protection fault",
	[14] = "#PF page fault",
	[16] = "#MF x87 floating-point error",
	[17] = "#AC alignment check",
	[18] = "#MC machine check",
	[19] = "#XM SIMD floating-point exception",
	[20] = "#VE virtualization exception",
	[21] = "#CP control protection exception",
	[28] = "#HV hypervisor injection exception",
	[29] = "#VC VMM communication exception",
	[30] = "#SX security exception",
};

const char *trap_name(uint64_t vector)
{
	return vector < VECTOR_EXCEPTIONS && names[vector] ? names[vector] : "reserved exception";
}

static void print_page_fault(const struct trap_frame *f, vaddr_t address)
{
	const char *access = f->error & PF_FETCH   ? "execute"
			     : f->error & PF_WRITE ? "write to"
						   : "read from";
	const char *why = f->error & PF_RESERVED  ? "reserved bit set in a page table"
			  : f->error & PF_PRESENT ? "not permitted"
						  : "not mapped";
	struct arch_mapping m;
	char where[112];

	console_printf("  tried to %s 0x%016llx in %s mode: %s\n", access, (ull)address.a,
		       f->error & PF_USER ? "user" : "supervisor", why);
	console_printf("  address: %s\n", address_describe(where, sizeof where, address));
	arch_lookup(address, &m);
	if (m.present && m.user && !(f->error & PF_USER))
		console_printf("  the kernel must not touch user pages (%s)\n",
			       f->error & PF_FETCH ? "SMEP" : "SMAP");
	if (m.present)
		console_printf("  mapping: physical 0x%llx, %s, %s, %s\n", (ull)m.physical.a,
			       m.writable ? "writable" : "read-only",
			       m.executable ? "executable" : "no-execute",
			       m.user ? "user" : "supervisor");
}

#define UD1_WITH_DISPLACEMENT 0x40 /* the ModRM byte; without: 0 */

/*
 * In a build with -fsanitize-trap: UD1 with an address-size prefix, and the check as displacement.
 * The numbers are the compiler's, in the order of clang's LIST_SANITIZER_CHECKS.
 */
static const char *undefined_behaviour(const struct trap_frame *f)
{
	static const char *const checks[] = {
		[0] = "signed addition overflowed",
		[1] = "reached what cannot be reached",
		[3] = "division overflowed, or by zero",
		[5] = "floating point value does not fit",
		[7] = "implicit conversion changed the value",
		[8] = "builtin called with an invalid argument",
		[10] = "value is not one of its type",
		[11] = "function ended without a value",
		[12] = "signed multiplication overflowed",
		[13] = "signed negation overflowed",
		[16] = "NULL passed where none may be",
		[17] = "NULL returned where none may be",
		[18] = "index outside of its array",
		[19] = "pointer arithmetic overflowed",
		[20] = "shift by too much, or of a negative value",
		[21] = "signed subtraction overflowed",
		[22] = "access through NULL, misaligned, or of too small an object",
		[23] = "alignment is not what was promised",
		[24] = "array of a length that is not positive",
	};
	const uint8_t *at = (const uint8_t *)(uintptr_t)f->rip;
	unsigned check;

	if (f->vector != VECTOR_INVALID_OPCODE || f->rip < (uintptr_t)kernel_image_start ||
	    f->rip > (uintptr_t)kernel_text_end - 5 || at[0] != 0x67 || at[1] != 0x0f ||
	    at[2] != 0xb9)
		return NULL;
	check = at[3] == UD1_WITH_DISPLACEMENT ? at[4] : 0;
	return check < array_len(checks) && checks[check] ? checks[check] : "a check of clang's";
}

static void print_error_code(const struct trap_frame *f)
{
	static const char *const tables[] = {"GDT", "IDT", "LDT", "IDT"};

	if (f->vector == VECTOR_PAGE_FAULT) {
		print_page_fault(f, (vaddr_t){read_cr2()});
		return;
	}
	/* #TS, #NP, #SS, #GP carry a selector. Intel SDM 3A section 6.13. */
	if (f->vector >= 10 && f->vector <= 13 && f->error)
		console_printf("  selector 0x%llx in the %s%s\n", (ull)(f->error & 0xfff8),
			       tables[f->error >> 1 & 3], f->error & 1 ? ", external event" : "");
}

static void print_registers(const struct trap_frame *f)
{
	char where[64];

	console_printf("  rip 0x%016llx  %s\n", (ull)f->rip, symbol_format(where, f->rip));
	console_printf("  rsp 0x%016llx  cs 0x%llx  ss 0x%llx  rflags 0x%llx\n", (ull)f->rsp,
		       (ull)f->cs, (ull)f->ss, (ull)f->rflags);
	console_printf("  rax %016llx rbx %016llx rcx %016llx\n", (ull)f->rax, (ull)f->rbx,
		       (ull)f->rcx);
	console_printf("  rdx %016llx rsi %016llx rdi %016llx\n", (ull)f->rdx, (ull)f->rsi,
		       (ull)f->rdi);
	console_printf("  rbp %016llx r8  %016llx r9  %016llx\n", (ull)f->rbp, (ull)f->r8,
		       (ull)f->r9);
	console_printf("  r10 %016llx r11 %016llx r12 %016llx\n", (ull)f->r10, (ull)f->r11,
		       (ull)f->r12);
	console_printf("  r13 %016llx r14 %016llx r15 %016llx\n", (ull)f->r13, (ull)f->r14,
		       (ull)f->r15);
	console_printf("  cr0 %08llx cr2 %016llx cr3 %llx cr4 %llx\n", (ull)read_cr0(),
		       (ull)read_cr2(), (ull)read_cr3(), (ull)read_cr4());
}

/* A push onto a full stack faults, and so does the CPU's push of that fault: #DF, CR2 tells. */
static bool is_stack_overflow(const struct trap_frame *f)
{
	if (f->vector != VECTOR_DOUBLE_FAULT && f->vector != VECTOR_PAGE_FAULT)
		return false;
	return address_in_current_guard((vaddr_t){read_cr2()}) ||
	       (f->vector == VECTOR_DOUBLE_FAULT && address_in_current_guard((vaddr_t){f->rsp}));
}

static void print_details(const struct trap_frame *f)
{
	console_printf("  vector %llu, error code 0x%llx, CPU %u, thread %s\n", (ull)f->vector,
		       (ull)f->error, port_cpu(), current_thread_name());
	print_error_code(f);
	if (f->vector == VECTOR_MACHINE_CHECK)
		machine_check_print();
	print_registers(f);
}

void trap_report(const struct trap_frame *f)
{
	console_printf("\n*** %s ***\n", trap_name(f->vector));
	print_details(f);
	arch_backtrace(f->rbp);
	console_printf("  going on\n");
}

void trap_report_fatal(const struct trap_frame *f)
{
	static unsigned depth;
	char heading[128];

	panic_claim();
	if (__atomic_fetch_add(&depth, 1, __ATOMIC_RELAXED) > 0) {
		if (depth == 2)
			console_printf(
				"\n%s at 0x%llx, address 0x%llx, while reporting the first\n",
				trap_name(f->vector), (ull)f->rip, (ull)read_cr2());
		arch_debug_exit(1);
		arch_halt();
	}
	if (is_stack_overflow(f))
		format_buffer(heading, sizeof heading,
			      "kernel stack overflow in thread %s, address 0x%016llx (%s)",
			      current_thread_name(), (ull)read_cr2(), trap_name(f->vector));
	else if (undefined_behaviour(f))
		format_buffer(heading, sizeof heading, "UBSan: %s (%s)", undefined_behaviour(f),
			      trap_name(f->vector));
	else
		format_buffer(heading, sizeof heading, "%s", trap_name(f->vector));
	panic_begin(heading);
	print_details(f);
	panic_end(f->rbp);
}
