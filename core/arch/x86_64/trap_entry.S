/* SPDX-License-Identifier: MIT */
/*
 * Trap entry: 256 stubs of 16 bytes each, one a vector, all meeting in
 * trap_common. They bring the stack to one shape, struct trap_frame:
 *
 *   high   SS RSP RFLAGS CS RIP     pushed by the CPU, RSP 16-byte aligned before
 *          error code               by the CPU, or 0 by the stub
 *          vector                   by the stub
 *   low    RAX ... R15              by trap_common; RSP is 16-byte aligned again
 */
	.section .text.trap, "ax", @progbits

	.globl trap_stubs
	.balign 16
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	/* 8, 10-14, 17, 21, 29 and 30 push an error code themselves. Intel SDM 3A table 6-1. */
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.type trap_common, @function
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp			/* vector, error code */
	iretq
	.size trap_common, . - trap_common

	.section .note.GNU-stack, "", @progbits
