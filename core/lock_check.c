/* SPDX-License-Identifier: MIT */
/*
 * Lock order, verified (builds with QUIRE_LOCK_CHECK): a CPU takes spinlocks in
 * rising rank and releases the last one first.
 *
 *   held[0].rank < held[1].rank < ... < held[depth - 1].rank
 *
 * Each CPU touches its own row only, with interrupts off: no lock.
 */
#include <quire/port.h>
#include <quire/spinlock.h>

#define LOCK_DEPTH_MAX 8

static struct {
	const struct spinlock *held[LOCK_DEPTH_MAX];
	unsigned depth;
} cpu_locks[PORT_CPUS_MAX];

void lock_check_acquire(const struct spinlock *l)
{
	__typeof__(&cpu_locks[0]) mine = &cpu_locks[port_cpu()];

	if (mine->depth == LOCK_DEPTH_MAX)
		port_panic("more than %d spinlocks held", LOCK_DEPTH_MAX);
	if (mine->depth && mine->held[mine->depth - 1]->rank >= l->rank)
		port_panic("lock order: rank %u taken while holding rank %u", l->rank,
			   mine->held[mine->depth - 1]->rank);
	mine->held[mine->depth++] = l;
}

void lock_check_release(const struct spinlock *l)
{
	__typeof__(&cpu_locks[0]) mine = &cpu_locks[port_cpu()];

	if (mine->depth == 0 || mine->held[mine->depth - 1] != l)
		port_panic("lock of rank %u released out of order", l->rank);
	mine->depth--;
}
