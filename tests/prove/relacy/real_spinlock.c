/* SPDX-License-Identifier: MIT */
/* Under test: include/quire/spinlock.h. */
#include <quire/spinlock.h>

void real_locked_add(struct spinlock *lock, uint64_t *value);

void real_locked_add(struct spinlock *lock, uint64_t *value)
{
	port_irq_t irq = spin_lock(lock);

	++*value;
	spin_unlock(lock, irq);
}
