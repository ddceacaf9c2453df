/* SPDX-License-Identifier: MIT */
/* Two CPUs add to a plain variable under a spinlock: nothing is lost, and nobody sees a half. */
#include "no_interrupts.hpp"

struct spinlock {
	uint32_t held, rank;
};
extern "C" void real_locked_add(spinlock *lock, uint64_t *value);

struct adders {
	spinlock lock;
	uint64_t value;

	void begin()
	{
		lock = {0, 50};
		value = 0;
		prove::share(lock.held);
	}
	void cpu(unsigned n)
	{
		if (n == 0)
			real_locked_add(&lock, &value);
		real_locked_add(&lock, &value);
	}
	void end()
	{
		prove::require(value == 3 && lock.held == 0, "an addition was lost");
	}
};

/* A third CPU; preemptions bounded, or there would be millions of executions. */
struct three_adders : adders {
	void cpu(unsigned)
	{
		real_locked_add(&lock, &value);
	}
};

int main()
{
	return prove::check({SCENARIO(adders, 2, 0), SCENARIO(three_adders, 3, 3)}, {});
}
