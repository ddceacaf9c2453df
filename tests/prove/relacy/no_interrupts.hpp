/* SPDX-License-Identifier: MIT */
/* What a model asks of its CPUs when it has no interrupts: they are on, and nothing comes. */
#ifndef QUIRE_PROVE_NO_INTERRUPTS_HPP
#define QUIRE_PROVE_NO_INTERRUPTS_HPP

#include "runtime.hpp"

extern "C" bool prove_irq_save(void)
{
	return true;
}
extern "C" void prove_irq_restore(bool)
{
}
extern "C" bool prove_irq_enabled(void)
{
	return true;
}
extern "C" void prove_relax(void)
{
	rl::yield(1, $);
}

#endif
