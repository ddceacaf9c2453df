/* SPDX-License-Identifier: MIT */
/* void arch_count_down(uint64_t turns): two instructions a turn, whatever the compiler. */
	.section .text.count_down, "ax", @progbits
	.globl arch_count_down
	.type arch_count_down, @function
arch_count_down:
	decq	%rdi
	jnz	arch_count_down
	ret
	.size arch_count_down, . - arch_count_down

	.section .note.GNU-stack, "", @progbits
