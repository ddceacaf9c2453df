/* SPDX-License-Identifier: MIT */
/*
 * The life of a thread: made, ended, joined, killed.
 *
 *   thread_create ─► READY ◄──► RUNNING ──► DEAD ─┬─ joinable: thread_join() frees it
 *                      ▲           │               └─ detached: the reaper frees it
 *                      └─ SLEEPING, WAITING ◄
 *
 * Nobody frees itself: a thread stands on its stack to the last instruction.
 * A joinable thread belongs to its joiner, a detached one, from its death, to the reaper.
 *
 * Invariant: created - ended = threads that are not DEAD; each struct and each stack has one owner.
 * Lock: sched.lock; memory is taken and given back outside it.
 */
#include "sched_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>

/* ---- making ---- */

/* Where every thread begins: the switch came with the lock held and interrupts off. */
static void thread_start(void *argument)
{
	struct thread *t = argument;

	spin_unlock(&sched.lock, port_irq_save()); /* that is: still off */
	port_irq_enable();
	t->entry(t->argument);
	thread_exit(0);
}

static void copy_name(char *to, const char *from)
{
	size_t i = 0;

	for (; from[i] && i < THREAD_NAME_BYTES - 1; i++)
		to[i] = from[i];
	to[i] = '\0';
}

struct thread *thread_new(const char *name, void (*entry)(void *), void *argument,
			  size_t stack_bytes)
{
	struct thread *t = kzalloc(sizeof *t);

	if (!t)
		return NULL;
	t->stack_bytes = align_up(stack_bytes ? stack_bytes : THREAD_STACK_BYTES, PAGE_BYTES);
	t->stack = port_stack_alloc(t->stack_bytes);
	if (!t->stack) {
		kfree(t);
		return NULL;
	}
	copy_name(t->name, name);
	t->entry = entry;
	t->argument = argument;
	list_init(&t->link);
	list_init(&t->all);
	wait_queue_init_hidden(&t->joiner, "join");
	t->context = port_context_init(t->stack, t->stack_bytes, thread_start, t);
	return t;
}

void thread_free(struct thread *t)
{
	port_stack_free(t->stack, t->stack_bytes);
	kfree(t);
}

uint32_t thread_create(const char *name, void (*entry)(void *), void *argument,
		       const struct thread_options *options)
{
	static const struct thread_options defaults;
	const struct thread_options *o = options ? options : &defaults;
	struct thread *t;
	port_irq_t irq;
	uint32_t id;

	assert(o->priority < THREAD_PRIORITY_IDLE);
	t = thread_new(name, entry, argument, o->stack_bytes);
	if (!t)
		return 0;
	t->priority = o->priority ? o->priority : THREAD_PRIORITY_DEFAULT;
	t->detached = o->detached;
	t->pinned = o->cpu_plus_one != 0;
	irq = sched_lock();
	assert(o->cpu_plus_one <= sched.cpu_count);
	thread_table_add_locked(t);
	t->cpu = t->pinned ? o->cpu_plus_one - 1 : port_cpu();
	id = t->id; /* once the lock is gone, t may be too */
	make_ready_locked(t);
	sched_unlock(irq);
	return id;
}

/* ---- ending ---- */

void thread_exit(int32_t code)
{
	struct thread *t;

	(void)sched_lock();
	t = current_locked();
	assert(t->mutexes_held == 0);
	t->exit_code = code;
	t->state = THREAD_DEAD;
	sched.ended++;
	if (t->detached) {
		thread_table_remove_locked(t);
		reaper_take_locked(t);
	} else {
		(void)wait_queue_wake_locked(&t->joiner, 1);
	}
	schedule_locked();
	port_panic("thread %u ran on after its end", t->id);
}

static bool is_dead(void *thread)
{
	const struct thread *t = thread;

	return t->state == THREAD_DEAD;
}

/* Who may be joined by the current thread. */
static int may_join_locked(const struct thread *t)
{
	if (!t)
		return -ESRCH;
	if (t == current_locked())
		return -EDEADLK;
	return t->detached || t->permanent || t->joined ? -EINVAL : 0;
}

int thread_join(uint32_t id, int32_t *code)
{
	struct thread *t;
	port_irq_t irq;
	int error;

	assert(port_irq_enabled());
	irq = sched_lock();
	t = thread_find_locked(id);
	error = may_join_locked(t);
	if (error)
		goto out;
	t->joined = true; /* it is ours: nobody else will free it while we wait */
	error = wait_queue_wait_locked(&t->joiner, is_dead, t, WAKE_NEVER, true);
	if (error) {
		t->joined = false;
		goto out;
	}
	thread_table_remove_locked(t);
	sched_unlock(irq);
	if (code)
		*code = t->exit_code;
	thread_free(t);
	return 0;
out:
	sched_unlock(irq);
	return error;
}

/* ---- killing ---- */

int thread_kill(uint32_t id)
{
	port_irq_t irq = sched_lock();
	struct thread *t = thread_find_locked(id);
	int error = 0;

	if (!t || t->state == THREAD_DEAD) {
		error = -ESRCH;
	} else if (t->permanent) {
		error = -EINVAL;
	} else {
		t->kill_requested = true;
		if (t->state == THREAD_SLEEPING || (t->state == THREAD_WAITING && t->interruptible))
			make_ready_locked(t);
	}
	sched_unlock(irq);
	return error;
}

bool thread_should_stop(void)
{
	/* Set once, by others, never cleared: a plain load is enough, but it must be a load. */
	return __atomic_load_n(&thread_current()->kill_requested, __ATOMIC_RELAXED);
}

/* ---- the rest ---- */

int thread_sleep_ns(uint64_t ns)
{
	struct thread *t;
	port_irq_t irq;
	int result;

	assert(port_irq_enabled());
	irq = sched_lock();
	t = current_locked();
	if (!t->kill_requested) {
		t->state = THREAD_SLEEPING;
		set_alarm_locked(t, deadline_after(ns));
		schedule_locked();
	}
	result = t->kill_requested ? -EINTR : 0;
	sched_unlock(irq);
	return result;
}

static void change_priority_locked(struct thread *t, uint8_t priority)
{
	struct cpu_sched *cpu = cpu_of(t);

	if (t->state == THREAD_READY) {
		run_queue_remove(&cpu->ready, t);
		t->priority = priority;
		run_queue_add_back(&cpu->ready, t);
	} else {
		t->priority = priority;
	}
	if (run_queue_best(&cpu->ready) < cpu->current->priority)
		request_switch_locked(cpu);
}

int thread_set_priority(uint32_t id, unsigned priority)
{
	struct thread *t;
	port_irq_t irq;
	int error = 0;

	if (priority >= THREAD_PRIORITY_IDLE)
		return -ERANGE;
	irq = sched_lock();
	t = thread_find_locked(id);
	if (!t || t->state == THREAD_DEAD)
		error = -ESRCH;
	else if (t->priority == THREAD_PRIORITY_IDLE)
		error = -EINVAL;
	else
		change_priority_locked(t, (uint8_t)priority);
	sched_unlock(irq);
	return error;
}
