/* SPDX-License-Identifier: MIT */
/*
 * Which CPU runs a thread.
 *
 *   becomes ready:   pinned ─► its CPU;  its last CPU if that idles;  any that idles;
 *                    else where the current thread matters least
 *   CPU goes idle:   takes the best thread that waits elsewhere and may move
 *   thread ousted:   an idle CPU is told to come and take it
 *
 * Invariant, once every kicked CPU has looked: while a CPU idles no thread that may run on it waits
 * on another's run queue.
 * Lock: sched.lock.
 */
#include "sched_internal.h"

void request_switch_locked(struct cpu_sched *cpu)
{
	__atomic_store_n(&cpu->need_resched, true, __ATOMIC_RELAXED);
	if (cpu != this_cpu())
		port_cpu_kick(cpu->index);
}

void note_idle_locked(const struct cpu_sched *cpu, bool idle)
{
	uint64_t bit = (uint64_t)1 << cpu->index % 64, *word = &sched.idle_cpus[cpu->index / 64];

	*word = idle ? *word | bit : *word & ~bit;
}

static bool is_idle(const struct cpu_sched *cpu)
{
	return sched.idle_cpus[cpu->index / 64] >> cpu->index % 64 & 1;
}

struct cpu_sched *idle_cpu_locked(void)
{
	for (unsigned i = 0; i < array_len(sched.idle_cpus); i++)
		if (sched.idle_cpus[i])
			return sched.cpus[i * 64 + (unsigned)__builtin_ctzll(sched.idle_cpus[i])];
	return NULL;
}

/* Is `a` a better place than `b` for a thread of that priority to wait? */
static bool waits_less(const struct cpu_sched *a, const struct cpu_sched *b, unsigned priority)
{
	if (a->current->priority != b->current->priority)
		return a->current->priority > b->current->priority;
	return a->ready.count[priority] < b->ready.count[priority];
}

struct cpu_sched *choose_cpu_locked(const struct thread *t)
{
	struct cpu_sched *best = cpu_of(t), *idle;

	if (t->pinned || sched.cpu_count == 1 || is_idle(best))
		return best;
	idle = idle_cpu_locked();
	if (idle)
		return idle;
	for (unsigned i = 0; i < sched.cpu_count; i++)
		if (waits_less(sched.cpus[i], best, t->priority))
			best = sched.cpus[i];
	return best;
}

/* The first thread of that priority that may move. Pinned ones are rare, so this is short. */
static struct thread *movable(const struct run_queue *q, unsigned priority)
{
	list_for_each (node, &q->ready[priority]) {
		struct thread *t = list_entry(node, struct thread, link);

		if (!t->pinned)
			return t;
	}
	return NULL;
}

static struct thread *best_movable(const struct run_queue *q, unsigned better_than)
{
	uint32_t left = q->nonempty & (((uint32_t)1 << better_than) - 1);

	for (; left; left &= left - 1) {
		struct thread *t = movable(q, (unsigned)__builtin_ctz(left));

		if (t)
			return t;
	}
	return NULL;
}

struct thread *steal_locked(struct cpu_sched *cpu)
{
	struct thread *best = NULL;

	/* From the neighbour on, so that not everybody robs the same. */
	for (unsigned i = 1; i < sched.cpu_count; i++) {
		const struct cpu_sched *from = sched.cpus[(cpu->index + i) % sched.cpu_count];
		struct thread *t =
			best_movable(&from->ready, best ? best->priority : THREAD_PRIORITY_IDLE);

		best = t ? t : best;
	}
	if (!best)
		return NULL;
	run_queue_remove(&cpu_of(best)->ready, best);
	best->cpu = cpu->index;
	cpu->steals++;
	return best;
}
