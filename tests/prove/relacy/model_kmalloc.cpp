/* SPDX-License-Identifier: MIT */
/*
 * kmalloc's objects between CPUs: what one CPU's arena gave is freed on another, while the owner
 * allocates, drains, trims, or leaves the slab to everybody.
 */
#include "heap.hpp"
#include "no_interrupts.hpp"

using namespace heap;

static char gs[PROVE_HEAP_CPUS][64];

extern "C" void port_cpus_sync(void)
{
}
extern "C" unsigned port_cpus(void)
{
	return PROVE_HEAP_CPUS;
}
struct kheap;
struct kheap_cpu;
extern "C" void port_heap_publish(const struct kheap *, unsigned cpu, struct kheap_cpu *seen)
{
	memcpy(&gs[cpu][real_gs_heap], &seen, sizeof seen);
}

static uintptr_t my_gs()
{
	return (uintptr_t)gs[prove_cpu()];
}

/* CPU 0 has given two objects to CPU 1, which frees them and drains itself: they go home. */
struct goes_home : scene<goes_home> {
	void set_up()
	{
		held[0] = take();
		held[1] = take();
	}
	void cpu(unsigned n)
	{
		if (n == 1) {
			give_held(0);
			give_held(1);
			real_drain();
			return;
		}
		held[2] = take();
		give(take());
	}
};

/* CPU 1's magazine is full of CPU 0's objects: one more, and most of them are shed. */
struct shed_home : scene<shed_home> {
	void set_up()
	{
		for (unsigned i = 0; i < PROVE_ROOM + 1; i++)
			held[i] = take();
		prove::acting = 1;
		for (unsigned i = 0; i < PROVE_ROOM; i++)
			give_held(i);
		prove::acting = 0;
		prove::require(real_cached(1) == PROVE_ROOM, "the magazine is not full");
	}
	void cpu(unsigned n)
	{
		if (n == 1) {
			give_held(PROVE_ROOM);
			return;
		}
		for (unsigned i = 0; i < 3; i++)
			held[i] = take();
	}
};

/* Each frees what is the other's, and allocates. */
struct both_ways : scene<both_ways> {
	void set_up()
	{
		held[1] = take();
		prove::acting = 1;
		held[0] = take();
		prove::acting = 0;
	}
	void cpu(unsigned n)
	{
		give_held(n);
		real_drain();
		held[n] = take();
	}
};

/*
 * The owner leaves its slab to everybody while an object of it comes home: the third slab has
 * one object in CPU 1's full magazine, the other in CPU 0's.
 */
struct owner_leaves : scene<owner_leaves> {
	void set_up()
	{
		for (unsigned i = 0; i < 5; i++)
			held[i] = take();
		prove::acting = 1;
		for (unsigned i = 4; i > 0; i--)
			give_held(i);
		prove::acting = 0;
		prove::require(real_cached(0) == 1 && real_cached(1) == PROVE_ROOM,
			       "the magazines are not as said");
	}
	void cpu(unsigned n)
	{
		if (n == 0)
			real_drain();
		else
			give_held(0);
		held[1 + n] = take();
	}
};

/* CPU 1 has no magazine and gets none: it puts the object into the slab that CPU 0 leaves. */
struct without_magazine : scene<without_magazine> {
	void set_up()
	{
		held[0] = take();
		real_hoard_magazines(true);
	}
	void cpu(unsigned n)
	{
		if (n == 0)
			real_drain();
		else
			give_held(0);
		held[1 + n] = take();
	}
	void end()
	{
		real_hoard_magazines(false);
		scene::end();
	}
};

/* Both need a slab, and both give one back. */
struct both_grow : scene<both_grow> {
	void set_up()
	{
		held[1] = take();
		held[2] = take();
		as(1, [] { give(take()); });
		as(1, real_drain);
		real_trim();
		prove::require(real_pages_left() == PROVE_PAGES - 2, "more than one slab is left");
	}
	void cpu(unsigned n)
	{
		void *object = take();

		if (n == 0)
			held[0] = object;
		else
			give(object);
	}
};

