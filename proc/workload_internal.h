/* SPDX-License-Identifier: MIT */
/* What the demo workloads share: workload.c starts and ends them, the others are them. */
#ifndef QUIRE_WORKLOAD_INTERNAL_H
#define QUIRE_WORKLOAD_INTERNAL_H

#include <quire/workload.h>

struct workload;

/* One call of workload_spawn(), shared by its threads; the last reference frees it. */
struct workload_run {
	struct workload *kind;
	uint32_t references; /* atomic */
	uint32_t first_id;
	unsigned cpu_plus_one; /* of its threads; 0: any */
	bool abandoned;        /* atomic: the spawn failed half way */
	uint64_t deadline_ns;
};

struct workload {
	struct workload_info info; /* the counters are atomic */
	/* Start one instance's threads; -ENOMEM leaves none that will not end by itself. */
	int (*start)(struct workload_run *run);
	/* The body of a single-threaded one; frees all it allocates before it returns. */
	void (*body)(struct workload_run *run);
};

/* May the calling thread's work go on? */
bool workload_goes_on(const struct workload_run *run);

void workload_run_get(struct workload_run *run);
void workload_run_put(struct workload_run *run);

/*
 * A detached thread in the name of `run`; entry(argument) must end with workload_thread_ends(run).
 * -ENOMEM.
 */
must_check int workload_thread(struct workload_run *run, const char *name, void (*entry)(void *),
			       void *argument);
void workload_thread_ends(struct workload_run *run);

static inline void workload_count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Splitmix64: a workload wants different numbers, not good ones. */
static inline uint64_t workload_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

int workload_start_single(struct workload_run *run); /* workload.c */
int workload_start_pair(struct workload_run *run);   /* workload_pair.c */
int workload_start_mixed(struct workload_run *run);  /* workload_mixed.c */
void workload_lives(struct workload_run *run);       /* workload_lives.c */
void workload_churn(struct workload_run *run);       /* workload_churn.c */
void workload_hog(struct workload_run *run);         /* workload_hog.c */

#endif
