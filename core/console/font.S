/* SPDX-License-Identifier: MIT */
/* The console's fonts, as the build unpacked them (core/CMakeLists.txt). */
	.section .rodata.font, "a", @progbits
	.globl font_small_start, font_small_end, font_large_start, font_large_end
	.balign 8
font_small_start:
	.incbin "font_small.psf"
font_small_end:
	.balign 8
font_large_start:
	.incbin "font_large.psf"
font_large_end:

	.section .note.GNU-stack, "", @progbits
