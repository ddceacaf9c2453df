/* SPDX-License-Identifier: MIT */
/*
 * tlb_shootdown() and port_cpus_sync() of core/arch/x86_64/tlb.c, with idle.c, and a CPU that joins
 * (smp.c).
 *
 *   when tlb_shootdown() returns    no CPU uses what it knew of the translations
 *   when port_cpus_sync() returns   every stretch with interrupts off has ended that began before
 *
 * One CPU takes something away, asks, and writes to it; the others read it where they may, at
 * work, resting, in interrupts, and while they join. A read that is not over is a data race.
 */
#include "cpus.hpp"

using namespace cpus;

struct scene {
	void begin()
	{
		reset(2, 1);
	}
	void end()
	{
	}
};

/* ---- translations ---- */

struct busy : scene {
	void cpu(unsigned n)
	{
		if (n == 0) {
			take_away();
			finish();
			return;
		}
		bool was = prove_irq_save();

		use_translation();
		prove_irq_restore(was);
		use_translation();
		sleep_for_good();
	}
};

/* Rests, is woken by something else, and goes on. */
struct resting : scene {
	void cpu(unsigned n)
	{
		if (n == 0) {
			take_away();
			finish();
			return;
		}
		use_translation();
		port_idle();
		use_translation();
		sleep_for_good();
	}
};

/* The interrupts that wake it use the translation as well. */
struct resting_handlers_look : resting {
	void begin()
	{
		reset(2, 1);
		handler = use_translation;
	}
};

/* Both ask at once, with interrupts off, as under a spinlock. */
struct both_ask : scene {
	void begin()
	{
		reset(2, 2);
	}
	void cpu(unsigned n)
	{
		bool was = prove_irq_save();

		if (n == 0) {
			take_away();
		} else {
			use_translation();
			tlb_shootdown();
			use_translation();
		}
		prove_irq_restore(was);
		finish();
	}
};

/* CPU 1 joins; what CPU 0 changed while it waited, when there was nobody to ask, it forgets. */
struct joins_the_first : scene {
	void begin()
	{
		reset(1, 1);
	}
	void cpu(unsigned n)
	{
		if (n == 1) {
			join(1);
			return;
		}
		take_away();
		real_release();
		finish();
	}
};

/* CPU 2 joins while CPU 1 asks. */
struct joins_two : scene {
	void begin()
	{
		reset(2, 1);
	}
	void cpu(unsigned n)
	{
		if (n == 2) {
			join(2);
			return;
		}
		if (n == 0) {
			real_release();
			sleep_for_good();
			return;
		}
		take_away();
		finish();
	}
};

/* ---- stretches with interrupts off ---- */

static uint32_t is_open; /* shared: a CPU's cache may be used without the lock */
static uint64_t cache;   /* plain; 1: closed, and nobody may be at work in it */

static void use_cache()
{
	bool was = prove_irq_save();

	if (prove::load(is_open, rl::mo_relaxed)) {
		prove::touch(cache, true);
		prove::require(!cache, "a closed cache is used");
	}
	prove_irq_restore(was);
}

static void close_cache()
{
	prove::store(is_open, 0u, rl::mo_release);
	port_cpus_sync();
	prove::touch(cache, true);
	cache = 1;
}

struct caches : scene {
	void begin()
	{
		reset(2, 1);
		is_open = 1;
		cache = 0;
		prove::share(is_open);
	}
};

struct sync_busy : caches {
	void cpu(unsigned n)
	{
		if (n == 0) {
			close_cache();
			finish();
			return;
		}
		use_cache();
		use_cache();
		sleep_for_good();
	}
};

/* It answers while it waits for a lock, too: that must not count. */
struct sync_spinning : caches {
	void cpu(unsigned n)
	{
		if (n == 0) {
			close_cache();
			finish();
			return;
		}
		bool was = prove_irq_save();

		if (prove::load(is_open, rl::mo_relaxed)) {
			prove::touch(cache, true);
			prove_relax();
			prove::touch(cache, true);
		}
		prove_irq_restore(was);
		sleep_for_good();
	}
};

struct sync_resting : caches {
	void begin()
	{
		caches::begin();
		handler = use_cache;
	}
	void cpu(unsigned n)
	{
		if (n == 0) {
			close_cache();
			finish();
			return;
		}
		use_cache();
		port_idle();
		use_cache();
		sleep_for_good();
	}
};

int main()
{
	return prove::check(
		{
			SCENARIO(busy, 2, 2),
			SCENARIO(resting, 2, 2),
			SCENARIO(resting_handlers_look, 2, 2),
			SCENARIO(both_ask, 2, 2),
			SCENARIO(joins_the_first, 2, 2),
			SCENARIO(sync_busy, 2, 2),
			SCENARIO(sync_spinning, 2, 2),
			SCENARIO(sync_resting, 2, 2),
			SCENARIO(joins_two, 3, 2),
		},
		{});
}
