/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts: the frame, the vectors, who handles what. */
#ifndef QUIRE_X86_TRAP_H
#define QUIRE_X86_TRAP_H

#include "cpu.h"

/* As trap_entry.S leaves it. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum vector {
	VECTOR_DIVIDE = 0,
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_BREAKPOINT = 3,
	VECTOR_INVALID_OPCODE = 6,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_EXCEPTIONS = 32, /* how many the CPU reserves */
	VECTOR_PIC = 0x20,      /* 16 of them, masked; only spurious ones ever come */
	VECTOR_ISA = 0x30,      /* 16 of them: VECTOR_ISA + ISA interrupt number */
	VECTOR_TIMER = 0x40,
	VECTOR_KICK = 0xf0, /* from another CPU: look at the run queue */
	VECTOR_TLB = 0xf1,  /* from another CPU: forget translations */
	VECTOR_STEP = 0xf2, /* restart_test.c, to itself */
	VECTOR_SPURIOUS = 0xff,
};

/* Bits of a page fault's error code. Intel SDM 3A section 4.7. */
#define PF_PRESENT  1u
#define PF_WRITE    2u
#define PF_USER     4u
#define PF_RESERVED 8u
#define PF_FETCH    16u

/* An interrupt handler runs with interrupts off; it acknowledges its interrupt itself. */
typedef void (*interrupt_handler)(void);

void trap_init(void); /* fills and loads the IDT */
void trap_load(void); /* loads it on another CPU */
void interrupt_set_handler(unsigned vector, interrupt_handler handler);

/* Called for each #DB while it is set: a self test single-steps. */
extern void (*trap_step)(const struct trap_frame *f);

/* An exception nobody can continue from: print everything, then panic_end(). trap_report.c */
noreturn_fn void trap_report_fatal(const struct trap_frame *f);
/* The same text for one that goes on (#BP). */
void trap_report(const struct trap_frame *f);
const char *trap_name(uint64_t vector);

/* machine_check.c: let this CPU's banks tell; what they hold, for a report. */
void machine_check_enable(void);
void machine_check_print(void);

/* Is it in the guard page of the current thread's stack (or the boot stack)? */
bool address_in_current_guard(vaddr_t address);
const char *current_thread_name(void);

/* A firmware call is running (reset.c): an exception in it must not end the attempt. */
extern bool firmware_call_active;
noreturn_fn void firmware_call_faulted(uint64_t vector, uint64_t rip);

/* Go on in `function`, which must not return, on another stack. context.S */
noreturn_fn void call_on_stack(void (*function)(void *), void *argument, void *stack_top);

#endif
