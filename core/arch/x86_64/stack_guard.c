/* SPDX-License-Identifier: MIT */
/*
 * Stack canaries: a secret word between the arrays of a function and its return address, looked at
 * before the function returns.
 *
 *   low   arrays │ canary │ saved RBP │ return address   high
 *         ──────► an overflow meets the canary first
 *
 * Every thread has a canary of its own. While it runs, it stands at gs:PORT_GS_CANARY, where the
 * compiler looks for it (struct cpu); while it does not, on its own stack (context.S). So knowing
 * one thread's helps against no other's, and
 *
 *   canary in a frame = gs:PORT_GS_CANARY  whenever the thread of that frame runs
 *
 * The lowest byte is 0: a string that runs over its array cannot write it. Before entry.S has
 * called stack_guard_boot(), and while a CPU has no GS, nothing that is checked may run.
 * No lock: the one shared word only ever counts.
 */
#include "cpu.h"
#include "trap.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/format.h>
#include <quire/panic.h>
#include <quire/symbols.h>

#define GOLDEN_RATIO       0x9e3779b97f4a7c15ull
#define CPUID_RDRAND       30 /* leaf 1, ECX */
#define RDRAND_TRIES       10 /* Intel SDM 1, section 7.3.17 */
#define CALLERS_PRINTED    8
#define STACK_WORDS_LOOKED 512

_Static_assert(offsetof(struct cpu, stack_canary) == PORT_GS_CANARY, "the compiler is told so");

static uint64_t secret; /* atomic; each new canary is another value of the same sequence */

void stack_guard_boot(const struct boot_info *bi);
noreturn_fn cold_fn void __stack_chk_fail(void);

static inline __attribute__((always_inline)) uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static inline __attribute__((always_inline)) uint64_t rdrand(void)
{
	uint64_t v = 0;
	uint8_t ok = 0;

	for (unsigned i = 0; i < RDRAND_TRIES && !ok; i++)
		__asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(v), "=qm"(ok) : : "cc");
	return v;
}

uint64_t stack_guard_new(void)
{
	uint64_t n = __atomic_add_fetch(&secret, GOLDEN_RATIO, __ATOMIC_RELAXED);

	return mix(n ^ port_cycles()) & ~(uint64_t)0xff;
}

/*
 * From entry.S, before any function that is checked. What is random on every machine is when the
 * firmware was done; most CPUs have better.
 */
__attribute__((no_stack_protector)) void stack_guard_boot(const struct boot_info *bi)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	secret = mix(bi->tsc_entry) ^ mix(bi->tsc_exit + GOLDEN_RATIO);
	if (c >> CPUID_RDRAND & 1)
		secret ^= rdrand();
	boot_cpu.stack_canary = stack_guard_new();
}

/* A call stands before it: CALL rel32, or an indirect one of two or three bytes. */
static bool is_return_address(uint64_t address)
{
	const uint8_t *at = (const uint8_t *)(uintptr_t)address;

	if (address < (uintptr_t)kernel_image_start + 5 || address >= (uintptr_t)kernel_text_end)
		return false;
	return at[-5] == 0xe8 || at[-3] == 0xff || at[-2] == 0xff;
}

/*
 * The chain of frame pointers ends where it was overwritten. Words of the stack above that point
 * behind a call are return addresses, or were.
 */
static void print_callers(uintptr_t from)
{
	unsigned printed = 0;
	char where[64];

	console_printf("  further up this stack:\n");
	from = align_up(from, 8);
	for (unsigned i = 0; i < STACK_WORDS_LOOKED && printed < CALLERS_PRINTED; i++, from += 8) {
		struct arch_mapping m;

		if ((from & PAGE_MASK) == 0 || i == 0) {
			arch_lookup((vaddr_t){from}, &m);
			if (!m.present)
				return;
		}
		if (!is_return_address(*(const uint64_t *)from))
			continue;
		console_printf("    0x%016llx  %s\n", *(const unsigned long long *)from,
			       symbol_format_return(where, *(const uint64_t *)from));
		printed++;
	}
}

/* Called by the function whose canary is not what it was, instead of returning. */
void __stack_chk_fail(void)
{
	const uintptr_t *frame = __builtin_frame_address(0);
	char heading[128], where[64];

	format_buffer(heading, sizeof heading, "stack smashing detected in %s, thread %s",
		      symbol_format_return(where, frame[1]), current_thread_name());
	panic_begin(heading);
	console_printf("  a local array was written past its end; canary 0x%016llx is gone\n",
		       (unsigned long long)this_cpu()->stack_canary);
	print_callers(frame[0] + 16);
	panic_end((uintptr_t)frame);
}
