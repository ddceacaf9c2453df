/* SPDX-License-Identifier: MIT */
/*
 * Waking threads: proc/sched.c, balance.c, wait_queue.c and thread.c, with the halt (idle.c) and the
 * kick (smp.c), on two CPUs.
 *
 *   when both CPUs halt and nothing is on its way    no thread is ready, none waits for what is true
 *   a CPU that computes for ever                     waits in vain for none that an idle CPU could run
 *
 * There are no ticks: on a machine they would hide what is lost, until the next one, or, where they
 * are stopped, not at all. Threads have stacks of their own and go from CPU to CPU.
 */
#include "real_wake.h"
#include "runtime.hpp"

#include <csetjmp>

#define CPUS 2

static struct machine {
	bool irq_on, halted;
	jmp_buf bed;
} machines[CPUS];

static uint32_t pending[CPUS];        /* shared: a kick is on its way, or waits for interrupts */
static bool over;                     /* all have halted, for good */
static void (*handler)();             /* of an interrupt that comes by itself */
static unsigned surprises, surprised; /* so often, on that CPU */

static uint32_t flags[PROVE_QUEUES]; /* shared */
static unsigned done;                /* threads that got to their end */

/* What the model takes away, to see that it is missed. */
enum breakage {
	WHOLE,
	NO_KICK,
	NO_PREEMPT,
	NO_LOOK
};
static const char *const breakages[] = {
	"no kick is sent",
	"an interrupt does not end in sched_preempt()",
	"need_resched is not looked at before the halt",
};

static machine &me()
{
	return machines[prove_cpu()];
}

/* The newest; a look from outside, not the program's. */
template <typename T> static T newest(T &location)
{
	return (T)prove::cell_at(&location, sizeof location).atomic->debug_value();
}

static bool others_rest(bool and_i)
{
	for (unsigned i = 0; i < CPUS; i++)
		if (newest(pending[i]) || (!machines[i].halted && (and_i || i != prove_cpu())))
			return false;
	return true;
}

/* As trap_dispatch(). */
static void interrupt(void (*f)())
{
	me().irq_on = false;
	idle_interrupted();
	f();
	if (prove::broken != NO_PREEMPT)
		sched_preempt();
	me().irq_on = true; /* perhaps another CPU by now */
}

static bool comes_by_itself(bool must)
{
	if (!surprises || prove_cpu() != surprised || (!must && !rl::rand(2)))
		return false;
	surprises--;
	return true;
}

static bool take_interrupts(bool last)
{
	uint32_t &p = pending[prove_cpu()];

	if (comes_by_itself(last)) {
		interrupt(handler);
		return true;
	}
	if (!newest(p) || !prove::exchange(p, 0u, rl::mo_acquire))
		return false;
	interrupt(real_kicked);
	return true;
}

/* A place where interrupts are on, and others may have sent some. */
static void let_in(bool last)
{
	if (!prove::active)
		return;
	(void)prove::add(pending[prove_cpu()], 0u, rl::mo_relaxed);
	while (take_interrupts(last))
		;
}

/* Until an interrupt was handled; perhaps much later, the thread that halts being switched away from. */
static void halt()
{
	for (;;) {
		bool all = others_rest(true);

		if (over || (all && !surprises)) {
			over = true;
			longjmp(me().bed, 1);
		}
		me().halted = false; /* in the handler it does not */
		if (take_interrupts(all))
			return;
		me().halted = true;
		rl::yield(1, $);
	}
}

extern "C" {

bool prove_irq_save(void)
{
	bool was = me().irq_on;

	me().irq_on = false;
	return was;
}

void prove_irq_restore(bool on)
{
	me().irq_on = on;
	if (on)
		let_in(false);
}

bool prove_irq_enabled(void)
{
	return me().irq_on;
}

void prove_relax(void)
{
	if (me().irq_on)
		let_in(prove::active && others_rest(false)); /* else it may never come */
	rl::yield(1, $);
}

void prove_forget(void)
{
}

void prove_send(unsigned cpu)
{
	if (!prove::active)
		pending[cpu] = 1;
	else if (prove::broken != NO_KICK)
		(void)prove::exchange(pending[cpu], 1u, rl::mo_release);
}

void prove_instruction(const char *text)
{
	if (!strstr(text, "hlt"))
		prove::die(text, 0);
	me().irq_on = true;
	halt();
	me().irq_on = false;
}

void prove_first_thread(void)
{
}

bool prove_blind(const char *function)
{
	return prove::broken == NO_LOOK && !strcmp(function, "idle_main");
}

void prove_idle_work(void)
{
	let_in(false);
}

} // extern "C"

/* ---- scenarios ---- */

static void finish()
{
	done++;
	real_wait_for_ever();
}

