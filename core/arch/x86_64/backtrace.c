/* SPDX-License-Identifier: MIT */
/*
 * Backtraces along the chain of frame pointers:
 *
 *   rbp ──► [ caller's rbp ][ return address ]      rbp rises with every step
 *
 * The chain may be anything after a crash, so each link is checked against the
 * page tables before it is read, must be aligned, and must rise. Pure reading, no lock.
 */
#include "cpu.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/symbols.h>

#define PRINTED_MAX 24
#define WALKED_MAX  4096 /* deep recursion: count it, then say so */

static bool readable(uintptr_t address)
{
	struct arch_mapping m;

	arch_lookup((vaddr_t){address}, &m);
	return m.present;
}

static bool frame_valid(uintptr_t frame, uintptr_t previous)
{
	return frame > previous && (frame & 7) == 0 && frame >= DIRECT_MAP_BASE &&
	       frame <= UINTPTR_MAX - 16 && readable(frame) && readable(frame + 8);
}

struct printer {
	uintptr_t last;
	unsigned repeats, printed;
};

static void flush_repeats(struct printer *p)
{
	if (p->repeats)
		console_printf("    ... the same %u more times\n", p->repeats);
	p->repeats = 0;
}

/* A recursion that overflowed the stack is thousands of equal lines: say it in one. */
static bool print_return(struct printer *p, uintptr_t address)
{
	char where[64];

	if (address == p->last) {
		p->repeats++;
		return true;
	}
	flush_repeats(p);
	if (p->printed == PRINTED_MAX) {
		console_printf("    ...\n");
		return false;
	}
	console_printf("    0x%016llx  %s\n", (unsigned long long)address,
		       symbol_format_return(where, address));
	p->last = address;
	p->printed++;
	return true;
}

void arch_backtrace(uintptr_t frame)
{
	struct printer p = {0};
	uintptr_t previous = 0;

	if (!frame)
		frame = (uintptr_t)__builtin_frame_address(0);
	console_printf("  backtrace:\n");
	for (unsigned i = 0; i < WALKED_MAX && frame_valid(frame, previous); i++) {
		const uintptr_t *link = (const uintptr_t *)frame;

		if (!link[1] || !print_return(&p, link[1]))
			break;
		previous = frame;
		frame = link[0];
	}
	flush_repeats(&p);
}
