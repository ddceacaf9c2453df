/* SPDX-License-Identifier: MIT */
/* Where the loader jumps: RDI = physical address of struct boot_info. See quire/boot_info.h. */
	.section .text.entry, "ax", @progbits
	.globl _start
_start:
	cld
	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	movabsq	$0xffff800000000000, %rax	/* DIRECT_MAP_BASE */
	addq	%rax, %rdi
	call	kernel_main
1:	cli
	hlt
	jmp	1b

	.section .bss.boot_stack, "aw", @nobits
	.balign	4096
	.skip	16384
boot_stack_top:
