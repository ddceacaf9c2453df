/* SPDX-License-Identifier: MIT */
/* The stages of quire/arch.h, each in the order the boot calls them. Boot CPU only. */
#define LOG_TAG "arch"
#include "paging.h"
#include "platform.h"
#include "time_rate.h"
#include <quire/arch.h>
#include <quire/errno.h>
#include <quire/fbcon.h>
#include <quire/log.h>

static const struct boot_info *hand_over;
static bool screen_tried;

void arch_early_init(const struct boot_info *bi)
{
	hand_over = bi;
	features_detect();
	features_enable_early();
	segments_load(&boot_cpu);
	trap_init();
	boot_facts = (struct boot_facts){
		.rsdp = paddr(bi->rsdp),
		.reset_system = bi->reset_system,
		.tsc_hz = bi->tsc_hz,
	};
	time_start(entry_cycles, bi->tsc_hz);
	serial_init();
	if (read_cr4() & CR4_LA57)
		port_panic("5-level paging is on; Quire wants 4 levels");
}

void arch_interrupts_init(void)
{
	pic_disable();
	apic_init();
	ioapic_init();
	tick_init();
}

void arch_devices_init(void)
{
	serial_enable_interrupt();
	keyboard_init();
}

void arch_framebuffer_init(const struct boot_framebuffer *fb)
{
	void *pixels;
	int error;

	screen_tried = true;
	if (fb->format == BOOT_PIXELS_NONE || !fb->base || !fb->bytes) {
		log_info("no framebuffer");
		return;
	}
	pixels = arch_map_physical(paddr(fb->base), fb->bytes,
				   ARCH_MAP_WRITE | ARCH_MAP_WRITE_COMBINING);
	if (!pixels) {
		log_warn("cannot map the framebuffer at 0x%llx", (unsigned long long)fb->base);
		return;
	}
	error = fbcon_init(fb, pixels);
	if (error)
		log_warn("framebuffer without text: %s", errno_text(error));
}

/* The pixels through the loader's page tables: the firmware's map of them, entered by another door. */
static void *pixels_before_paging(const struct boot_framebuffer *fb)
{
	uint64_t first = DIRECT_MAP_BASE + fb->base, last = first + fb->bytes - 1;
	struct arch_mapping m;

	if (!fb->bytes || fb->base >= DIRECT_MAP_BYTES || fb->bytes > DIRECT_MAP_BYTES - fb->base)
		return NULL;
	arch_lookup((vaddr_t){first}, &m);
	if (m.present)
		arch_lookup((vaddr_t){last}, &m);
	return m.present ? (void *)(uintptr_t)first : NULL;
}

void arch_framebuffer_panic(void)
{
	const struct boot_info *bi = hand_over;
	void *pixels;

	if (screen_tried || !bi || bi->magic != BOOT_INFO_MAGIC || bi->version != BOOT_INFO_VERSION)
		return;
	screen_tried = true;
	if (paging_is_ours)
		pixels = arch_map_physical(paddr(bi->framebuffer.base), bi->framebuffer.bytes,
					   ARCH_MAP_WRITE | ARCH_MAP_WRITE_COMBINING);
	else
		pixels = pixels_before_paging(&bi->framebuffer);
	/* Nobody will describe pages any more. What it returns cannot be said without a screen. */
	(void)!fbcon_init_in(&bi->framebuffer, pixels,
			     port_phys_to_virt(paddr(bi->descriptors.base)),
			     bi->descriptors.pages * PAGE_BYTES);
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

void arch_debug_exit(uint8_t code)
{
	/* On a real PC the port may belong to anything. */
	if (cpu_features.hypervisor)
		outl(0xf4, code);
}
