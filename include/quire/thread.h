/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads, run queues, wait queues, sleep.
 *
 * A thread's struct and stack come from the allocators; only the boot thread
 * is static. Ready threads stand in one intrusive list a priority, per CPU;
 * a bitmap of the non-empty ones makes the choice O(1). The timer tick
 * preempts. A thread is in exactly one place: running, on a run queue, on a
 * wait queue (perhaps with a timeout), asleep, or dead and waiting for its join
 * (or, detached, for the reaper). docs/processes.md draws it.
 *
 * Outside proc/ a thread is known by its id: a pointer to a struct thread is
 * safe only for the thread itself.
 *
 * "Threads" as a context means: a thread with interrupts on and no spinlock
 * held; such a call may switch. "Any" includes interrupt handlers; here too no
 * spinlock may be held, for the scheduler lock has the lowest rank.
 */
#ifndef QUIRE_THREAD_H
#define QUIRE_THREAD_H

#include <quire/list.h>
#include <quire/spinlock.h>
#include <quire/types.h>

#define THREAD_PRIORITIES       32 /* 0 runs first */
#define THREAD_PRIORITY_SHELL   4
#define THREAD_PRIORITY_DEFAULT 16
#define THREAD_PRIORITY_IDLE    31 /* the idle thread alone */
#define THREAD_NAME_BYTES       24
#define THREAD_PRIORITY_REAPER  3 /* before the shell: memory is back at the next prompt */
#define THREAD_SLICE_NS         10000000ull /* how long a thread runs before an equal gets its turn */
#ifdef QUIRE_KASAN                          /* frames are larger: redzones */
#define THREAD_STACK_BYTES 28672
#else
#define THREAD_STACK_BYTES 16384
#endif
/* Fresh stacks are filled with this, so that their deepest use can be measured. */
#define THREAD_STACK_PATTERN 0x5aa55aa55aa55aa5ull

enum thread_state {
	THREAD_READY, /* on a run queue */
	THREAD_RUNNING,
	THREAD_SLEEPING, /* until wake_ns */
	THREAD_WAITING,  /* on a wait queue */
	THREAD_DEAD,     /* ended, not yet joined */
};

/* A node of the sleep heap (a pairing heap by wake time). */
struct sleep_node {
	struct sleep_node *child, *sibling, *previous;
	uint64_t wake_ns;
};

struct wait_queue {
	struct list waiters; /* struct thread.link, by arrival */
	const char *name;    /* shown by `queues` and `ps`; static text */
	struct list all;     /* every registered wait queue */
};

struct thread {
	/* under the scheduler lock */
	struct list link; /* run queue, wait queue or the reaper's list */
	enum thread_state state;
	uint8_t priority;
	uint32_t cpu; /* whose run queue it uses; the one it runs or ran on */
	bool kill_requested;
	bool interruptible; /* while waiting: a kill ends the wait */
	bool timed_out;     /* the last wait ended by its timeout */
	bool detached;      /* the reaper frees it; nobody joins */
	bool joined;        /* a joiner has claimed it */
	bool permanent;     /* boot, idle, reaper: never killed or joined */
	bool pinned;        /* runs on `cpu` only */
	int32_t exit_code;
	struct sleep_node sleep;
	bool in_sleep_heap;
	struct wait_queue *waiting_on;
	struct wait_queue joiner; /* not registered */
	uint64_t slice_left_ns;
	uint64_t run_ns; /* CPU time so far, up to the last switch */
	uint64_t switched_in_ns;
	uint64_t switches;
	uint32_t mutexes_held;
	/* fixed after creation */
	uint32_t id; /* 1.. ; 0 is the boot thread. Live ids are never reused */
	char name[THREAD_NAME_BYTES];
	void (*entry)(void *);
	void *argument;
	struct list all; /* every thread but the reaper's prey, by id */
	struct thread *next_in_bucket;
	/* the CPU's */
	void *stack; /* lowest usable byte; NULL for the boot thread */
	size_t stack_bytes;
	void *context; /* saved stack pointer, while not running */
};

/* ---- life ---- */

/*
 * Start the scheduler: the caller becomes thread 0 ("boot"); the idle thread and
 * the reaper, which frees detached threads, are made. -ENOMEM, and nothing is left behind.
 * When the boot is done, the boot thread ends as any other: thread_exit(0).
 */
