/* SPDX-License-Identifier: MIT */
/*
 * The reaper: frees detached threads after their death.
 *
 * A thread of its own, because giving a stack back changes page tables and takes
 * allocator locks: that wants interrupts on and a stack that is not the one
 * being freed. It runs before the shell, so when the prompt comes back the memory is back.
 *
 * Invariant: every thread in sched.doomed is DEAD, detached and in no other list;
 * once the lock is free it has also left its stack (see sched.c).
 * Lock: sched.lock; the freeing happens outside it.
 */
#include "sched_internal.h"

static struct wait_queue reaper_queue;

void reaper_init(void)
{
	wait_queue_init_hidden(&reaper_queue, "reaper");
}

void reaper_take_locked(struct thread *t)
{
	list_push_back(&sched.doomed, &t->link);
	sched.doomed_count++;
	(void)wait_queue_wake_locked(&reaper_queue, 1);
}

static bool has_doomed(void *unused)
{
	(void)unused;
	return !list_is_empty(&sched.doomed);
}

void reaper_main(void *unused)
{
	for (;;) {
		port_irq_t irq = sched_lock();
		struct thread *t;

		(void)wait_queue_wait_locked(&reaper_queue, has_doomed, unused, WAKE_NEVER, false);
		t = list_entry(list_first(&sched.doomed), struct thread, link);
		list_remove(&t->link);
		sched.doomed_count--;
		spin_unlock(&sched.lock, irq);
		if (t->stack) /* the boot thread's is static, and so is its struct */
			thread_free(t);
	}
}
