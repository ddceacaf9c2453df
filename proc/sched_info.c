/* SPDX-License-Identifier: MIT */
/*
 * Looking in: snapshots for `ps`, `queues` and the panic report.
 *
 * Everything is copied out under the lock, so that nobody prints while holding
 * it and no pointer to a thread leaves proc/. Costs O(threads) with interrupts off.
 * Lock: sched.lock.
 */
#include "sched_internal.h"

const char *thread_state_name(enum thread_state s)
{
	switch (s) {
	case THREAD_READY:
		return "ready";
	case THREAD_RUNNING:
		return "running";
	case THREAD_SLEEPING:
		return "sleeping";
	case THREAD_WAITING:
		return "waiting";
	case THREAD_DEAD:
		return "dead";
	}
	return "?";
}

/*
 *   stack                                           stack + stack_bytes
 *   | pattern  pattern  pattern | used, now or earlier |
 *
 * A frame that was reserved but never written counts as unused.
 */
static unchecked_fn size_t stack_used(const struct thread *t)
{
	const uint64_t *words = t->stack;
	size_t untouched = 0, count = t->stack_bytes / sizeof *words;

	if (!t->stack)
		return 0;
	while (untouched < count && words[untouched] == THREAD_STACK_PATTERN)
		untouched++;
	return (count - untouched) * sizeof *words;
}

static uint64_t run_ns_locked(const struct thread *t, uint64_t now)
{
	bool runs = t->state == THREAD_RUNNING && now > t->switched_in_ns;

	return t->run_ns + (runs ? now - t->switched_in_ns : 0);
}

static void describe_locked(const struct thread *t, uint64_t now, struct thread_info *out)
{
	bool will_wake = t->in_sleep_heap && t->sleep.wake_ns > now;

	*out = (struct thread_info){
		.id = t->id,
		.state = t->state,
		.priority = t->priority,
		.cpu = t->cpu,
		.pinned = t->pinned,
		.kill_requested = t->kill_requested,
		.run_ns = run_ns_locked(t, now),
		.switches = t->switches,
		.wake_in_ns = will_wake ? t->sleep.wake_ns - now : 0,
		.waiting_on = t->waiting_on ? t->waiting_on->name : NULL,
		.stack = (uint64_t)(uintptr_t)t->stack,
		.stack_bytes = t->stack_bytes,
		.stack_used = stack_used(t),
	};
	for (size_t i = 0; i < THREAD_NAME_BYTES; i++)
		out->name[i] = t->name[i];
}

size_t thread_list(uint32_t after_id, struct thread_info *out, size_t capacity)
{
	const struct thread *t;
	port_irq_t irq;
	uint64_t now;
	size_t n = 0;

	if (!thread_current())
		return 0;
	irq = sched_lock();
	now = port_now_ns();
	while (n < capacity && (t = thread_after_locked(after_id)) != NULL) {
		describe_locked(t, now, &out[n++]);
		after_id = t->id;
	}
	sched_unlock(irq);
	return n;
}

static void count_states_locked(struct sched_stats *out)
{
	list_for_each (node, &sched.threads) {
		out->threads++;
		switch (list_entry(node, struct thread, all)->state) {
		case THREAD_READY:
			out->ready++;
			break;
		case THREAD_RUNNING:
			out->running++;
			break;
		case THREAD_SLEEPING:
			out->sleeping++;
			break;
		case THREAD_WAITING:
			out->waiting++;
			break;
		case THREAD_DEAD:
			out->dead++;
			break;
		}
	}
}

static void add_cpu_locked(const struct cpu_sched *cpu, uint64_t now, struct sched_stats *out)
{
	out->idle_ns += run_ns_locked(cpu->idle, now);
	out->switches += cpu->switches;
	out->ticks += __atomic_load_n(&cpu->ticks, __ATOMIC_RELAXED);
	for (unsigned p = 0; p < THREAD_PRIORITIES; p++)
		out->ready_by_priority[p] += cpu->ready.count[p];
}

void sched_stats(struct sched_stats *out)
{
	port_irq_t irq;
	uint64_t now;

	*out = (struct sched_stats){.threads = 0};
	if (!thread_current())
		return;
	irq = sched_lock();
	now = port_now_ns();
	out->created = sched.created;
	out->ended = sched.ended;
	out->preemptions = sched.preemptions;
	count_states_locked(out);
	for (unsigned i = 0; i < sched.cpu_count; i++)
		add_cpu_locked(sched.cpus[i], now, out);
	sched_unlock(irq);
}

static void describe_cpu_locked(const struct cpu_sched *cpu, struct sched_cpu_info *out)
{
	*out = (struct sched_cpu_info){
		.idle_ns = run_ns_locked(cpu->idle, port_now_ns()),
		.switches = cpu->switches,
		.steals = cpu->steals,
		.ticks = __atomic_load_n(&cpu->ticks, __ATOMIC_RELAXED),
		.ready = run_queue_total(&cpu->ready) - (cpu->current != cpu->idle),
		.current_id = cpu->current->id,
	};
	for (size_t i = 0; i < THREAD_NAME_BYTES; i++)
		out->current_name[i] = cpu->current->name[i];
}

bool sched_cpu_info(unsigned cpu, struct sched_cpu_info *out)
{
	port_irq_t irq = sched_lock();
	bool found = cpu < sched.cpu_count;

	if (found)
		describe_cpu_locked(sched.cpus[cpu], out);
	sched_unlock(irq);
	return found;
}

static uint64_t list_length(const struct list *head)
{
	uint64_t n = 0;

	list_for_each (node, head)
		n++;
	return n;
}

size_t wait_queue_list(struct wait_queue_info *out, size_t capacity)
{
	port_irq_t irq = sched_lock();
	size_t n = 0;

	list_for_each (node, &sched.wait_queues) {
		const struct wait_queue *q = list_entry(node, struct wait_queue, all);

		if (n == capacity)
			break;
		out[n++] = (struct wait_queue_info){
			.name = q->name,
			.waiters = list_length(&q->waiters),
		};
	}
	sched_unlock(irq);
	return n;
}
