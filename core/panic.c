/* SPDX-License-Identifier: MIT */
/*
 * The end of the line: panics and failed assertions. Takes no lock and no
 * memory; what it prints stops short where printing itself fails.
 */
#include "watch.h"
#include <quire/arch.h>
#include <quire/assert.h>
#include <quire/console.h>
#include <quire/format.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/panic.h>
#include <quire/port.h>
#include <quire/symbols.h>
#include <quire/thread.h>

#define LOG_TAIL_LINES   8
#define DEBUG_EXIT_PANIC 0x2a /* QEMU ends with 2 * 0x2a + 1 = 85 */

/* How deep in panics that CPU is: 1 the first, 2 a failure while printing it. */
static unsigned panic_depth;
static unsigned owner_plus_one; /* atomic; the CPU that panicked first */

void panic_claim(void)
{
	unsigned nobody = 0, me;

	(void)port_irq_save();
	me = port_cpu() + 1;
	if (__atomic_compare_exchange_n(&owner_plus_one, &nobody, me, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		arch_stop_others();
	else if (nobody != me)
		arch_halt(); /* one report at a time; this CPU is to stop anyway */
}

void panic_begin(const char *heading)
{
	panic_claim();
	panic_depth++;
	console_force();
	if (panic_depth > 2)
		arch_halt(); /* not even the short form can be printed */
	if (panic_depth == 1)
		arch_framebuffer_panic();
	console_printf("\n\033[91m*** %s ***\033[0m\n", heading);
}

/* The counters only: walking the books could fault again when they are what broke. */
static void count_pages(uint64_t *managed, uint64_t *free)
{
	*managed = *free = 0;
	for (unsigned z = 0; z < array_len(kernel_pages.zones); z++) {
		*managed += kernel_pages.zones[z].managed;
		*free += kernel_pages.zones[z].free;
	}
}

static void print_memory_state(void)
{
	uint64_t managed, free;

	count_pages(&managed, &free);
	console_printf(
		"memory: %llu of %llu managed pages free, %llu failed requests, %llu misuses\n",
		(unsigned long long)free, (unsigned long long)managed,
		(unsigned long long)kernel_pages.counters.failures,
		(unsigned long long)kernel_pages.counters.misuses);
}

static void print_log_tail(void)
{
	struct log_line line;
	uint64_t last = 0;

	while (log_read(last, &line))
		last = line.sequence + 1;
	console_printf("last log lines:\n");
	for (uint64_t at = last > LOG_TAIL_LINES ? last - LOG_TAIL_LINES : 0; log_read(at, &line);
	     at = line.sequence + 1)
		console_printf("  [%s] %s: %s\n", log_level_name(line.level), line.tag, line.text);
}

static noreturn_fn void stop(void)
{
	console_printf("\nThe kernel has stopped. Switch the machine off or restart it.\n");
	arch_debug_exit(DEBUG_EXIT_PANIC);
	arch_halt();
}

noreturn_fn void panic_end(uintptr_t frame)
{
	struct thread *current = thread_current();

	if (panic_depth == 1) {
		console_printf("CPU %u", port_cpu());
		if (current)
			console_printf(", thread %u (%s)", current->id, current->name);
		console_printf("\n");
		arch_backtrace(frame);
		print_memory_state();
		print_log_tail();
	}
	stop();
}

/* Who made the call that fail= made to fail; 0: none did. */
static uintptr_t made_to_fail(void)
{
	struct alloc_fail met;
	uintptr_t caller = 0;

	for (unsigned which = 0; which < WATCHED_COUNT && !caller; which++) {
		(void)watch_fail_state((enum watched)which, &met);
		caller = met.failures ? met.last_caller : 0;
	}
	return caller;
}

void panic_no_memory(const char *format, ...)
{
	char what[160], free_text[12], managed_text[12], site[64];
	uintptr_t failed = made_to_fail();
	uint64_t managed, free;
	va_list args;

	va_start(args, format);
	format_buffer_v(what, sizeof what, format, args);
	va_end(args);
	panic_begin("Quire cannot start");
	count_pages(&managed, &free);
	console_printf("no memory for %s; %s of %s are free\n", what,
		       format_bytes(free_text, free * PAGE_BYTES),
		       format_bytes(managed_text, managed * PAGE_BYTES));
	if (failed)
		console_printf("A call was made to fail, in %s: take fail= off the command line.\n",
			       symbol_format_return(site, failed));
	else
		console_printf("Give the machine more memory, or put kfence=off and maxcpus=1 on "
			       "the command line.\n");
	stop();
}

void port_panic(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	format_buffer_v(text, sizeof text, format, args);
	va_end(args);
	panic_begin("kernel panic");
	console_printf("%s\n", text);
	panic_end((uintptr_t)__builtin_frame_address(0));
}

void port_assert_failed(const char *expression, const char *file, int line)
{
	port_panic("assertion failed: %s (%s:%d)", expression, file, line);
}
