/* SPDX-License-Identifier: MIT */
/*
 * Demo workloads for `spawn`: threads that load the scheduler and the
 * allocators, check what they get, and leave nothing behind.
 */
#ifndef QUIRE_WORKLOAD_H
#define QUIRE_WORKLOAD_H

#include <quire/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Start `count` instances of a workload as detached threads of default priority, for `seconds`
 * (0: until killed), on the one CPU `cpu_plus_one` - 1 (0: anywhere). Each thread ends when killed;
 * one that shares with others ends them too.
 * *first_id (may be NULL) is the first thread's id; the others' are higher.
 * -ENOENT for an unknown name, -EINVAL for a count of 0, -ENOMEM: those
 * already started have been told to end and do so within a few ticks.
 * Context: threads.
 */
must_check int workload_spawn(const char *name, unsigned count, uint64_t seconds,
			      unsigned cpu_plus_one, uint32_t *first_id);

/* Counted over all instances since the boot. */
struct workload_info {
	const char *name;
	const char *summary;
	const char *thread_name; /* of an instance's first thread; killing that ends the instance */
	uint64_t threads_started, threads_ended;
	uint64_t iterations; /* rounds, sleeps, messages received, allocations */
	uint64_t messages;   /* sent */
	uint64_t bytes;      /* sent, or allocated, filled and checked */
	uint64_t refusals;   /* requests the allocators could not serve */
	uint64_t errors;     /* contents that were not as left: 0, or a bug in an allocator */
};
/*
 * End every workload there is, and wait until their threads are gone: 0, -ETIMEDOUT, or -EINTR (the
 * caller was killed). Context: threads.
 */
must_check int workload_end_all(uint64_t timeout_ns);

/* The i-th workload; false past the end. */
bool workload_info_at(size_t i, struct workload_info *out);
/* Has any of them a thread that has not ended? */
bool workload_any_running(void);

#endif
