/* SPDX-License-Identifier: MIT */
/*
 * What the files of proc/ share among themselves.
 *
 *   thread.c  reaper.c  wait_queue.c  mutex.c      what threads do
 *        \        \        /            /
 *         sched.c  chooses, switches, ticks        the mechanism
 *        /        \
 *   run_queue.c  sleep_queue.c                     pure data structures, no lock
 *
 * One lock, sched.lock, guards all of it, on all CPUs: every `_locked` function runs under
 * it with interrupts off. It is handed over a context switch: the thread that
 * switches away holds it, the one that comes back releases it.
 */
#ifndef QUIRE_SCHED_INTERNAL_H
#define QUIRE_SCHED_INTERNAL_H

#include <quire/assert.h>
#include <quire/thread.h>

/* ---- run_queue.c: the ready threads of one CPU ---- */

/*
 *   nonempty   0 0 1 0 ... 1 0 0       bit p set <=> ready[p] has threads
 *                  |       |
 *   ready[p]       T T     T           first come, first served
 */
struct run_queue {
	struct list ready[THREAD_PRIORITIES]; /* struct thread.link */
	uint64_t count[THREAD_PRIORITIES];
	uint32_t nonempty;
};

_Static_assert(THREAD_PRIORITIES == 32, "one bit a priority in run_queue.nonempty");

void run_queue_init(struct run_queue *q);
uint64_t run_queue_total(const struct run_queue *q);
const char *run_queue_check(const struct run_queue *q);

static inline void run_queue_note_added(struct run_queue *q, unsigned priority)
{
	q->count[priority]++;
	q->nonempty |= (uint32_t)1 << priority;
}

static inline void run_queue_add_back(struct run_queue *q, struct thread *t)
{
	assert(list_is_empty(&t->link));
	list_push_back(&q->ready[t->priority], &t->link);
	run_queue_note_added(q, t->priority);
}

static inline void run_queue_add_front(struct run_queue *q, struct thread *t)
{
	assert(list_is_empty(&t->link));
	list_push_front(&q->ready[t->priority], &t->link);
	run_queue_note_added(q, t->priority);
}

static inline void run_queue_remove(struct run_queue *q, struct thread *t)
{
	unsigned p = t->priority;

	assert(!list_is_empty(&t->link) && q->count[p] > 0);
	list_remove(&t->link);
	if (--q->count[p] == 0)
		q->nonempty &= ~((uint32_t)1 << p);
}

/* The best priority with a thread, THREAD_PRIORITIES when there is none. */
static inline unsigned run_queue_best(const struct run_queue *q)
{
	return q->nonempty ? (unsigned)__builtin_ctz(q->nonempty) : THREAD_PRIORITIES;
}

/* The thread that should run next, or NULL; _take removes it. */
static inline struct thread *run_queue_first(const struct run_queue *q)
{
	unsigned p = run_queue_best(q);

	return p == THREAD_PRIORITIES ? NULL : list_entry(q->ready[p].next, struct thread, link);
}

static inline struct thread *run_queue_take(struct run_queue *q)
{
	struct thread *t = run_queue_first(q);

	if (t)
		run_queue_remove(q, t);
	return t;
}

/* ---- sleep_queue.c: who wakes first ---- */

struct sleep_queue {
	struct sleep_node *root; /* the earliest, or NULL */
	uint64_t count;
};

void sleep_queue_init(struct sleep_queue *q);
/* node->wake_ns is set by the caller and must not change while queued. */
void sleep_queue_add(struct sleep_queue *q, struct sleep_node *node);
void sleep_queue_remove(struct sleep_queue *q, struct sleep_node *node);
const char *sleep_queue_check(const struct sleep_queue *q);

/* ---- sched.c ---- */

#define WAKE_NEVER     UINT64_MAX
#define THREAD_BUCKETS 256u

struct cpu_sched {
	struct run_queue ready;
	struct thread *current;
	struct thread *idle;
	uint32_t index;
	bool need_resched; /* atomic; somebody better is ready, or the slice is over */
	uint64_t ticks;    /* this CPU's alone, without the lock */
	uint64_t switches, steals;
};