template <typename derived> struct scene {
	static inline unsigned expected; /* threads that get to their end */

	void begin()
	{
		for (machine &m : machines)
			m = machine{true, false, {}};
		over = false;
		handler = nullptr;
		surprises = surprised = done = 0;
		for (uint32_t &p : pending)
			p = 0;
		for (uint32_t &f : flags)
			f = 0;
		real_reset(CPUS);
		prove::unshare_all(); /* of forgetting translations; here each CPU has its own */
		real_kick_init();
		real_sched_reset();
		expected = derived::set_up();
		for (uint32_t &p : pending)
			prove::share(p);
		for (uint32_t &f : flags)
			prove::share(f);
		real_sched_share();
	}
	void cpu(unsigned n)
	{
		if (setjmp(machines[n].bed))
			return;
		if (n == 1) {
			machines[1].irq_on = false;
			sched_cpu_run();
		}
		real_go_on([](void *) {
			derived::boot();
			finish();
		});
	}
	void end()
	{
		const char *wrong = real_sched_check();

		prove::require(!wrong, wrong);
		prove::require(done == expected, "a thread was not woken");
	}
};

/* Until the flag is set by another thread, which an idle CPU must run. */
static void compute_until(uint32_t &flag)
{
	while (!newest(flag)) {
		prove::require(surprises || !others_rest(false),
			       "a CPU computes for ever, and nobody runs who could end it");
		prove_relax();
	}
}

static void waits_for_0(void *)
{
	real_wait(0, &flags[0]);
	finish();
}

static void waits_for_1(void *)
{
	real_wait(1, &flags[1]);
	finish();
}

static void wake_0()
{
	real_wake(0, &flags[0]);
}

static void wake_1()
{
	real_wake(1, &flags[1]);
}

/* CPU 0 wakes a thread of CPU 1, while that decides to halt. */
struct across : scene<across> {
	static unsigned set_up()
	{
		real_thread(waits_for_0, 2, 0);
		return 2;
	}
	static void boot()
	{
		wake_0();
	}
};

/* To and fro. */
struct answered : scene<answered> {
	static void answers(void *)
	{
		real_wait(0, &flags[0]);
		wake_1();
		finish();
	}
	static unsigned set_up()
	{
		real_thread(answers, 2, 0);
		return 2;
	}
	static void boot()
	{
		wake_0();
		real_wait(1, &flags[1]);
	}
};

/* Two that may run anywhere. */
struct two : scene<two> {
	static unsigned set_up()
	{
		real_thread(waits_for_0, 0, 0);
		real_thread(waits_for_1, 0, 0);
		return 3;
	}
	static void boot()
	{
		wake_0();
		wake_1();
	}
};

/* An interrupt on the CPU that decides to halt. */
struct interrupted : scene<interrupted> {
	static unsigned set_up()
	{
		real_thread(waits_for_0, 2, 0);
		handler = wake_0;
		surprises = surprised = 1;
		return 2;
	}
	static void boot()
	{
	}
};

/* One of its threads by that, and one by the other CPU. */
struct interrupted_and_kicked : scene<interrupted_and_kicked> {
	static unsigned set_up()
	{
		real_thread(waits_for_0, 2, 0);
		real_thread(waits_for_1, 2, 0);
		handler = wake_0;
		surprises = surprised = 1;
		return 3;
	}
	static void boot()
	{
		wake_1();
	}
};

/* Made while the other is at work or goes to rest; CPU 0 does not let go. */
struct left_to_the_idle : scene<left_to_the_idle> {
	static void sets_1(void *)
	{
		wake_1();
		finish();
	}
	static unsigned set_up()
	{
		real_thread(waits_for_0, 2, 0);
		return 3;
	}
	static void boot()
	{
		wake_0();
		real_thread(sets_1, 0, 0);
		compute_until(flags[1]);
	}
};

/* An interrupt wakes a better one, which ousts the boot thread and does not let go: CPU 1 takes that. */
struct ousted : scene<ousted> {
	static void better(void *)
	{
		real_wait(0, &flags[0]);
		prove::store(flags[2], 1u, rl::mo_relaxed);
		compute_until(flags[1]);
		finish();
	}
	static unsigned set_up()
	{
		real_thread(better, 1, PROVE_PRIORITY - 1);
		handler = wake_0;
		surprises = 1;
		return 2;
	}
	static void boot()
	{
		compute_until(flags[2]);
		wake_1();
	}
};

/* To CPU 1 and back. */
struct moved : scene<moved> {
	static unsigned set_up()
	{
		return 1;
	}
	static void boot()
	{
		thread_pin(2);
		thread_pin(1);
	}
};

/* Given a thread before it is there to hear of it: nobody tells it again. */
struct given_before : scene<given_before> {
	static void at_once(void *)
	{
		finish();
	}
	static unsigned set_up()
	{
		real_thread(at_once, 2, 0);
		pending[1] = 0;
		return 2;
	}
	static void boot()
	{
	}
};

int main()
{
	return prove::check(
		{
			SCENARIO(given_before, 2, 2),
			SCENARIO(across, 2, 2),
			SCENARIO(moved, 2, 2),
			SCENARIO(interrupted, 2, 2),
			SCENARIO(answered, 2, 2),
			SCENARIO(ousted, 2, 2),
			SCENARIO(left_to_the_idle, 2, 2),
			SCENARIO(two, 2, 2),
			SCENARIO(interrupted_and_kicked, 2, 2),
		},
		{}, {"spinlock.h", "sched.c", "balance.c", "wait_queue.c", "thread.c", "smp.c"},
		{breakages, breakages + 3});
}
