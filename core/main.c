/* SPDX-License-Identifier: MIT */
/* The kernel's first C function: the boot as a list, one log line a stage. */
#define LOG_TAG "boot"
#include <quire/arch.h>
#include <quire/boot_info.h>
#include <quire/cmdline.h>
#include <quire/format.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/panic.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/symbols.h>
#include <quire/thread.h>
#include <quire/time.h>

void kernel_main(const struct boot_info *bi);

static const char *boot_string(uint64_t physical)
{
	return port_phys_to_virt(paddr(physical));
}

static void apply_cmdline(const struct boot_info *bi)
{
	char level[8];

	cmdline_init(boot_string(bi->cmdline));
	panic_on_corruption = cmdline_bool("panic_on_corruption", false);
	if (cmdline_get("log", level, sizeof level)) {
		int n = log_level_from_name(level);

		if (n < 0)
			log_warn("log=%s: expected error, warn, info or debug", level);
		else
			log_set_console_level((enum log_level)n);
	}
}

static void say_memory(void)
{
	struct memory_stats m;
	char ram[12], free[12], metadata[12];

	memory_stats(&m);
	log_info("%s of RAM: %s free, %s of metadata (%llu descriptor pages)",
		 format_bytes(ram, m.ram_pages * PAGE_BYTES),
		 format_bytes(free, m.free_pages * PAGE_BYTES),
		 format_bytes(metadata, m.metadata_pages * PAGE_BYTES),
		 (unsigned long long)m.descriptor_pages);
}

static void start_shell(const struct boot_info *bi)
{
	const struct thread_options options = {
		.priority = THREAD_PRIORITY_SHELL,
		.detached = true,
		.stack_bytes = 0,
	};

	if (!thread_create("shell", shell_thread, (void *)(uintptr_t)boot_string(bi->autorun),
			   &options))
		port_panic("no memory for the shell's thread");
}

void kernel_main(const struct boot_info *bi)
{
	time_mark("kernel entry");
	arch_early_init(bi); /* CPU tables; the serial port as first console */
	if (bi->magic != BOOT_INFO_MAGIC || bi->version != BOOT_INFO_VERSION)
		port_panic("hand-over version %u, this kernel knows %u", bi->version,
			   BOOT_INFO_VERSION);
	symbols_init(boot_string(bi->symtab), bi->symtab_bytes, boot_string(bi->strtab),
		     bi->strtab_bytes);
	apply_cmdline(bi);
	log_info("Quire, loaded by %s firmware", boot_string(bi->firmware_vendor));

	memory_init(bi); /* regions, page tables, page allocator, kmalloc */
	time_mark("page allocator ready");
	memory_reclaim();
	say_memory();

	arch_framebuffer_init(&bi->framebuffer);
	arch_time_init();
	if (sched_init())
		port_panic("no memory for the scheduler");
	arch_interrupts_init();
	arch_devices_init();
	time_mark("devices ready");

	start_shell(bi);
	thread_exit(0); /* the idle thread takes over */
}
