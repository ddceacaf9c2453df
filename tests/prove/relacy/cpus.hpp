/* SPDX-License-Identifier: MIT */
/*
 * CPUs for the models: interrupts, the halt, and one translation each may have cached.
 *
 * An interrupt is sent by setting `pending` (release) and taken where a CPU turns interrupts on,
 * relaxes with them on, or halts (acquire). What a CPU does between is not interrupted: where it
 * is, its own plain accesses would be in the same order.
 */
#include "real_tlb.h"
#include "runtime.hpp"

#include <csetjmp>

namespace cpus
{

inline struct machine {
	bool irq_on, asleep_for_good;
	bool has_translation;
	uint32_t translation;
	jmp_buf bed, end_of_join;
} cpu[PROVE_CPUS];

inline uint32_t pending[PROVE_CPUS]; /* shared */
inline uint32_t finished;            /* shared: askers that are done */
inline uint32_t askers;
inline uint32_t pte;      /* shared: 1 maps the frame */
inline uint64_t frame;    /* plain: 1 once it is somebody else's */
inline void (*handler)(); /* of an interrupt that comes before the other, or ends a rest; or NULL */

inline machine &me()
{
	return cpu[prove_cpu()];
}

/* The page walker; it may do so at any time, just in case. */
inline void walk()
{
	machine &m = me();

	if (m.has_translation)
		return;
	m.translation = prove::load(pte, rl::mo_relaxed);
	m.has_translation = true;
}

/* An access through it. */
inline void use_translation()
{
	walk();
	if (!me().translation)
		return;
	prove::touch(frame, false);
	prove::require(!frame, "a frame is used that is somebody else's");
}

/* Take the translation away from all CPUs; then the frame is somebody else's. */
inline void take_away()
{
	prove::store(pte, 0u, rl::mo_relaxed);
	me().has_translation = false; /* invlpg */
	tlb_shootdown();
	prove::touch(frame, true);
	frame = 1;
}

/* As trap_dispatch(). */
inline void interrupt(void (*handler)())
{
	me().irq_on = false;
	idle_interrupted();
	if (handler)
		handler();
	me().irq_on = true;
}

inline bool surprising;    /* the handler comes at its own times */
inline unsigned surprises; /* so often the handler may come by itself, on `surprised` */
inline unsigned surprised;

inline bool comes_by_itself()
{
	if (!surprises || prove_cpu() != surprised || !rl::rand(2))
		return false;
	surprises--;
	return true;
}

/* Has another CPU sent one? (An addition sees the newest, and orders nothing.) */
inline bool is_pending()
{
	return prove::add(pending[prove_cpu()], 0u, rl::mo_relaxed) &&
	       prove::exchange(pending[prove_cpu()], 0u, rl::mo_acquire);
}

inline void handle_pending()
{
	if (handler && !surprising)
		interrupt(handler);
	interrupt(real_tlb_interrupt);
}

inline bool take_interrupts()
{
	if (!prove::active)
		return false;
	if (comes_by_itself())
		interrupt(handler);
	if (!is_pending())
		return false;
	handle_pending();
	return true;
}

/* Halts for ever: until everybody who might ask is done. */
inline void sleep_for_good()
{
	if (setjmp(me().bed))
		return;
	me().asleep_for_good = true;
	for (;;)
		port_idle();
}

/* From the trampoline to the first thread, and that to its end. */
inline void join(unsigned n)
{
	if (!setjmp(me().end_of_join))
		real_begin(n);
}

/* One who asks is done. */
inline void finish()
{
	(void)prove::add(finished, 1u, rl::mo_relaxed);
	sleep_for_good();
}

inline void reset(unsigned online, unsigned who_ask)
{
	for (machine &m : cpu)
		m = machine{true, false, false, 0, {}, {}};
	for (uint32_t &p : pending) {
		p = 0;
		prove::share(p);
	}
	finished = 0;
	askers = who_ask;
	pte = 1;
	frame = 0;
	handler = nullptr;
	surprising = false;
	surprises = 0;
	prove::share(finished);
	prove::share(pte);
	real_reset(online);
}

} // namespace cpus

extern "C" {

bool prove_irq_save(void)
{
	bool was = cpus::me().irq_on;

	cpus::me().irq_on = false;
	return was;
}

void prove_irq_restore(bool on)
{
	cpus::me().irq_on = on;
	if (on)
		cpus::take_interrupts();
}

bool prove_irq_enabled(void)
{
	return cpus::me().irq_on;
}

/* As the kernel's port_relax(). */
void prove_relax(void)
{
	cpus::walk();
	tlb_answer();
	if (cpus::me().irq_on)
		cpus::take_interrupts();
	rl::yield(1, $);
}

void prove_forget(void)
{
	cpus::me().has_translation = false;
}

void prove_send(unsigned cpu)
{
	(void)prove::exchange(cpus::pending[cpu], 1u, rl::mo_release);
}

void prove_instruction(const char *text)
{
	using namespace cpus;

	if (strstr(text, "pause")) {
		walk();
		rl::yield(1, $);
		return;
	}
	if (!strstr(text, "hlt"))
		prove::die(text, 0);
	me().irq_on = true;
	if (!me().asleep_for_good) /* something else woke it */
		interrupt(handler);
	else
		while (!take_interrupts()) {
			/* An addition sees the newest: fewer executions to look at. */
			if (prove::add(finished, 0u, rl::mo_relaxed) == askers)
				longjmp(me().bed, 1);
			rl::yield(1, $);
		}
	me().irq_on = false;
}

void prove_first_thread(void)
{
	cpus::me().irq_on = true;
	cpus::take_interrupts();
	cpus::use_translation();
	cpus::sleep_for_good();
	longjmp(cpus::me().end_of_join, 1);
}

} // extern "C"
