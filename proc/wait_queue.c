/* SPDX-License-Identifier: MIT */
/*
 * Wait queues: threads that wait for something to become true.
 *
 *   queue.waiters ─► T1 ─► T2 ─► T3     by arrival
 *                          │
 *                          └ with a timeout it also has a node in sched.sleepers
 *
 * The condition is looked at under the same lock a waker must take: between the look and the
 * sleep nobody can wake in vain.
 *
 * Invariant: t is in q.waiters <=> t.state = WAITING and t.waiting_on = q.
 * Lock: sched.lock.
 */
#include "sched_internal.h"
#include <quire/errno.h>

void wait_queue_init_hidden(struct wait_queue *q, const char *name)
{
	list_init(&q->waiters);
	list_init(&q->all);
	q->name = name;
}

void wait_queue_init(struct wait_queue *q, const char *name)
{
	port_irq_t irq;

	wait_queue_init_hidden(q, name);
	irq = sched_lock();
	list_push_back(&sched.wait_queues, &q->all);
	sched_unlock(irq);
}

void wait_queue_destroy(struct wait_queue *q)
{
	port_irq_t irq = sched_lock();

	assert(list_is_empty(&q->waiters));
	list_remove(&q->all);
	sched_unlock(irq);
}

static void block_locked(struct wait_queue *q, uint64_t deadline_ns, bool interruptible)
{
	struct thread *t = current_locked();

	assert(t != this_cpu()->idle);
	t->state = THREAD_WAITING;
	t->waiting_on = q;
	t->interruptible = interruptible;
	list_push_back(&q->waiters, &t->link);
	if (deadline_ns != WAKE_NEVER)
		set_alarm_locked(t, deadline_ns);
	schedule_locked();
}

int wait_queue_wait_locked(struct wait_queue *q, bool (*condition)(void *), void *arg,
			   uint64_t deadline_ns, bool interruptible)
{
	struct thread *t = current_locked();

	t->timed_out = false;
	for (;;) {
		if (condition(arg))
			return 0;
		if (interruptible && t->kill_requested)
			return -EINTR;
		if (t->timed_out)
			return -ETIMEDOUT;
		block_locked(q, deadline_ns, interruptible);
	}
}

int wait_queue_wait(struct wait_queue *q, bool (*condition)(void *), void *arg, uint64_t timeout_ns)
{
	port_irq_t irq;
	int result;

	assert(port_irq_enabled());
	irq = sched_lock();
	result = wait_queue_wait_locked(q, condition, arg,
					timeout_ns ? deadline_after(timeout_ns) : WAKE_NEVER, true);
	sched_unlock(irq);
	return result;
}

unsigned wait_queue_wake_locked(struct wait_queue *q, unsigned count)
{
	unsigned woken = 0;
	struct list *first;

	while (woken < count && (first = list_first(&q->waiters)) != NULL) {
		make_ready_locked(list_entry(first, struct thread, link));
		woken++;
	}
	return woken;
}

unsigned wait_queue_wake(struct wait_queue *q, unsigned count)
{
	port_irq_t irq = sched_lock();
	unsigned woken = wait_queue_wake_locked(q, count);

	sched_unlock(irq);
	return woken;
}
