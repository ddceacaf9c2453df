/* SPDX-License-Identifier: MIT */
/*
 * Self test of the restartable runs: an interrupt at each of their instructions.
 *
 *   trap flag ──► #DB before every instruction ──► inside a run, the k-th: an interrupt to itself
 *                                                     └─► taken before that instruction: interfere()
 *
 * The interrupt does what the run must not notice: it looks whether the object is live, and takes or
 * gives one of the same kind. Afterwards no object may be out twice, and none lost. The test
 * ends well only when every run in the kernel was interrupted at its last instruction.
 */
#include "platform.h"
#include "restart.h"
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/selftest.h>
#include <quire/thread.h>

#define STEPS         24   /* at most so many instructions in a run */
#define RUNS_MAX      32   /* in the kernel */
#define BYTES         5600 /* of a size class that nobody uses */
#define PENDING_TRIES 100000
#define RFLAGS_TF     "0x100"

/* The ways an object is had and given back: each has runs of its own. */
static struct kmem_cache *cache;

static void *take_kmalloc(void)
{
	return kmalloc(BYTES);
}

static void *take_heap(void)
{
	return kheap_alloc(&kernel_heap, BYTES, 0, caller_address());
}

static void give_heap(void *object)
{
	kheap_free(&kernel_heap, object, caller_address());
}

static void *take_typed(void)
{
	return kmem_cache_alloc(cache, 0);
}

static void *take_typed_zeroed(void)
{
	return kmem_cache_alloc(cache, KMALLOC_ZERO);
}

static void give_typed(void *object)
{
	kmem_cache_free(cache, object);
}

static const struct way {
	void *(*take)(void);
	void (*give)(void *object);
} ways[] = {
	{take_kmalloc, kfree},
	{take_heap, give_heap},
	{take_typed, give_typed},
	{take_typed_zeroed, give_typed},
};

enum interference {
	STEALS,
	GIVES,
	INTERFERENCES
};

static struct {
	const struct way *way;
	enum interference kind;
	unsigned at, seen; /* interrupt at this instruction; instructions of runs so far */
	unsigned interrupts;
	void *object; /* what the run takes or gives, */
	bool live;    /* and whether it may be live before */
	void *stolen, *spare;
	const char *error;
	bool reached[RUNS_MAX];
} test;

/* In the interrupt. */
static void interfere(void)
{
	apic_end_of_interrupt();
	test.interrupts++;
	if ((kmalloc_size(test.object) != 0) != test.live)
		test.error = "an interrupted run has changed an object's state";
	if (test.kind == STEALS && !test.stolen) {
		test.stolen = test.way->take();
	} else if (test.kind == GIVES && test.spare) {
		test.way->give(test.spare);
		test.spare = NULL;
	}
}

/* In #DB, before each instruction. */
static void step(const struct trap_frame *f)
{
	const struct restartable *r = restartable_at(f->rip);

	if (!r)
		return;
	if (f->rip == r->commit)
		test.reached[r - __start_restartable] = true;
	if (test.seen++ != test.at)
		return;
	apic_send(this_cpu()->apic_id, APIC_FIXED, VECTOR_STEP);
	for (unsigned i = 0; i < PENDING_TRIES && !apic_is_pending(VECTOR_STEP); i++)
		__asm__ volatile("pause");
}

static void steps_begin(void)
{
	test.seen = 0;
	__asm__ volatile("pushfq\n\torq $" RFLAGS_TF ", (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

static void steps_end(void)
{
	__asm__ volatile("pushfq\n\tandq $~" RFLAGS_TF ", (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

static const char *check_out_once(void *const *objects, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!objects[i])
			continue;
		if (!kmalloc_size(objects[i]))
			return "an object that is out is not live";
		for (unsigned k = 0; k < i; k++)
			if (objects[k] == objects[i])
				return "an object is out twice";
	}
	return NULL;
}

static const char *give_up(void *const *objects, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (objects[i])
			test.way->give(objects[i]);
	return "out of memory";
}

/* Both directions, interrupted at one instruction. */
static const char *run_once(void)
{
	const struct way *way = test.way;
	void *first = way->take(), *taken, *after[4];
	const char *error;

	test.stolen = NULL;
	test.spare = way->take();
	if (!first || !test.spare)
		return give_up((void *[]){first, test.spare}, 2);
	way->give(first);
	test.object = first; /* on top: the next to be taken */
	test.live = false;
	steps_begin();
	taken = way->take();
	steps_end();
	after[0] = taken;
	after[1] = test.stolen;
	after[2] = test.spare;
	error = check_out_once(after, 3);
	if (error || !taken)
		return error ? error : give_up(after, 3);

	if (test.stolen)
		way->give(test.stolen);
	if (!test.spare)
		test.spare = way->take();
	test.stolen = NULL;
	test.object = taken;
	test.live = true;
	steps_begin();
	way->give(taken);
	steps_end();
	if (kmalloc_size(taken) && taken != test.stolen)
		return "an object given back is live";
	after[0] = test.stolen;
	after[1] = test.spare;
	after[2] = way->take();
	after[3] = way->take();
	error = check_out_once(after, 4);
	for (unsigned i = 0; !error && i < 4; i++)
		if (after[i])
			way->give(after[i]);
	return error;
}

static const char *interrupt_everywhere(void)
{
	for (unsigned kind = 0; kind < INTERFERENCES; kind++)
		for (test.at = 0; test.at < STEPS; test.at++) {
			const char *error;

			test.kind = kind;
			error = run_once();
			if (error || test.error)
				return error ? error : test.error;
		}
	return NULL;
}

SELFTEST(restart)
{
	size_t runs = (size_t)(__stop_restartable - __start_restartable);
	const char *error = NULL;

	expect(runs > 0 && runs <= RUNS_MAX,
	       "the table of restartable runs is not what it should be");
	cache = kmem_cache_create(&kernel_heap, "restart", BYTES, 0);
	expect(cache, "out of memory");
	test = (typeof(test)){.at = 0};
	thread_pin(port_cpu() + 1);
	interrupt_set_handler(VECTOR_STEP, interfere);
	trap_step = step;
	for (size_t i = 0; !error && i < array_len(ways); i++) {
		test.way = &ways[i];
		error = interrupt_everywhere();
	}
	trap_step = NULL;
	thread_pin(0);
	if (kmem_cache_destroy(cache) && !error)
		error = "an object of the cache was lost";
	/* While anything watches, each finds its magazine closed and leaves at once. */
	for (size_t i = 0; !error && !kernel_heap.watch && i < runs; i++)
		if (!test.reached[i])
			error = "a restartable run was never interrupted";
	return error;
}
