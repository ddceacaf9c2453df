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
#include <quire/string.h>
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

/* How long the boot took, in counter ticks: exact where a tick is an instruction (docs/performance.md). */
static void say_boot(const char *from, const char *to)
{
	struct time_milestone m;
	uint64_t begin = 0;
	char ticks[28];

	for (unsigned i = 0; time_milestone_at(i, &m); i++) {
		if (!strcmp(m.name, from))
			begin = m.cycles;
		if (!strcmp(m.name, to))
			log_info("%s: %s ticks after %s", to, format_count(ticks, m.cycles - begin),
				 from);
	}
}

/* The page allocator at work for the first time. */
static void serve_first_page(void)
{
	pfn_t first = page_alloc(&kernel_pages, 0, PAGE_ANY);

	time_mark(TIME_FIRST_PAGE);
	if (pfn_is_none(first))
		log_warn("no memory for the first page asked for"); /* it was but to measure */
	else
		page_free(&kernel_pages, first, 0);
}

static void shell_entry(void *autorun)
{
	time_mark(TIME_FIRST_PROMPT);
	say_boot(TIME_EXIT_BOOT_SERVICES, TIME_FIRST_PAGE);
	say_boot(TIME_KERNEL_ENTRY, TIME_FIRST_PROMPT);
	shell_thread(autorun);
}

static void start_shell(const struct boot_info *bi)
{
	const struct thread_options options = {
		.priority = THREAD_PRIORITY_SHELL,
		.detached = true,
		.stack_bytes = 0,
	};

	if (!thread_create("shell", shell_entry, (void *)(uintptr_t)boot_string(bi->autorun),
			   &options))
		panic_no_memory("the shell: a thread with %u KiB of stack",
				THREAD_STACK_BYTES / 1024);
}

void kernel_main(const struct boot_info *bi)
{
	time_mark_at(TIME_EXIT_BOOT_SERVICES, bi->tsc_exit);
	time_mark(TIME_KERNEL_ENTRY);
	arch_early_init(bi); /* CPU tables; the serial port as first console */
	if (bi->magic != BOOT_INFO_MAGIC || bi->version != BOOT_INFO_VERSION)
		port_panic("hand-over version %u, this kernel knows %u", bi->version,
			   BOOT_INFO_VERSION);
	symbols_init(boot_string(bi->symtab), bi->symtab_bytes, boot_string(bi->strtab),
		     bi->strtab_bytes);
	apply_cmdline(bi);
	log_info("Quire, loaded by %s firmware", boot_string(bi->firmware_vendor));
	if (cmdline_bool("panic_early", false))
		port_panic("asked for on the command line (panic_early=1)");

	memory_init(bi); /* regions, page tables, page allocator, kmalloc */
	serve_first_page();
	memory_reclaim();
	guard_init();
	say_memory();

	arch_framebuffer_init(&bi->framebuffer);
	arch_time_init();
	if (sched_init())
		panic_no_memory("the scheduler: two threads with %u KiB of stack each",
				THREAD_STACK_BYTES / 1024);
	arch_interrupts_init();
	arch_devices_init();
	time_mark("devices ready");
	smp_init();
	time_mark("CPUs online");

	start_shell(bi);
	thread_exit(0); /* the idle thread takes over */
}
