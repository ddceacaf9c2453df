/* SPDX-License-Identifier: MIT */
/*
 * Switching between two kernel stacks. Only what the System V ABI makes the
 * callee keep is saved; the compiler has saved the rest around the call.
 *
 *   saved context:  canary R15 R14 R13 R12 RBX RBP  return address
 *                   ^ struct thread.context
 *
 * The canary is the thread's own (stack_guard.c); whose it is changes with the stack.
 *
 * Interrupts are off on both sides, so RFLAGS needs no saving.
 */
	.section .text.context, "ax", @progbits

/* void port_context_switch(void **save, void *load) */
	.globl port_context_switch
	.type port_context_switch, @function
port_context_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%gs:16				/* PORT_GS_CANARY */
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%gs:16
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size port_context_switch, . - port_context_switch

/*
 * Where the first switch to a thread returns to: R12 = entry, R13 = its
 * argument, RBP = 0, RSP 16-byte aligned, interrupts off. The zero pushed in
 * place of a return address ends backtraces; an entry function does not return.
 */
	.globl context_start
	.type context_start, @function
context_start:
	movq	%r13, %rdi
	pushq	$0
	jmpq	*%r12
	.size context_start, . - context_start

/* noreturn void call_on_stack(void (*function)(void *), void *argument, void *stack_top) */
	.globl call_on_stack
	.type call_on_stack, @function
call_on_stack:
	movq	%rdx, %rsp
	xorl	%ebp, %ebp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	pushq	$0
	jmpq	*%rax
	.size call_on_stack, . - call_on_stack

	.section .note.GNU-stack, "", @progbits