/* The whole scheduler. */
struct sched {
	struct spinlock lock;
	struct cpu_sched *cpus[PORT_CPUS_MAX]; /* from kmalloc; past cpu_count: none, or starting */
	unsigned cpu_count;
	uint64_t idle_cpus[PORT_CPUS_MAX / 64]; /* a bit a CPU that idles and was given nothing */
	uint64_t next_wake_ns;       /* atomic; the earliest alarm, for a look without the lock */
	struct sleep_queue sleepers; /* struct thread.sleep: asleep, or waiting with a timeout */
	struct list threads;         /* struct thread.all, by id */
	struct thread *by_id[THREAD_BUCKETS]; /* the same, hashed; struct thread.next_in_bucket */
	struct list doomed;      /* struct thread.link: dead and detached, for the reaper */
	struct list wait_queues; /* struct wait_queue.all */
	uint64_t doomed_count;
	uint32_t next_id;
	uint64_t created, ended, preemptions;
};

extern struct sched sched;

/* NULL before sched_init(). Call with interrupts off, so that the answer stays true. */
static inline struct cpu_sched *this_cpu(void)
{
	return sched.cpus[port_cpu()];
}

/* The CPU whose run queue a thread uses. */
static inline struct cpu_sched *cpu_of(const struct thread *t)
{
	return sched.cpus[t->cpu];
}

static inline struct thread *current_locked(void)
{
	return this_cpu()->current;
}

static inline port_irq_t sched_lock(void)
{
	return spin_lock(&sched.lock);
}

/* Release the lock; in thread context also switch, when somebody better became ready meanwhile. */
void sched_unlock(port_irq_t irq);

/*
 * Give the CPU to the best ready thread. The caller has put the current thread
 * where it belongs: on the run queue (READY), asleep, waiting or dead. Returns when it runs again.
 */
void schedule_locked(void);

/* ---- balance.c: which CPU ---- */

/* Let `cpu` look at its run queue soon. */
void request_switch_locked(struct cpu_sched *cpu);
/* `cpu` idles, or no more. */
void note_idle_locked(const struct cpu_sched *cpu, bool idle);
/* A CPU that idles and was given nothing, or NULL. */
struct cpu_sched *idle_cpu_locked(void);
/* Where a thread that becomes ready shall wait for its turn. */
struct cpu_sched *choose_cpu_locked(const struct thread *t);
/* A thread off another CPU's run queue for `cpu`, which has none; or NULL. */
struct thread *steal_locked(struct cpu_sched *cpu);

/* ---- sched.c, continued ---- */

/* Take a sleeping or waiting thread (or a new one) out of where it is and make it ready. */
void make_ready_locked(struct thread *t);

/* Sleep until wake_ns as well as whatever else the current thread is about to wait for. */
void set_alarm_locked(struct thread *t, uint64_t wake_ns);

/* now + ns, WAKE_NEVER when that is past the end of time. */
uint64_t deadline_after(uint64_t ns);

/* ---- thread.c ---- */

/* Memory for a thread that is in no list yet; NULL when out of memory. Context: threads, boot. */
must_check struct thread *thread_new(const char *name, void (*entry)(void *), void *argument,
				     size_t stack_bytes);
void thread_free(struct thread *t);

/* ---- thread_table.c: threads by id ---- */

void thread_table_init_locked(void);
/* Give it the next free id and list it. */
void thread_table_add_locked(struct thread *t);
/* List it under the id it has, which is higher than all others: the boot thread. */
void thread_table_add_last_locked(struct thread *t);
void thread_table_remove_locked(struct thread *t);
struct thread *thread_find_locked(uint32_t id);
/* The thread with the lowest id above `id`, UINT32_MAX: the first; NULL past the last. */
struct thread *thread_after_locked(uint32_t id);

/* ---- wait_queue.c ---- */

/* The fields alone, not shown by `queues`: for the queue in every thread. */
void wait_queue_init_hidden(struct wait_queue *q, const char *name);
/* wait_queue_wait() with the lock held; deadline WAKE_NEVER = for ever. */
int wait_queue_wait_locked(struct wait_queue *q, bool (*condition)(void *), void *arg,
			   uint64_t deadline_ns, bool interruptible);
unsigned wait_queue_wake_locked(struct wait_queue *q, unsigned count);

/* ---- reaper.c ---- */

void reaper_init(void);
/* The reaper thread's body. */
void reaper_main(void *unused);
/* Hand over a dead detached thread, which is still on its own stack. */
void reaper_take_locked(struct thread *t);

#endif
