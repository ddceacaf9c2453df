/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's validator: every thread is in the one place its state says, and nowhere else.
 *
 *   state      on a list through .link             in the sleep heap
 *   RUNNING    none; it is its CPU's current       no
 *   READY      its CPU's run queue                 no
 *   SLEEPING   none                                yes
 *   WAITING    waiting_on's waiters                perhaps
 *   DEAD       none (detached: sched.doomed)       no
 *
 * Together with the sums (as many READY threads as the run queues hold, as many alarms
 * as heap nodes) that makes the map from threads to places one to one.
 * Lock: sched.lock, for O(threads).
 */
#include "sched_internal.h"

static bool list_holds(const struct list *head, const struct list *wanted)
{
	list_for_each (node, head)
		if (node == wanted)
			return true;
	return false;
}

static const char *check_place(const struct thread *t)
{
	bool linked = !list_is_empty(&t->link);

	switch (t->state) {
	case THREAD_READY:
		return linked && !t->in_sleep_heap ? NULL : "a ready thread is not on a run queue";
	case THREAD_RUNNING:
		if (cpu_of(t)->current != t)
			return "a running thread is not its CPU's current one";
		return !linked && !t->in_sleep_heap ? NULL : "the running thread is queued";
	case THREAD_SLEEPING:
		return !linked && t->in_sleep_heap ? NULL : "a sleeper has no alarm or is queued";
	case THREAD_WAITING:
		if (!t->waiting_on || !list_holds(&t->waiting_on->waiters, &t->link))
			return "a waiting thread is not on its wait queue";
		return NULL;
	case THREAD_DEAD:
		return !linked && !t->in_sleep_heap ? NULL : "a dead thread is queued";
	}
	return "a thread's state is none of the states";
}

static const char *check_thread(const struct thread *t)
{
	if ((t->waiting_on != NULL) != (t->state == THREAD_WAITING))
		return "waiting_on disagrees with the state";
	if (t->state == THREAD_DEAD && t->detached)
		return "a dead detached thread was not given to the reaper";
	if (t->priority >= THREAD_PRIORITIES)
		return "a thread's priority is out of range";
	return check_place(t);
}

struct sums {
	uint64_t ready, alarms, alive;
};

static const char *check_threads_locked(struct sums *sums)
{
	const struct thread *before = NULL;

	list_for_each (node, &sched.threads) {
		const struct thread *t = list_entry(node, struct thread, all);
		const char *wrong = check_thread(t);

		if (wrong)
			return wrong;
		if (before && before->id >= t->id)
			return "the list of threads is not in id order";
		if (thread_find_locked(t->id) != t)
			return "a thread is not found by its id";
		sums->ready += t->state == THREAD_READY;
		sums->alarms += t->in_sleep_heap;
		sums->alive += t->state != THREAD_DEAD;
		before = t;
	}
	return NULL;
}

static const char *check_cpus_locked(uint64_t *ready)
{
	for (unsigned i = 0; i < sched.cpu_count; i++) {
		const struct cpu_sched *cpu = sched.cpus[i];
		const char *wrong = run_queue_check(&cpu->ready);

		if (wrong)
			return wrong;
		if (cpu->index != i || cpu->current->cpu != i || cpu->idle->cpu != i)
			return "a CPU's threads think they are on another";
		if (cpu->current != cpu->idle && (sched.idle_cpus[i / 64] >> i % 64 & 1))
			return "a CPU that is not idle counts as idle";
		if (cpu->current->state != THREAD_RUNNING)
			return "a CPU's current thread is not running";
		if (cpu->idle->state != THREAD_READY && cpu->idle->state != THREAD_RUNNING)
			return "an idle thread is neither ready nor running";
		*ready += run_queue_total(&cpu->ready);
	}
	return NULL;
}

static const char *check_doomed_locked(void)
{
	uint64_t n = 0;

	list_for_each (node, &sched.doomed) {
		const struct thread *t = list_entry(node, struct thread, link);

		if (t->state != THREAD_DEAD || !t->detached || !list_is_empty(&t->all))
			return "the reaper was given a thread that is not dead and detached";
		n++;
	}
	return n == sched.doomed_count ? NULL : "the reaper's list differs from its count";
}

static const char *check_locked(void)
{
	struct sums sums = {0, 0, 0};
	uint64_t queued = 0;
	const char *wrong = check_threads_locked(&sums);

	if (!wrong)
		wrong = check_cpus_locked(&queued);
	if (!wrong)
		wrong = sleep_queue_check(&sched.sleepers);
	if (!wrong)
		wrong = check_doomed_locked();
	if (wrong)
		return wrong;
	if (sums.ready != queued)
		return "the run queues hold other threads than the ready ones";
	if (sums.alarms != sched.sleepers.count)
		return "the sleep queue holds other threads than those with an alarm";
	if (sums.alive != sched.created - sched.ended)
		return "living threads differ from created minus ended";
	return NULL;
}

const char *sched_check(void)
{
	port_irq_t irq;
	const char *wrong;

	if (!thread_current())
		return NULL;
	irq = sched_lock();
	wrong = check_locked();
	sched_unlock(irq);
	return wrong;
}
