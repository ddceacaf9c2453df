/* SPDX-License-Identifier: MIT */
/* A fresh stack that looks as if port_context_switch() had left it; context.S draws the layout. */
#include "cpu.h"
#include <quire/thread.h>

extern char context_start[];

struct saved_context {
	uint64_t canary, r15, r14, r13, r12, rbx, rbp, rip;
};

void *port_context_init(void *stack, size_t bytes, void (*entry)(void *), void *argument)
{
	uintptr_t top = align_down((uintptr_t)stack + bytes, 16);
	struct saved_context *c = (void *)(top - 16 - sizeof *c);

	*c = (struct saved_context){
		.canary = stack_guard_new(),
		.r12 = (uintptr_t)entry,
		.r13 = (uintptr_t)argument,
		.rip = (uintptr_t)context_start,
	};
	/* context_start finds RSP = top - 16: 16-byte aligned, zeros above. */
	((uint64_t *)top)[-1] = 0;
	((uint64_t *)top)[-2] = 0;
	return c;
}

void port_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}
