/* SPDX-License-Identifier: MIT */
/*
 * Tests that run inside the kernel, on the real allocators and threads, from
 * the shell's `test`. Each leaves every counter as it found it; selftest_run()
 * verifies that, and runs all validators, after each.
 */
#ifndef QUIRE_SELFTEST_H
#define QUIRE_SELFTEST_H

#include <quire/compiler.h>

struct selftest {
	const char *name;
	const char *(*run)(void); /* NULL when all is well, else static text */
};

#define SELFTEST(ident)                                                                            \
	static const char *selftest_##ident(void);                                                 \
	static const struct selftest selftest_entry_##ident = {#ident, selftest_##ident};          \
	static const struct selftest *const selftest_ref_##ident                                   \
		__attribute__((used, section("selftests"))) = &selftest_entry_##ident;             \
	static const char *selftest_##ident(void)

/* End the test with a message when `condition` does not hold. */
#define expect(condition, message)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return message;                                                            \
	} while (0)

/* The i-th test, in link order; NULL past the end. */
const struct selftest *selftest_at(unsigned long i);

/* Run one, then the validators, then compare the counters. Context: threads. */
const char *selftest_run(const struct selftest *t);

/*
 * Wrong uses of an allocator, each provoked by `test misuse NAME` so that its report can be seen.
 * One that was caught has changed nothing: what the case allocated it gives back.
 */
struct misuse_case {
	const char *name;
	const char *what;             /* one line for the list */
	const char *(*provoke)(void); /* NULL, or why it could not be done (static text) */
};

/* In core/selftest/misuse_*.c: MISUSE(page_tail, "page-tail", "free of ...") { ... } */
#define MISUSE(ident, case_name, case_what)                                                        \
	static const char *misuse_provoke_##ident(void);                                           \
	static const struct misuse_case misuse_entry_##ident = {case_name, case_what,              \
								misuse_provoke_##ident};           \
	static const struct misuse_case *const misuse_ref_##ident                                  \
		__attribute__((used, section("misuse_cases"))) = &misuse_entry_##ident;            \
	static const char *misuse_provoke_##ident(void)

/* A function that a report is to name: it is still there when it is the caller. */
#define misuse_fn static __attribute__((noinline, disable_tail_calls))

/* In link order; NULL past the end. */
const struct misuse_case *misuse_case_at(unsigned long i);

/* What follows in the case happens on the CPU that `test misuse --cpu N` asked for, if it did. */
void misuse_elsewhere(void);

/*
 * Provoke one; `cpu_plus_one` 0 means all of it on this CPU. NULL, or what went wrong; the books
 * are checked as after a self test. Context: threads.
 */
const char *misuse_run(const struct misuse_case *c, unsigned cpu_plus_one);

/* A repeatable random sequence for tests. */
static inline unsigned long selftest_random(unsigned long *state)
{
	unsigned long z = (*state += 0x9e3779b97f4a7c15ul);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
	return z ^ (z >> 31);
}

#endif
