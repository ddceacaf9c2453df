/* SPDX-License-Identifier: MIT */
/* The kernel ELF, in a read-only section of its own. PE section names have eight characters at most. */
	.section .kernel, "dr"
	.balign	4096
	.globl	payload_start, payload_end
payload_start:
	.incbin	QUIRE_PAYLOAD
payload_end:
	.byte	0
