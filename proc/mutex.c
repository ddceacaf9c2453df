/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: sleeping locks, handed over directly.
 *
 * unlock gives the mutex to the longest waiter instead of making it free: a
 * thread that comes by in between cannot snatch it, so waiting is bounded by
 * the queue before one. The price is a switch when the mutex is contended.
 *
 * Invariant: owner = NULL => no waiters; t.mutexes_held = mutexes with owner t.
 * Lock: sched.lock.
 */
#include "sched_internal.h"

void mutex_init(struct mutex *m, const char *name)
{
	m->owner = NULL;
	wait_queue_init(&m->waiters, name);
}

void mutex_destroy(struct mutex *m)
{
	assert(!m->owner);
	wait_queue_destroy(&m->waiters);
}

static bool is_mine(void *mutex)
{
	const struct mutex *m = mutex;

	return m->owner == current_locked();
}

void mutex_lock(struct mutex *m)
{
	struct thread *t;
	port_irq_t irq;

	assert(port_irq_enabled());
	irq = sched_lock();
	t = current_locked();
	assert(m->owner != t);
	if (!m->owner)
		m->owner = t;
	(void)wait_queue_wait_locked(&m->waiters, is_mine, m, WAKE_NEVER, false);
	t->mutexes_held++;
	sched_unlock(irq);
}

void mutex_unlock(struct mutex *m)
{
	port_irq_t irq = sched_lock();
	struct thread *t = current_locked();
	struct list *first = list_first(&m->waiters.waiters);

	assert(m->owner == t);
	t->mutexes_held--;
	m->owner = first ? list_entry(first, struct thread, link) : NULL;
	(void)wait_queue_wake_locked(&m->waiters, 1);
	sched_unlock(irq);
}