must_check int sched_init(void);

/*
 * Another CPU. Prepared: memory for its idle thread, on whose stack it is to start (its top in
 * *stack_top); -ENOMEM. Then online: listed, threads may be given to it, though it is not there
 * yet; or abandoned, and nothing is left. The boot, one CPU at a time, by rising number. The CPU
 * itself ends its start, interrupts off, with sched_cpu_run().
 */
must_check int sched_cpu_prepare(unsigned cpu, void **stack_top);
void sched_cpu_abandon(unsigned cpu);
void sched_cpu_online(unsigned cpu);
noreturn_fn void sched_cpu_run(void);

struct thread_options {
	uint8_t priority; /* 0: THREAD_PRIORITY_DEFAULT; else 1..THREAD_PRIORITY_IDLE - 1 */
	bool detached;
	unsigned cpu_plus_one; /* 0: any CPU; else the only one, below port_cpus(), plus one */
	size_t stack_bytes;    /* 0: THREAD_STACK_BYTES; rounded up to pages */
};

/*
 * The id of a new ready thread, or 0 when out of memory (nothing is left behind).
 * NULL options: all zero. A thread that is not detached must be joined, once.
 * Returning from entry is thread_exit(0). Context: threads, and the boot.
 */
must_check uint32_t thread_create(const char *name, void (*entry)(void *), void *argument,
				  const struct thread_options *options);

/* End the calling thread, which holds no mutex. */
noreturn_fn void thread_exit(int32_t code);

/*
 * Wait for a thread's end, take its exit code (may be NULL) and free it.
 * -EDEADLK for oneself; -EINVAL when it is detached, permanent or another one joins it already;
 * -ESRCH when there is none; -EINTR when the caller was killed (it may then be joined by another).
 * Context: threads.
 */
must_check int thread_join(uint32_t id, int32_t *code);

/*
 * Ask a thread to end. It is an offer it must take, but in its own time: a
 * thread may own memory, mutexes or half-made changes, so nothing ends it in the
 * middle of them. From now on its sleeps and interruptible waits return -EINTR
 * at once and thread_should_stop() is true; a thread that only computes polls
 * that. One that has not run yet still enters its entry function, because its
 * argument may need freeing. Waiting for a mutex is not interrupted.
 * -ESRCH when there is no such living thread, -EINVAL for boot, idle and reaper.
 * Context: any.
 */
int thread_kill(uint32_t id);
bool thread_should_stop(void);

/* NULL before sched_init(). */
struct thread *thread_current(void);
/*
 * Go on on CPU `cpu_plus_one - 1`, and nowhere else; 0: anywhere again. Context: threads.
 */
void thread_pin(unsigned cpu_plus_one);
/* Let others of this priority go first. Context: threads. */
void thread_yield(void);
/*
 * Sleep for at least `ns`; wakes at a tick. 0, or -EINTR when killed.
 * Context: threads.
 */
int thread_sleep_ns(uint64_t ns);
/* Change a priority (0..THREAD_PRIORITY_IDLE - 1, else -ERANGE); requeues. -ESRCH; -EINVAL for the
 * idle thread. Context: any. */
int thread_set_priority(uint32_t id, unsigned priority);

/* ---- waiting ---- */

/* `name` is static text. Registers the queue for `queues`. Usable before sched_init(). */
void wait_queue_init(struct wait_queue *q, const char *name);
void wait_queue_destroy(struct wait_queue *q); /* must be empty */

/*
 * Wait until `condition(arg)` holds; it is evaluated under the scheduler lock,
 * so a waker that changes it before wait_queue_wake() is never missed. It must
 * be short and may take spinlocks of a higher rank only.
 * timeout_ns 0 = for ever. 0, -ETIMEDOUT or -EINTR (killed); 0 wins when the
 * condition holds, so that no wakeup is lost. Context: threads.
 */
int wait_queue_wait(struct wait_queue *q, bool (*condition)(void *), void *arg,
		    uint64_t timeout_ns);

/*
 * Wake up to `count` waiters in order of arrival; each looks at its condition
 * again. Returns how many. Context: any; takes the scheduler lock, so release
 * your own spinlock first.
 */
unsigned wait_queue_wake(struct wait_queue *q, unsigned count);

/*
 * A sleeping lock, handed over in order of arrival whatever the priorities:
 * nobody starves, and there is no priority inheritance. Context: threads.
 */
