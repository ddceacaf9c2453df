/* SPDX-License-Identifier: MIT */
/*
 * kmalloc's restartable pop and push (quire_fast.h, restart.c) and its closing (kmalloc_watch.c,
 * kmalloc_guard.c), over the real port_cpus_sync().
 *
 *   interrupted   before each instruction something else may come that allocates and frees
 *   closed        before each instruction another CPU may want the magazine to itself; once
 *                 kheap_close() has returned nobody is at work in it, and opened again it serves
 */
#include "cpus.hpp"
#include "heap.hpp"
#include <quire/alloc_watch.h>

using namespace cpus;
using namespace heap;

static bool by_itself; /* the interrupt that comes now */

static bool interrupt_now()
{
	if (!me().irq_on)
		return false;
	by_itself = comes_by_itself();
	return by_itself || is_pending();
}

static void handle_now()
{
	if (by_itself)
		interrupt(handler);
	else
		handle_pending();
}

static uintptr_t gs_now()
{
	return real_gs(prove_cpu());
}

template <typename derived> struct restart_scene : scene<derived> {
	void begin()
	{
		reset(PROVE_HEAP_CPUS, 1);
		scene<derived>::begin();
	}
	void ready()
	{
		real_publish();
	}
	void end()
	{
		real_online(1);
		prove::require(real_refused() == 0, "a free is refused");
		prove::require(real_is_open(0) && real_is_open(1), "not opened again");
		scene<derived>::end();
	}
};

/* ---- interrupts of this CPU alone ---- */

/* `times` interrupts, before any instruction of either and where interrupts are turned on. */
template <typename derived, unsigned times> struct interrupted_scene : restart_scene<derived> {
	void set_up()
	{
		give(take());
	}
	void ready()
	{
		restart_scene<derived>::ready();
		handler = derived::comes;
		surprising = true;
		surprised = 0;
		surprises = times;
	}
	void cpu(unsigned)
	{
		this->held[0] = take();
		give(take());
	}
};

static void pair()
{
	give(take());
}

struct interrupted : interrupted_scene<interrupted, 2> {
	static void comes()
	{
		pair();
	}
};

/* The handler keeps one object, and the next time gives it back. */
struct handler_keeps : interrupted_scene<handler_keeps, 2> {
	static inline void *kept;

	static void comes()
	{
		if (!kept) {
			kept = take();
			return;
		}
		give(kept);
		kept = nullptr;
	}
	void ready()
	{
		interrupted_scene::ready();
		kept = nullptr;
	}
	void end()
	{
		held[1] = kept;
		interrupted_scene::end();
	}
};

/* The handler empties the magazine. */
struct handler_drains : interrupted_scene<handler_drains, 2> {
	static void comes()
	{
		real_drain();
	}
};

/* The handler frees what is in the magazine already: that is refused, whenever it comes. */
struct handler_misuses : interrupted_scene<handler_misuses, 1> {
	static inline void *stale;
	static inline uint64_t misuses;

	static void comes()
	{
		if (real_cached(0) == 0)
			return; /* the run is over: it is live again */
		real_free(stale);
		prove::require(real_refused() == ++misuses, "a second free is accepted");
	}
	void set_up()
	{
		held[1] = take();
		stale = take();
		real_drain();
		give(stale);
		prove::require(real_cached(0) == 1, "there is more than one object to take");
	}
	void ready()
	{
		interrupted_scene::ready();
		misuses = 0;
	}
	void cpu(unsigned)
	{
		held[0] = take(); /* this very object */
		surprises = 0;
	}
	void end()
	{
		real_online(1);
		scene::end();
	}
};

/* ---- another CPU closes ---- */

struct closed_by_check : restart_scene<closed_by_check> {
	void set_up()
	{
		as(1, pair);
	}
	void cpu(unsigned n)
	{
		if (n == 0) {
			books();
			finish();
			return;
		}
		give(take());
		sleep_for_good();
	}
};

/* Watched: every magazine is empty, until it is over. */
struct closed_by_watch : closed_by_check {
	void cpu(unsigned n)
	{
		if (n == 0) {
			real_watch(WATCH_FAIL, 0);
			prove::require(real_cached(1) == 0, "a watched magazine holds objects");
			real_watch(0, WATCH_FAIL);
			finish();
			return;
		}
		give(take());
		sleep_for_good();
	}
};

/*
 * CPU 1's tick closes it without the lock, for a sample, while CPU 0 opens and closes: whoever was
 * last, once CPU 0 has closed, CPU 1 uses no magazine.
 */
struct tick_closes : restart_scene<tick_closes> {
	void set_up()
	{
		prove::acting = 1;
		held[0] = take();
		prove::acting = 0;
		real_online(1);
		real_guard(1);
		real_online(PROVE_HEAP_CPUS);
	}
	void cpu(unsigned n)
	{
		if (n == 0) {
			real_close_and_open();
			real_close_and_open();
			finish();
			return;
		}
		bool was = prove_irq_save();

		real_tick();
		prove_irq_restore(was);
		give_held(0);
		sleep_for_good();
	}
	void end()
	{
		real_online(1);
		scene::end();
	}
};

int main()
{
	x86::gs_base = gs_now;
	x86::interrupt_comes = interrupt_now;
	x86::handle = handle_now;
	return prove::check(
		{
			SCENARIO(interrupted, 1, 0),
			SCENARIO(handler_keeps, 1, 0),
			SCENARIO(handler_drains, 1, 0),
			SCENARIO(handler_misuses, 1, 0),
			SCENARIO(closed_by_check, 2, 2),
			SCENARIO(closed_by_watch, 2, 2),
			SCENARIO(tick_closes, 2, 2),
		},
		{}, {"kmalloc_watch.c", "quire_fast.h", "smp.c: port_heap_publish"},
		{x86::breakages, x86::breakages + 3});
}
