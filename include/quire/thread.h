/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads, run queues, wait queues, sleep.
 *
 * A thread's struct and stack come from the allocators; only the boot thread
 * is static. Ready threads stand in one intrusive list a priority, per CPU;
 * a bitmap of the non-empty ones makes the choice O(1). The timer tick
 * preempts. A thread is in exactly one place: running, on a run queue, on a
 * wait queue (perhaps with a timeout), asleep, or dead and waiting for its join.
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
#define THREAD_SLICE_NS         10000000ull /* how long a thread runs before an equal gets its turn */

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
	const char *name;    /* shown by `queues` */
	struct list all;     /* every registered wait queue */
};

struct thread {
	/* under the scheduler lock */
	struct list link; /* run queue or wait queue */
	enum thread_state state;
	uint8_t priority;
	bool kill_requested;
	bool detached;  /* frees itself at its end; nobody joins */
	bool timed_out; /* the last wait ended by its timeout */
	int32_t exit_code;
	struct sleep_node sleep;
	bool in_sleep_heap;
	struct wait_queue *waiting_on;
	struct wait_queue joiners;
	uint64_t slice_end_ns;
	uint64_t run_ns; /* CPU time so far, up to the last switch */
	uint64_t switched_in_ns;
	uint64_t switches;
	/* fixed after creation */
	uint32_t id; /* 1.. ; never reused until it wraps */
	char name[THREAD_NAME_BYTES];
	void (*entry)(void *);
	void *argument;
	struct list all; /* every thread, by id */
	/* the CPU's */
	void *stack; /* lowest usable byte; NULL for the boot thread */
	size_t stack_bytes;
	void *context; /* saved stack pointer, while not running */
};

/* ---- life ---- */

/* Start the scheduler: the caller becomes thread 0 ("boot"), the idle thread is made. -ENOMEM. */
must_check int sched_init(void);

struct thread_options {
	uint8_t priority; /* 0: THREAD_PRIORITY_DEFAULT */
	bool detached;
	size_t stack_bytes; /* 0: default (16 KiB) */
};

/*
 * A new ready thread, or NULL when out of memory (nothing is left behind).
 * Joinable ones must be joined, once, by thread_join(). Context: threads.
 */
must_check struct thread *thread_create(const char *name, void (*entry)(void *), void *argument,
					const struct thread_options *options);

noreturn_fn void thread_exit(int32_t code);

/* Wait for its end, take its exit code (may be NULL), free it. -EDEADLK for oneself, -EINVAL if
 * detached. */
int thread_join(struct thread *t, int32_t *code);

/*
 * Ask a thread to end. It ends at its next scheduling point outside kernel
 * locks: waits and sleeps return -EINTR, thread_should_stop() turns true, and
 * a thread that only computes is ended by the tick. -ESRCH when there is no such
 * thread, -EINVAL for the boot and idle threads.
 */
int thread_kill(uint32_t id);
bool thread_should_stop(void);

struct thread *thread_current(void);
void thread_yield(void);
/* 0, or -EINTR when killed. */
int thread_sleep_ns(uint64_t ns);
/* Change a priority; requeues. -ESRCH, -ERANGE. */
int thread_set_priority(uint32_t id, unsigned priority);

/* ---- waiting ---- */

void wait_queue_init(struct wait_queue *q, const char *name);
void wait_queue_destroy(struct wait_queue *q); /* must be empty */

/*
 * Wait until `condition(arg)` holds; it is evaluated under the scheduler lock,
 * so a waker that changes it before wait_queue_wake() is never missed.
 * timeout_ns 0 = for ever. 0, -ETIMEDOUT or -EINTR (killed).
 */
int wait_queue_wait(struct wait_queue *q, bool (*condition)(void *), void *arg,
		    uint64_t timeout_ns);

/* Wake up to `count` waiters in order of arrival. Any context, interrupts included. Returns how
 * many. */
unsigned wait_queue_wake(struct wait_queue *q, unsigned count);

/* A sleeping lock. Threads only. */
struct mutex {
	struct thread *owner;
	struct wait_queue waiters;
};
void mutex_init(struct mutex *m, const char *name);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* ---- for the kernel's interrupt entry ---- */

/* The timer tick: wakes sleepers, charges time, asks for a switch. Interrupts off. */
void sched_tick(void);
/* On the way out of an interrupt: switch when one was asked for. Interrupts off. */
void sched_preempt(void);
/* The idle loop; never returns. Calls port_idle_work() and port_idle(). */
noreturn_fn void sched_idle(void);

/* ---- what the port supplies to proc/ ---- */

/* A stack with an unmapped guard page below it. Lowest usable byte, or NULL. */
must_check void *port_stack_alloc(size_t bytes);
void port_stack_free(void *stack, size_t bytes);
/* Lay out a fresh stack so that the first switch to it calls entry(argument) with interrupts on. */
void *port_context_init(void *stack, size_t bytes, void (*entry)(void *), void *argument);
/* Save this context to *save, continue `load`. Interrupts off. Returns when somebody switches back.
 */
void port_context_switch(void **save, void *load);
uint64_t port_now_ns(void); /* monotonic since boot */
void port_idle(void);       /* interrupts on and halt until one came; returns with them off */
void port_idle_work(void);  /* housekeeping when there is nothing to run (kheap_trim) */

/* ---- looking in ---- */

struct thread_info {
	uint32_t id;
	char name[THREAD_NAME_BYTES];
	enum thread_state state;
	uint8_t priority;
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

struct sched_stats {
	uint64_t threads, ready, sleeping, waiting, dead;
	uint64_t created, ended, switches, preemptions, ticks;
	uint64_t ready_by_priority[THREAD_PRIORITIES];
	uint64_t idle_ns;
};
void sched_stats(struct sched_stats *out);

struct wait_queue_info {
	const char *name;
	uint64_t waiters;
};
size_t wait_queue_list(struct wait_queue_info *out, size_t capacity);

/* The validator: NULL or what is wrong. */
const char *sched_check(void);

#endif
