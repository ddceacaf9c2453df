/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: who runs, and for how long.
 *
 * The best ready thread runs; equals take turns of THREAD_SLICE_NS; an ousted
 * thread that still has slice left keeps its place at the head of its list.
 * Nothing here allocates, so none of it can fail.
 *
 * A switch, seen along the CPU (L = sched.lock taken, U = released):
 *
 *   thread A   ..L [A leaves its place] schedule_locked() ----.
 *                                                  port_context_switch()
 *   thread B      ...returns from its own schedule_locked() <-'  U..
 *   or a new one          thread_start(): U, interrupts on, entry()
 *
 * Because the lock is held until B runs on its own stack, whoever takes the
 * lock and finds A dead knows that A has left its stack for good.
 *
 * Invariant: on a CPU that runs threads there is exactly one RUNNING thread, current, and it is on
 * no list; the idle thread is READY or RUNNING, so the run queue of a CPU whose current thread
 * blocks is never empty.
 * Lock: sched.lock.
 */
#include "sched_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>

struct sched sched = {
	.lock = SPINLOCK_INIT(LOCK_RANK_SCHED),
	.wait_queues = {&sched.wait_queues, &sched.wait_queues}, /* usable before sched_init() */
};

static struct thread boot_thread; /* the only one not from kmalloc */

uint64_t deadline_after(uint64_t ns)
{
	uint64_t now = port_now_ns();

	return ns > WAKE_NEVER - now ? WAKE_NEVER : now + ns;
}

/* Book the time since the last charge on the running thread and its slice. */
static void charge_locked(struct cpu_sched *cpu, uint64_t now)
{
	struct thread *t = cpu->current;
	uint64_t ran = now - t->switched_in_ns;

	t->run_ns += ran;
	t->slice_left_ns -= ran < t->slice_left_ns ? ran : t->slice_left_ns;
	t->switched_in_ns = now;
}

void schedule_locked(void)
{
	struct cpu_sched *cpu = this_cpu();
	struct thread *previous = cpu->current;
	struct thread *next = run_queue_take(&cpu->ready);
	uint64_t now = port_now_ns();

	assert(next); /* the idle thread at least */
	cpu->need_resched = false;
	charge_locked(cpu, now);
	next->state = THREAD_RUNNING;
	if (next == previous)
		return;
	next->switched_in_ns = now;
	next->switches++;
	sched.switches++;
	cpu->current = next;
	port_context_switch(&previous->context, next->context);
}

void make_ready_locked(struct thread *t)
{
	struct cpu_sched *cpu = cpu_of(t);

	if (t->in_sleep_heap) {
		sleep_queue_remove(&sched.sleepers, &t->sleep);
		t->in_sleep_heap = false;
	}
	if (t->state == THREAD_WAITING) {
		list_remove(&t->link);
		t->waiting_on = NULL;
	}
	t->state = THREAD_READY;
	t->slice_left_ns = THREAD_SLICE_NS;
	run_queue_add_back(&cpu->ready, t);
	if (t->priority < cpu->current->priority)
		cpu->need_resched = true;
}

void set_alarm_locked(struct thread *t, uint64_t wake_ns)
{
	t->sleep.wake_ns = wake_ns;
	t->in_sleep_heap = true;
	sleep_queue_add(&sched.sleepers, &t->sleep);
}

/* ---- preemption ---- */

/* The current thread makes way, if anybody better (or equal, when its slice is over) is ready. */
static void preempt_locked(struct cpu_sched *cpu)
{
	struct thread *t = cpu->current;

	t->state = THREAD_READY;
	if (t->slice_left_ns) {
		run_queue_add_front(&cpu->ready, t);
	} else {
		t->slice_left_ns = THREAD_SLICE_NS;
		run_queue_add_back(&cpu->ready, t);
	}
	if (run_queue_first(&cpu->ready) != t)
		sched.preemptions++;
	schedule_locked();
}

void sched_preempt(void)
{
	struct cpu_sched *cpu = this_cpu();
	port_irq_t irq;

	if (!cpu || !cpu->need_resched)
		return;
	irq = sched_lock();
	preempt_locked(cpu);
	spin_unlock(&sched.lock, irq);
}

void sched_unlock(port_irq_t irq)
{
	spin_unlock(&sched.lock, irq);
	/* With interrupts off this was an interrupt handler: it ends in sched_preempt(). */
	if (!port_irq_enabled())
		return;
	irq = port_irq_save();
	sched_preempt();
	port_irq_restore(irq);
}

