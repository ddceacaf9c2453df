/* SPDX-License-Identifier: MIT */
/*
 * Where the loader jumps: RDI = physical address of struct boot_info, interrupts off,
 * the loader's page tables. See quire/boot_info.h.
 *
 * Four things cannot wait for C: a stack of our own, the per-CPU pointer (every
 * spinlock asks which CPU it is on), the time of the first instruction, and the canary that
 * the first checked function puts on its stack (stack_guard.c).
 */
	.section .text.entry, "ax", @progbits
	.globl _start
	.type _start, @function
_start:
	cli
	cld
	leaq	boot_stack_top(%rip), %rsp
	pushq	$2				/* no flag the firmware left: NT breaks iretq, AC disarms SMAP */
	popfq
	xorl	%ebp, %ebp			/* backtraces end here */

	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, entry_cycles(%rip)

	leaq	boot_cpu(%rip), %rax
	movq	%rax, boot_cpu(%rip)		/* .self */
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx		/* GS base */
	wrmsr

	movabsq	$0xffff800000000000, %rax	/* DIRECT_MAP_BASE */
	addq	%rax, %rdi
	movq	%rdi, %rbx
#ifdef QUIRE_KASAN
	call	kasan_boot			/* the shadow of stack frames */
	movq	%rbx, %rdi
#endif
	call	stack_guard_boot
	movq	%rbx, %rdi
	call	kernel_main
1:	cli
	hlt
	jmp	1b
	.size _start, . - _start

/*
 * The boot stack. arch_paging_init() leaves the page below it unmapped, so that
 * an overflow is a fault and not a scribble over .bss.
 */
	.section .bss.boot_stack, "aw", @nobits
	.balign	4096
	.globl boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard:
	.skip	4096
boot_stack:
	.skip	32768
boot_stack_top:

	.section .bss.entry_cycles, "aw", @nobits
	.balign 8
	.globl entry_cycles
entry_cycles:
	.skip 8

	.section .note.GNU-stack, "", @progbits
