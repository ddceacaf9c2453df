/* SPDX-License-Identifier: MIT */
/*
 * Closing the caches of all CPUs: alloc/page_watch.c against the fast paths, over the real
 * port_cpus_sync(). CPU 1 allocates and frees, without the lock, while CPU 0 closes its cache, looks
 * at it and opens it again. A fast path that is still at work in it is a data race.
 */
#include "cpus.hpp"
#include "real_page.h"

using namespace cpus;

extern "C" void prove_page_freed(void)
{
}

struct scene {
	void begin()
	{
		reset(2, 1);
		real_page_reset();
	}
	void end()
	{
		prove::require(real_page_cached() + real_page_given_back() == 1, "a page is lost");
	}
};

static void pair()
{
	uint64_t frame = real_page_alloc();

	prove::require(frame == PROVE_FRAME, "the one page is not found");
	real_page_free(frame);
}

struct check_while_busy : scene {
	void cpu(unsigned n)
	{
		if (n == 0) {
			prove::require(real_page_check() <= 1, "more pages than there are");
			finish();
			return;
		}
		pair();
		sleep_for_good();
	}
};

/* Everything is drained; nothing comes back into the cache while it is closed. */
struct watch_while_busy : scene {
	void cpu(unsigned n)
	{
		if (n == 0) {
			real_page_watch(1, 0);
			finish();
			return;
		}
		pair();
		sleep_for_good();
	}
	void end()
	{
		scene::end();
		prove::require(real_page_cached() == 0, "a watched cache holds pages");
	}
};

/* An interrupt that ends a rest allocates. */
struct check_while_resting : scene {
	void begin()
	{
		scene::begin();
		handler = pair;
	}
	void cpu(unsigned n)
	{
		if (n == 0) {
			(void)real_page_check();
			finish();
			return;
		}
		port_idle();
		sleep_for_good();
	}
};

int main()
{
	return prove::check({SCENARIO(check_while_busy, 2, 2), SCENARIO(watch_while_busy, 2, 2),
			     SCENARIO(check_while_resting, 2, 2)},
			    {}, {"page_watch.c", "spinlock.h"}); /* the others: model_tlb.cpp */
}
