/* SPDX-License-Identifier: MIT */
/*
 * Pages that several CPUs have to do with at once, without the lock.
 *
 *   references  page_get(), page_put(): whoever drops the last one frees, and what others did
 *               with the page is over by then
 *   objects     page_clear_object(), page_cache_push(): of several frees of one large object only
 *               one is accepted, whichever way each goes
 */
#include "no_interrupts.hpp"
#include "real_page.h"

static uint64_t contents; /* of the page; plain */
static unsigned freed;

extern "C" void port_cpus_sync(void)
{
}
extern "C" void prove_page_freed(void)
{
	prove::touch(contents, true);
	freed++;
}

struct references {
	void begin()
	{
		freed = 0;
		real_page_reset();
		real_page_allocated();
		real_page_get();
	}
	void cpu(unsigned)
	{
		prove::touch(contents, false);
		real_page_put();
	}
	void end()
	{
		prove::require(freed == 1, "not freed exactly once");
	}
};

/* One takes another reference meanwhile. */
struct one_more : references {
	void cpu(unsigned n)
	{
		if (n == 0) {
			real_page_get();
			prove::touch(contents, false);
			real_page_put();
		}
		prove::touch(contents, false);
		real_page_put();
	}
};

static unsigned accepted;

struct objects {
	void begin()
	{
		accepted = 0;
		real_page_reset();
		real_page_object();
	}
	void cpu(unsigned)
	{
		if (real_page_clear_object())
			accepted++;
	}
	void end()
	{
		prove::require(accepted == 1, "not accepted exactly once");
	}
};

/* Into a cache at once, where it fits; the third CPU takes the mark away first. */
struct objects_pushed : objects {
	void cpu(unsigned n)
	{
		if (n == 2 ? real_page_clear_object() : real_page_push_object())
			accepted++;
	}
};

int main()
{
	return prove::check({SCENARIO(references, 2, 0), SCENARIO(one_more, 2, 0),
			     SCENARIO(objects, 2, 0), SCENARIO(objects, 3, 0),
			     SCENARIO(objects_pushed, 3, 0)},
			    {});
}
