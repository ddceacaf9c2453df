/* SPDX-License-Identifier: MIT */
/*
 * Demo workloads: the table, starting and ending, and the simple ones.
 *
 *   workload_spawn ─► run ◄── one reference a thread, and one of the spawn itself
 *                      ▲ ▲
 *              thread ─┘ └─ thread
 *
 * Invariant: run.references = its threads that have not ended + (1 while workload_spawn() runs);
 * threads_started - threads_ended = living threads of a kind.
 * Lock: none; counters and references are atomic.
 */
#include "workload_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/thread.h>

static bool all_end; /* atomic: workload_end_all() */

/* ---- what every thread of a run shares ---- */

bool workload_goes_on(const struct workload_run *run)
{
	return !thread_should_stop() && !__atomic_load_n(&run->abandoned, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&all_end, __ATOMIC_RELAXED) && port_now_ns() < run->deadline_ns;
}

void workload_run_get(struct workload_run *run)
{
	__atomic_fetch_add(&run->references, 1, __ATOMIC_RELAXED);
}

void workload_run_put(struct workload_run *run)
{
	if (__atomic_sub_fetch(&run->references, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(run);
}

int workload_thread(struct workload_run *run, const char *name, void (*entry)(void *),
		    void *argument)
{
	const struct thread_options options = {
		.detached = true,
		.cpu_plus_one = run->cpu_plus_one,
	};
	uint32_t id;

	/* Counted first: it may run, and end, before thread_create() returns. */
	workload_run_get(run);
	workload_count(&run->kind->info.threads_started, 1);
	id = thread_create(name, entry, argument, &options);
	if (!id) {
		workload_thread_ends(run);
		return -ENOMEM;
	}
	if (!run->first_id)
		run->first_id = id;
	return 0;
}

void workload_thread_ends(struct workload_run *run)
{
	workload_count(&run->kind->info.threads_ended, 1);
	workload_run_put(run);
}

/* ---- workloads of one thread ---- */

static void single_main(void *argument)
{
	struct workload_run *run = argument;

	run->kind->body(run);
	workload_thread_ends(run);
}

int workload_start_single(struct workload_run *run)
{
	return workload_thread(run, run->kind->info.thread_name, single_main, run);
}

/* Computes and nothing else; only the tick takes the CPU from it. */
static void spin(struct workload_run *run)
{
	volatile uint64_t sink;
	uint64_t state = 1;

	while (workload_goes_on(run)) {
		for (unsigned i = 0; i < 1000; i++)
			sink = workload_random(&state);
		workload_count(&run->kind->info.iterations, 1);
	}
	(void)sink;
}

/* Sleeps 1 to 20 ms again and again. */
static void sleep_again(struct workload_run *run)
{
	uint64_t state = thread_current()->id;

	while (workload_goes_on(run)) {
		uint64_t ns = 1000000 + workload_random(&state) % 19000000;

		if (thread_sleep_ns(ns))
			break;
		workload_count(&run->kind->info.iterations, 1);
	}
}

static void noop(struct workload_run *run)
{
	workload_count(&run->kind->info.iterations, 1);
}

/* ---- the table ---- */

static struct workload workloads[] = {
	{
		.info =
			{
				.name = "spin",
				.summary = "computes without a pause; the tick preempts it",
				.thread_name = "spin",
			},
		.start = workload_start_single,
		.body = spin,
	},
	{
		.info =
			{
				.name = "sleep",
				.summary = "sleeps 1 to 20 ms, again and again",
				.thread_name = "sleep",
			},
		.start = workload_start_single,
		.body = sleep_again,
	},
	{
		.info =
			{
				.name = "producer-consumer",
				.summary =
					"two threads, kmalloc'd messages through a bounded queue",
				.thread_name = "producer",
			},
		.start = workload_start_pair,
	},
	{
		.info =
			{
				.name = "churn",
				.summary = "random kmalloc, kfree and page_alloc; checks contents",
				.thread_name = "churn",
			},
		.start = workload_start_single,
		.body = workload_churn,
	},
	{
		.info =
			{
				.name = "mixed",
				.summary = "memory of every kind, freed by another thread; checks "
					   "contents",
				.thread_name = "mixed",
			},
		.start = workload_start_mixed,
	},
	{
		.info =
			{
				.name = "lives",
				.summary = "threads that come, allocate, and are joined",
				.thread_name = "lives",
			},
		.start = workload_start_single,
		.body = workload_lives,
	},
	{
		.info =
			{
				.name = "hog",
				.summary = "takes all memory there is, holds it, gives it back",
				.thread_name = "hog",
			},
		.start = workload_start_single,
		.body = workload_hog,
	},
	{
		.info =
			{
				.name = "noop",
				.summary = "starts and ends at once",
				.thread_name = "noop",
			},
		.start = workload_start_single,
		.body = noop,
	},
};

static bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static struct workload *workload_find(const char *name)
{
	for (size_t i = 0; i < array_len(workloads); i++)
		if (text_equal(workloads[i].info.name, name))
			return &workloads[i];
	return NULL;
}

static struct workload_run *run_new(struct workload *kind, uint64_t seconds)
{
	struct workload_run *run = kzalloc(sizeof *run);
	uint64_t now = port_now_ns();

	if (!run)
		return NULL;
	run->kind = kind;
	run->references = 1;
	run->deadline_ns = UINT64_MAX;
	if (seconds && seconds < (UINT64_MAX - now) / 1000000000)
		run->deadline_ns = now + seconds * 1000000000;
	return run;
}

int workload_spawn(const char *name, unsigned count, uint64_t seconds, unsigned cpu_plus_one,
		   uint32_t *first_id)
{
	struct workload *kind = workload_find(name);
	struct workload_run *run;
	int error = 0;

	if (!kind)
		return -ENOENT;
	if (!count)
		return -EINVAL;
	run = run_new(kind, seconds);
	if (!run)
		return -ENOMEM;
	run->cpu_plus_one = cpu_plus_one;
	while (count-- && !error)
		error = kind->start(run);
	if (error)
		__atomic_store_n(&run->abandoned, true, __ATOMIC_RELAXED);
	else if (first_id)
		*first_id = run->first_id;
	workload_run_put(run);
	return error;
}

bool workload_info_at(size_t i, struct workload_info *out)
{
	const struct workload_info *from;

	if (i >= array_len(workloads))
		return false;
	from = &workloads[i].info;
	*out = (struct workload_info){
		.name = from->name,
		.summary = from->summary,
		.thread_name = from->thread_name,
		.threads_started = __atomic_load_n(&from->threads_started, __ATOMIC_RELAXED),
		.threads_ended = __atomic_load_n(&from->threads_ended, __ATOMIC_RELAXED),
		.iterations = __atomic_load_n(&from->iterations, __ATOMIC_RELAXED),
		.messages = __atomic_load_n(&from->messages, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED),
		.refusals = __atomic_load_n(&from->refusals, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&from->errors, __ATOMIC_RELAXED),
	};
	return true;
}

bool workload_any_running(void)
{
	struct workload_info w;

	for (size_t i = 0; workload_info_at(i, &w); i++)
		if (w.threads_started != w.threads_ended)
			return true;
	return false;
}

static uint64_t living_threads(void)
{
	struct workload_info info;
	uint64_t living = 0;

	for (size_t i = 0; workload_info_at(i, &info); i++)
		living += info.threads_started - info.threads_ended;
	return living;
}

int workload_end_all(uint64_t timeout_ns)
{
	uint64_t from = port_now_ns();
	int error = 0;

	__atomic_store_n(&all_end, true, __ATOMIC_RELAXED);
	while (!error && living_threads())
		error = port_now_ns() - from >= timeout_ns ? -ETIMEDOUT : thread_sleep_ns(10000000);
	__atomic_store_n(&all_end, false, __ATOMIC_RELAXED);
	return error;
}