struct mutex {
	struct thread *owner;
	struct wait_queue waiters;
};
void mutex_init(struct mutex *m, const char *name); /* static text */
void mutex_destroy(struct mutex *m);                /* must be free */
void mutex_lock(struct mutex *m);                   /* a second time by its owner panics */
void mutex_unlock(struct mutex *m);

/* ---- for the kernel's interrupt entry ---- */

/* The timer tick: wakes sleepers, charges time, asks for a switch. Interrupts off. Harmless before
 * sched_init(). */
void sched_tick(void);
/*
 * The last call of every interrupt handler, after the interrupt controller has
 * been told: switch when one was asked for. Interrupts off; returns with them
 * off, perhaps much later. Not from exceptions that may come under a spinlock.
 */
void sched_preempt(void);

/* ---- what the port supplies to proc/ ---- */

/*
 * A stack of whole pages, filled with THREAD_STACK_PATTERN, with an unmapped guard page below it.
 * Lowest usable byte, or NULL. Context of both: threads, and the boot.
 */
must_check void *port_stack_alloc(size_t bytes);
void port_stack_free(void *stack, size_t bytes);
/*
 * Lay out a fresh stack so that the first port_context_switch() to the returned
 * context calls entry(argument), aligned as the ABI wants and with a zero return address
 * and frame pointer, INTERRUPTS STILL OFF and the scheduler lock held: entry is
 * proc's thread_start(), which releases the lock and calls port_irq_enable().
 * It never returns.
 */
void *port_context_init(void *stack, size_t bytes, void (*entry)(void *), void *argument);
/*
 * Save the callee-saved registers on this stack, their place in *save, and
 * continue `load`. Called and returning with interrupts off (they are part of the caller's
 * state, not of the context) and the scheduler lock held; returns when
 * somebody switches back.
 */
void port_context_switch(void **save, void *load);
void port_irq_enable(void); /* interrupts on, whatever they were */
uint64_t port_now_ns(void); /* monotonic since boot */
void port_idle(void);       /* interrupts on and halt until one came; returns with them off */
/* The idle thread makes way for another; on its stack still, the scheduler lock held. */
void port_idle_end(void);
/* Make another CPU call sched_preempt() soon. Any context. */
void port_cpu_kick(unsigned cpu);
void port_idle_work(void); /* housekeeping when there is nothing to run (kheap_trim); may be
			       preempted */

/* ---- looking in ---- */

struct thread_info {
	uint32_t id;
	char name[THREAD_NAME_BYTES];
	enum thread_state state;
	uint8_t priority;
	uint32_t cpu; /* where it runs, or ran last, or will run */
	bool pinned;  /* it runs nowhere else */
	bool kill_requested;
	uint64_t run_ns, switches;
	uint64_t wake_in_ns;    /* SLEEPING, or WAITING with a timeout */
	const char *waiting_on; /* name of the wait queue, or NULL */
	uint64_t stack;
	size_t stack_bytes,
		stack_used; /* deepest use so far (stacks start out as a known pattern) */
};
const char *thread_state_name(enum thread_state s);
/* Copies up to `capacity` threads in id order, starting after `after_id` (use UINT32_MAX to start
 * at the first). Returns how many. */
size_t thread_list(uint32_t after_id, struct thread_info *out, size_t capacity);

/* threads = running + ready + sleeping + waiting + dead; created - ended + dead = threads */
struct sched_stats {
	uint64_t threads, running, ready, sleeping, waiting, dead;
	uint64_t created, ended, switches, preemptions, ticks;
	uint64_t ready_by_priority[THREAD_PRIORITIES];
	uint64_t idle_ns;
};
void sched_stats(struct sched_stats *out);

struct sched_cpu_info {
	uint64_t idle_ns, switches, steals, ticks, ready;
	uint32_t current_id;
	char current_name[THREAD_NAME_BYTES];
};
/* Of CPU number `cpu`; false when the scheduler has none. */
bool sched_cpu_info(unsigned cpu, struct sched_cpu_info *out);

struct wait_queue_info {
	const char *name;
	uint64_t waiters;
};
size_t wait_queue_list(struct wait_queue_info *out, size_t capacity);

/* The validator: NULL or what is wrong. */
const char *sched_check(void);

#endif
