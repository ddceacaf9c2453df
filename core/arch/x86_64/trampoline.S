/* SPDX-License-Identifier: MIT */
/*
 * Where another CPU begins: 16-bit real mode, CS = page / 16, IP = 0. smp.c copies this to a page
 * below 1 MiB and fills in the data at its end; a second CPU starts when the first has left.
 *
 *   real mode ──► 32-bit protected mode ──► long mode with paging ──► the entry, at its high address
 *
 * The page is mapped at its own address only in the page tables used here, which are not the
 * kernel's: a copy of their top with one entry more. Intel SDM 3A section 9.8.5.
 */
#define OFFSET(label) (label - trampoline)

	.section .rodata.trampoline, "a", @progbits
	.balign	16
	.globl trampoline, trampoline_data, trampoline_end
trampoline:
	.code16
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx			/* EBX = physical address of this page */
	lgdtl	OFFSET(gdt_pointer)
	movl	%cr0, %eax
	orl	$1, %eax			/* PE */
	movl	%eax, %cr0
	ljmpl	*OFFSET(protected_pointer)

	.code32
protected:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x20, %eax			/* CR4: PAE and nothing else */
	movl	%eax, %cr4
	movl	OFFSET(root)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER: long mode, NX */
	rdmsr
	orl	OFFSET(efer)(%ebx), %eax
	wrmsr
	movl	$0x80000021, %eax		/* CR0: PG, NE, PE; caches on (INIT leaves them off) */
	movl	%eax, %cr0
	ljmpl	*OFFSET(long_pointer)(%ebx)

	.code64
long_mode:
	movq	OFFSET(stack)(%rbx), %rsp
	movq	OFFSET(cpu)(%rbx), %rdi
	movq	OFFSET(entry)(%rbx), %rax
	xorl	%ebp, %ebp			/* backtraces end here */
	pushq	$0
	jmpq	*%rax

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* 0x08 code, 32 bits */
	.quad	0x00cf93000000ffff		/* 0x10 data */
	.quad	0x00af9b000000ffff		/* 0x18 code, 64 bits */

	/* struct trampoline_data of smp.c; addresses relative to the page until it has added the page's */
	.balign	8
trampoline_data:
gdt_pointer:
	.word	31
	.long	OFFSET(gdt)
	.word	0
protected_pointer:
	.long	OFFSET(protected)
	.long	0x08
long_pointer:
	.long	OFFSET(long_mode)
	.long	0x18
root:	.long	0
efer:	.long	0
stack:	.quad	0
cpu:	.quad	0
entry:	.quad	0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
