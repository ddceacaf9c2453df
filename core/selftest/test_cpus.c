/* SPDX-License-Identifier: MIT */
/* Self tests of many CPUs; with one they pass for want of anything to do wrong. */
#include <quire/arch.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/thread.h>

#define PATIENCE_NS 5000000000ull

/* Another CPU's part of a test: a step is taken when `order` is raised, and acknowledged. */
struct partner {
	uint32_t order, done; /* atomic */
	const volatile uint64_t *look;
	uint64_t saw;
	uint32_t id;
};

static uint32_t get(const uint32_t *value)
{
	return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

/* Looks again and again without ever leaving its CPU: what that remembers, it uses. */
static void partner_main(void *argument)
{
	struct partner *p = argument;
	uint32_t step = 0;

	while (!thread_should_stop()) {
		if (get(&p->order) == step)
			continue;
		step = get(&p->order);
		p->saw = *p->look;
		__atomic_store_n(&p->done, step, __ATOMIC_RELEASE);
	}
}

static bool partner_start(struct partner *p, unsigned cpu)
{
	const struct thread_options options = {.cpu_plus_one = cpu + 1};

	*p = (struct partner){.order = 0};
	p->id = thread_create("partner", partner_main, p, &options);
	return p->id != 0;
}

static bool partner_look(struct partner *p, const volatile void *at)
{
	uint64_t until = port_now_ns() + PATIENCE_NS;

	p->look = at;
	__atomic_store_n(&p->order, p->order + 1, __ATOMIC_RELEASE);
	while (get(&p->done) != p->order)
		if (port_now_ns() > until)
			return false;
	return true;
}

static bool partner_end(const struct partner *p)
{
	(void)!thread_kill(p->id);
	return thread_join(p->id, NULL) == 0;
}

/* ---- the tests ---- */

static void note_cpu(void *where)
{
	*(unsigned *)where = port_cpu();
}

/* Every CPU runs what is pinned to it. */
SELFTEST(cpus)
{
	static unsigned ran_on[PORT_CPUS_MAX];
	static uint32_t ids[PORT_CPUS_MAX];
	unsigned started = 0;
	const char *error = NULL;

	for (; started < port_cpus(); started++) {
		const struct thread_options options = {.cpu_plus_one = started + 1};

		ran_on[started] = PORT_CPUS_MAX;
		ids[started] = thread_create("note", note_cpu, &ran_on[started], &options);
		if (!ids[started])
			break;
	}
	for (unsigned i = 0; i < started; i++)
		if (thread_join(ids[i], NULL) || ran_on[i] != i)
			error = "a CPU did not run the thread pinned to it";
	expect(started == port_cpus(), "out of memory");
	return error;
}

/* A thread goes where it is sent, and its stack with it. */
SELFTEST(pinned)
{
	unsigned cpus = port_cpus();

	for (unsigned i = 0; i < 2 * cpus; i++) {
		thread_pin(i % cpus + 1);
		if (port_cpu() != i % cpus) {
			thread_pin(0);
			return "thread_pin() did not move the thread";
		}
	}
	thread_pin(0);
	return NULL;
}

#define OTHER_FRAMES 8

/*
 * A CPU that has read a stack at an address must see the next stack there: its frames are others,
 * because the old ones are taken away in between.
 */
static const char *check_stack_reuse(struct partner *p)
{
	pfn_t taken[OTHER_FRAMES];
	size_t got;
	uint64_t *old = port_stack_alloc(PAGE_BYTES), *new;
	bool looked, same;

	if (!old)
		return "out of memory";
	*old = 1;
	looked = partner_look(p, old) && p->saw == 1;
	port_stack_free(old, PAGE_BYTES);
	got = page_alloc_bulk(&kernel_pages, taken, OTHER_FRAMES, PAGE_ZEROED);
	new = port_stack_alloc(PAGE_BYTES);
	same = new == old;
	if (new) {
		*new = 2;
		looked = looked && partner_look(p, new);
		port_stack_free(new, PAGE_BYTES);
	}
	page_free_bulk(&kernel_pages, taken, got);
	if (!looked)
		return "the other CPU did not look";
	return same && p->saw != 2 ? "a CPU still uses the translation of a stack that is gone"
				   : NULL;
}

SELFTEST(stale)
{
	struct partner p;
	const char *error = NULL;

	if (port_cpus() == 1)
		return NULL;
	thread_pin(1);
	if (partner_start(&p, 1)) {
		for (unsigned i = 0; !error && i < 20; i++)
			error = check_stack_reuse(&p);
		if (!partner_end(&p))
			error = "the other thread could not be joined";
	} else {
		error = "out of memory";
	}
	thread_pin(0);
	return error;
}