void thread_yield(void)
{
	port_irq_t irq = sched_lock();
	struct cpu_sched *cpu = this_cpu();
	struct thread *t = cpu->current;

	t->state = THREAD_READY;
	t->slice_left_ns = THREAD_SLICE_NS;
	run_queue_add_back(&cpu->ready, t);
	schedule_locked();
	spin_unlock(&sched.lock, irq);
}

/* ---- the tick ---- */

static void wake_sleepers_locked(uint64_t now)
{
	while (sched.sleepers.root && sched.sleepers.root->wake_ns <= now) {
		struct thread *t = container_of(sched.sleepers.root, struct thread, sleep);

		if (t->state == THREAD_WAITING)
			t->timed_out = true;
		make_ready_locked(t);
	}
}

/* Its slice is used up: an equal's turn, or another slice when there is none. */
static void end_slice_locked(struct cpu_sched *cpu)
{
	struct thread *t = cpu->current;

	if (run_queue_best(&cpu->ready) <= t->priority)
		cpu->need_resched = true;
	else
		t->slice_left_ns = THREAD_SLICE_NS;
}

void sched_tick(void)
{
	struct cpu_sched *cpu = this_cpu();
	port_irq_t irq;
	uint64_t now;

	if (!cpu)
		return;
	irq = sched_lock();
	now = port_now_ns();
	sched.ticks++;
	charge_locked(cpu, now);
	wake_sleepers_locked(now);
	if (cpu->current->slice_left_ns == 0)
		end_slice_locked(cpu);
	spin_unlock(&sched.lock, irq);
}

/* ---- idle ---- */

/*
 * Interrupts are off between looking at need_resched and the halt, and port_idle() turns them on in
 * the same step as it halts: a wakeup cannot slip in between and be slept through.
 */
static void idle_main(void *unused)
{
	(void)unused;
	for (;;) {
		port_irq_t irq;

		port_idle_work();
		irq = port_irq_save();
		if (!this_cpu()->need_resched)
			port_idle();
		sched_preempt();
		port_irq_restore(irq);
	}
}

/* ---- start ---- */

struct thread *thread_current(void)
{
	port_irq_t irq = port_irq_save();
	struct cpu_sched *cpu = this_cpu();
	struct thread *t = cpu ? cpu->current : NULL;

	port_irq_restore(irq);
	return t;
}

/* Whatever called sched_init() has been running all the time; now it has a struct. */
static void adopt_boot_thread_locked(struct cpu_sched *cpu)
{
	struct thread *t = &boot_thread;

	*t = (struct thread){
		.state = THREAD_RUNNING,
		.priority = THREAD_PRIORITY_DEFAULT,
		.detached = true,
		.permanent = true,
		.slice_left_ns = THREAD_SLICE_NS,
		.switched_in_ns = port_now_ns(),
		.name = "boot",
	};
	list_init(&t->link);
	wait_queue_init_hidden(&t->joiner, "join");
	thread_table_add_last_locked(t);
	t->cpu = port_cpu();
	cpu->current = t;
}

static void start_permanent_locked(struct thread *t, uint8_t priority)
{
	t->priority = priority;
	t->detached = true;
	t->permanent = true;
	thread_table_add_locked(t);
	t->cpu = port_cpu();
	make_ready_locked(t);
}

static void reset_locked(void)
{
	sleep_queue_init(&sched.sleepers);
	thread_table_init_locked();
	list_init(&sched.doomed);
	sched.doomed_count = 0;
	sched.created = sched.ended = sched.switches = sched.preemptions = sched.ticks = 0;
}

/* A CPU's part of the scheduler, with its idle thread; NULL when out of memory. */
static struct cpu_sched *cpu_new(void)
{
	struct cpu_sched *cpu = kzalloc(sizeof *cpu);

	if (!cpu)
		return NULL;
	run_queue_init(&cpu->ready);
	cpu->idle = thread_new("idle", idle_main, NULL, THREAD_STACK_BYTES);
	if (!cpu->idle) {
		kfree(cpu);
		return NULL;
	}
	return cpu;
}

int sched_init(void)
{
	struct cpu_sched *cpu;
	struct thread *reaper;
	port_irq_t irq;

	cpu = cpu_new();
	if (!cpu)
		return -ENOMEM;
	reaper = thread_new("reaper", reaper_main, NULL, THREAD_STACK_BYTES);
	if (!reaper) {
		thread_free(cpu->idle);
		kfree(cpu);
		return -ENOMEM;
	}
	irq = sched_lock();
	reset_locked();
	sched.cpus[port_cpu()] = cpu;
	reaper_init();
	adopt_boot_thread_locked(cpu);
	start_permanent_locked(cpu->idle, THREAD_PRIORITY_IDLE);
	start_permanent_locked(reaper, THREAD_PRIORITY_REAPER);
	sched_unlock(irq);
	return 0;
}
