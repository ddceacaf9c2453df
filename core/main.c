/* SPDX-License-Identifier: MIT */
/* The kernel's first C function: the boot, one line a stage. */
#include <quire/boot_info.h>

void kernel_main(const struct boot_info *bi);

void kernel_main(const struct boot_info *bi)
{
	(void)bi;
	for (const char *s = "quire: hello from the kernel\r\n"; *s; s++)
		__asm__ volatile("outb %0, %1" : : "a"(*s), "Nd"((unsigned short)0x3f8));
	for (;;)
		__asm__ volatile("cli; hlt");
}