/* Slabs run empty, and those kept empty go back to the pages, whoever's they are. */
struct trims : scene<trims> {
	void set_up()
	{
		for (unsigned i = 0; i < 4; i++)
			held[i] = take();
	}
	void cpu(unsigned n)
	{
		if (n == 0) {
			give_held(0);
			give_held(1);
			real_trim();
			return;
		}
		give_held(2);
		give_held(3);
		real_drain();
	}
};

/* No page is left: what CPU 1 gives back is found, or not yet; failures are counted. */
struct nothing_left : scene<nothing_left> {
	unsigned failed;

	void set_up()
	{
		real_leave_pages(2); /* headers, and one slab */
		held[0] = take();
		held[1] = take();
		prove::require(!take(), "there is a third object");
	}
	void cpu(unsigned n)
	{
		if (n == 1) {
			give_held(0);
			real_drain();
		}
		held[2 + n] = take();
		failed += !held[2 + n];
	}
	void end()
	{
		prove::require(real_failures() == 1 + failed, "a failure is not counted");
		prove::require(failed > 0, "one object served two");
		scene::end();
	}
};

/* Nor here, for either: both look everywhere, and fail. */
struct both_fail : nothing_left {
	void cpu(unsigned)
	{
		prove::require(!take(), "there is a third object");
		failed++;
	}
};

/* Each sheds a slab that is empty then, and kept, and fills from it. */
struct both_empty : scene<both_empty> {
	void set_up()
	{
		for (unsigned i = 0; i < 10; i++) {
			prove::acting = i / 5;
			held[i] = take();
		}
		for (unsigned i = 0; i < 10; i++) {
			prove::acting = i / 5;
			if (i % 5 < 3)
				give_held(i);
		}
		prove::acting = 0;
		prove::require(real_cached(0) == PROVE_ROOM && real_cached(1) == PROVE_ROOM,
			       "the magazines are not full");
	}
	void cpu(unsigned n)
	{
		give_held(5 * n + 3);
		for (unsigned i = 0; i < 3; i++)
			held[5 * n + i] = take();
	}
};

/*
 * Misuse: both free one object at once. The states are bytes without an order, so both may be
 * accepted (ADR 4). Then the validator knows at once, for there is a free too many; and else the two
 * who are handed the object: the second of them that frees it is refused.
 */
struct freed_twice : scene<freed_twice> {
	static inline unsigned refused_one, accepted_both;

	void set_up()
	{
		as(1, [] { give(take()); });
		held[0] = real_alloc();
	}
	void cpu(unsigned)
	{
		real_free(held[0]);
	}
	void end()
	{
		bool both = real_refused() == 0;

		prove::require(real_refused() <= 1, "none is accepted");
		prove::require(both == (real_check() != nullptr),
			       "the validator does not know what happened");
		refused_one += !both;
		accepted_both += both;
		if (!both)
			return;
		as(0, [] { first = real_alloc(); });
		as(1, [] { second = real_alloc(); });
		prove::require(first == second, "it is not handed out twice");
		as(1, [] { real_free(second); });
		prove::require(real_refused() == 0, "the first of its owners is refused");
		as(0, [] { real_free(first); });
		prove::require(real_refused() == 1, "the second of its owners is not refused");
	}
	static inline void *first, *second;
};

int main()
{
	x86::gs_base = my_gs;
	int status = prove::check(
		{
			SCENARIO(both_empty, 2, 2),
			SCENARIO(both_grow, 2, 2),
			SCENARIO(both_fail, 2, 2),
			SCENARIO(goes_home, 2, 2),
			SCENARIO(shed_home, 2, 2),
			SCENARIO(both_ways, 2, 2),
			SCENARIO(owner_leaves, 2, 2),
			SCENARIO(without_magazine, 2, 2),
			SCENARIO(freed_twice, 2, 2),
			SCENARIO(trims, 2, 2),
			SCENARIO(nothing_left, 2, 2),
		},
		{}, {"arena.c", "magazine.c", "slab.c", "kmalloc.c", "kmalloc_internal.h"});
	printf("two frees at once: one refused %u times, none %u times\n", freed_twice::refused_one,
	       freed_twice::accepted_both);
	return status || !freed_twice::refused_one || !freed_twice::accepted_both;
}
