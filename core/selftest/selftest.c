/* SPDX-License-Identifier: MIT */
/* Running the self tests: before and after each the books must be the same. */
#include "books.h"
#include <quire/memory.h>
#include <quire/selftest.h>
#include <quire/thread.h>

extern const struct selftest *const __start_selftests[];
extern const struct selftest *const __stop_selftests[];

const struct selftest *selftest_at(unsigned long i)
{
	unsigned long count = (unsigned long)(__stop_selftests - __start_selftests);

	return i < count ? __start_selftests[i] : NULL;
}

const char *selftest_run(const struct selftest *t)
{
	struct books before, after;
	const char *error;

	books_take(&before);
	error = t->run();
	if (!error)
		error = books_come_back(&before, &after);
	if (!error)
		error = memory_check();
	if (!error)
		error = sched_check();
	return error;
}
