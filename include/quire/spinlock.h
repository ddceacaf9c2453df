/* SPDX-License-Identifier: MIT */
/*
 * Interrupt-safe spinlocks with ranks.
 *
 * spin_lock() turns interrupts off on this CPU and takes the lock;
 * spin_unlock() undoes both. Holding any spinlock therefore also means: no
 * preemption. Locks are taken in rising rank; builds with QUIRE_LOCK_CHECK
 * verify that and stop at the first violation. docs/locking.md lists the ranks.
 */
#ifndef QUIRE_SPINLOCK_H
#define QUIRE_SPINLOCK_H

#include <quire/port.h>

enum lock_rank {
	LOCK_RANK_SCHED = 10, /* run queues, wait queues, sleepers */
	/* A message queue; wait conditions take it under the scheduler's. */
	LOCK_RANK_MESSAGES = 15,
	LOCK_RANK_STACKS = 20, /* kernel stack slots and page tables */
	LOCK_RANK_KMALLOC = 30,
	LOCK_RANK_ARENA = 32,        /* slabs of one cache and one CPU, */
	LOCK_RANK_ARENA_COMMON = 34, /* of one cache and nobody, */
	LOCK_RANK_HEADERS = 36,      /* of the slab headers */
	LOCK_RANK_PAGES = 40,
	LOCK_RANK_TRACE = 45,   /* the ring of allocator events */
	LOCK_RANK_CONSOLE = 50, /* the sinks; prints lines of the log while it holds this */
	LOCK_RANK_LOG = 60,     /* innermost: the ring, and the key queue */
};

struct spinlock {
	uint32_t held; /* 0 or 1; atomic */
	uint32_t rank; /* enum lock_rank */
};

#define SPINLOCK_INIT(r) ((struct spinlock){.held = 0, .rank = (r)})

#ifdef QUIRE_LOCK_CHECK
void lock_check_acquire(const struct spinlock *l);
void lock_check_release(const struct spinlock *l);
#else
static inline void lock_check_acquire(const struct spinlock *l)
{
	(void)l;
}
static inline void lock_check_release(const struct spinlock *l)
{
	(void)l;
}
#endif

static inline port_irq_t spin_lock(struct spinlock *l)
{
	port_irq_t irq = port_irq_save();

	lock_check_acquire(l);
	while (unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)))
		while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
			port_relax();
	return irq;
}

static inline void spin_unlock(struct spinlock *l, port_irq_t irq)
{
	lock_check_release(l);
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
	port_irq_restore(irq);
}

#endif
