/* SPDX-License-Identifier: MIT */
/*
 * Provoking misuse: what is not provoked is not known to be reported.
 *
 * A case ends with the books as they were, so it runs as a self test does: the
 * counters compared, every validator run. Shell's thread only: no lock.
 */
#include <quire/selftest.h>
#include <quire/thread.h>

extern const struct misuse_case *const __start_misuse_cases[];
extern const struct misuse_case *const __stop_misuse_cases[];

/* What selftest_run() runs takes no arguments: they stand here. */
static struct {
	const struct misuse_case *running;
	unsigned cpu_plus_one;
} wanted;

const struct misuse_case *misuse_case_at(unsigned long i)
{
	unsigned long count = (unsigned long)(__stop_misuse_cases - __start_misuse_cases);

	return i < count ? __start_misuse_cases[i] : NULL;
}

void misuse_elsewhere(void)
{
	if (wanted.cpu_plus_one)
		thread_pin(wanted.cpu_plus_one);
}

static const char *run_wanted(void)
{
	const char *error = wanted.running->provoke();

	if (wanted.cpu_plus_one)
		thread_pin(0);
	return error;
}

const char *misuse_run(const struct misuse_case *c, unsigned cpu_plus_one)
{
	static const struct selftest accounted = {"misuse", run_wanted};

	wanted.running = c;
	wanted.cpu_plus_one = cpu_plus_one;
	return selftest_run(&accounted);
}
