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
 * It also makes many CPUs safe: a thread is on a run queue, where another CPU may take it, only
 * while somebody holds the lock, or when it has been switched away from.
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
	/* Clocks of two CPUs may differ a little. */
	uint64_t ran = now > t->switched_in_ns ? now - t->switched_in_ns : 0;

	t->run_ns += ran;
	t->slice_left_ns -= ran < t->slice_left_ns ? ran : t->slice_left_ns;
	t->switched_in_ns = now;
}

/* From the run queue, where the idle thread is at least; before that, from another's. */
static struct thread *take_next_locked(struct cpu_sched *cpu)
{
	struct thread *next = NULL;

	if (sched.cpu_count > 1 && run_queue_best(&cpu->ready) == THREAD_PRIORITY_IDLE)
		next = steal_locked(cpu);
	if (!next)
		next = run_queue_take(&cpu->ready);
	assert(next);
	if (next == cpu->idle)
		note_idle_locked(cpu, true);
	return next;
}

void schedule_locked(void)
{
	struct cpu_sched *cpu = this_cpu();
	struct thread *previous = cpu->current;
	struct thread *next = take_next_locked(cpu);
	uint64_t now = port_now_ns();

	__atomic_store_n(&cpu->need_resched, false, __ATOMIC_RELAXED);
	charge_locked(cpu, now);
	next->state = THREAD_RUNNING;
	if (next == previous)
		return;
	next->switched_in_ns = now;
	next->switches++;
	cpu->switches++;
	cpu->current = next;
	if (previous == cpu->idle) {
		note_idle_locked(cpu, false);
		port_idle_end();
	}
	port_context_switch(&previous->context, next->context);
}

static void note_next_wake_locked(void)
{
	uint64_t next = sched.sleepers.root ? sched.sleepers.root->wake_ns : WAKE_NEVER;

	__atomic_store_n(&sched.next_wake_ns, next, __ATOMIC_RELAXED);
}

void make_ready_locked(struct thread *t)
{
	struct cpu_sched *cpu = choose_cpu_locked(t);

	if (t->in_sleep_heap) {
		sleep_queue_remove(&sched.sleepers, &t->sleep);
		t->in_sleep_heap = false;
		note_next_wake_locked();
	}
	if (t->state == THREAD_WAITING) {
		list_remove(&t->link);
		t->waiting_on = NULL;
	}
	t->state = THREAD_READY;
	t->slice_left_ns = THREAD_SLICE_NS;
	t->cpu = cpu->index;
	run_queue_add_back(&cpu->ready, t);
	if (t->priority < cpu->current->priority) {
		note_idle_locked(cpu, false);
		request_switch_locked(cpu);
	}
}

void set_alarm_locked(struct thread *t, uint64_t wake_ns)
{
	t->sleep.wake_ns = wake_ns;
	t->in_sleep_heap = true;
	sleep_queue_add(&sched.sleepers, &t->sleep);
	note_next_wake_locked();
}

/* ---- preemption ---- */

/* The current thread makes way, if anybody better (or equal, when its slice is over) is ready. */
static void preempt_locked(struct cpu_sched *cpu)
{
	struct thread *t = cpu->current;
	struct cpu_sched *idle;

	t->state = THREAD_READY;
	if (t->slice_left_ns) {
		run_queue_add_front(&cpu->ready, t);
	} else {
		t->slice_left_ns = THREAD_SLICE_NS;
		run_queue_add_back(&cpu->ready, t);
	}
	if (run_queue_first(&cpu->ready) != t) {
		sched.preemptions++;
		idle = t->pinned ? NULL : idle_cpu_locked();
		if (idle)
			request_switch_locked(idle);
	}
	schedule_locked();
}

void sched_preempt(void)
{
	struct cpu_sched *cpu = this_cpu();
	port_irq_t irq;

	if (!cpu || !__atomic_load_n(&cpu->need_resched, __ATOMIC_RELAXED))
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

/* The lock is held until this CPU has left the thread's stack: the other cannot be too early. */
void thread_pin(unsigned cpu_plus_one)
{
	port_irq_t irq = sched_lock();
	struct thread *t = current_locked();
	struct cpu_sched *to;

	assert(cpu_plus_one <= sched.cpu_count);
	t->pinned = cpu_plus_one != 0;
	if (t->pinned && t->cpu != cpu_plus_one - 1) {
		to = sched.cpus[cpu_plus_one - 1];
		t->state = THREAD_READY;
		t->cpu = to->index;
		run_queue_add_front(&to->ready, t);
		note_idle_locked(to, false);
		if (t->priority < to->current->priority)
			request_switch_locked(to);
		schedule_locked();
	}
	sched_unlock(irq);
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

/*
 * Most ticks find nothing to do, and many CPUs tick: look before taking the lock. What is read of
 * the current thread changes on this CPU only; an alarm missed by a hair is the next tick's.
 */
static bool tick_is_idle(const struct cpu_sched *cpu, uint64_t now)
{
	const struct thread *t = cpu->current;

	if (now >= __atomic_load_n(&sched.next_wake_ns, __ATOMIC_RELAXED))
		return false;
	return t == cpu->idle || now < t->switched_in_ns + t->slice_left_ns;
}

void sched_tick(void)
{
	struct cpu_sched *cpu = this_cpu();
	uint64_t now = port_now_ns();
	port_irq_t irq;

	if (!cpu)
		return;
	cpu->ticks++;
	if (tick_is_idle(cpu, now))
		return;
	irq = sched_lock();
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
		if (!__atomic_load_n(&this_cpu()->need_resched, __ATOMIC_RELAXED))
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
	t->pinned = priority == THREAD_PRIORITY_IDLE;
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
	sched.created = sched.ended = sched.preemptions = 0;
	sched.next_wake_ns = WAKE_NEVER;
	sched.cpu_count = 1;
	for (unsigned i = 0; i < array_len(sched.idle_cpus); i++)
		sched.idle_cpus[i] = 0;
}

/* A CPU's part of the scheduler, with its idle thread; NULL when out of memory. */
static struct cpu_sched *cpu_new(unsigned index)
{
	struct cpu_sched *cpu = kzalloc(sizeof *cpu);

	if (!cpu)
		return NULL;
	cpu->index = index;
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

	cpu = cpu_new(port_cpu());
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

/* ---- other CPUs ---- */

int sched_cpu_prepare(unsigned cpu, void **stack_top)
{
	struct cpu_sched *c = cpu_new(cpu);

	if (!c)
		return -ENOMEM;
	sched.cpus[cpu] = c;
	*stack_top = (char *)c->idle->stack + c->idle->stack_bytes;
	return 0;
}

void sched_cpu_abandon(unsigned cpu)
{
	thread_free(sched.cpus[cpu]->idle);
	kfree(sched.cpus[cpu]);
	sched.cpus[cpu] = NULL;
}

void sched_cpu_online(unsigned cpu)
{
	port_irq_t irq = sched_lock();
	struct cpu_sched *c = sched.cpus[cpu];
	struct thread *t = c->idle;

	assert(cpu == sched.cpu_count);
	t->priority = THREAD_PRIORITY_IDLE;
	t->detached = t->permanent = t->pinned = true;
	thread_table_add_locked(t);
	t->cpu = cpu;
	t->state = THREAD_RUNNING; /* the CPU stands on its stack already */
	t->switched_in_ns = port_now_ns();
	c->current = t;
	sched.cpu_count++;
	note_idle_locked(c, true);
	sched_unlock(irq);
}

void sched_cpu_run(void)
{
	port_irq_enable();
	idle_main(NULL);
	port_panic("the idle thread ended");
}
