/* SPDX-License-Identifier: MIT */
/*
 * The lives workload: a thread that has children, again and again, and joins them. Each allocates,
 * gives way once, checks and frees.
 *
 * Lock: none; a child's cradle is its parent's, who does not look at it before the join.
 */
#include "workload_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/thread.h>

#define CHILDREN 8

struct cradle {
	uint64_t seed;
	bool intact;
};

static void child(void *argument)
{
	struct cradle *c = argument;
	uint64_t *words = kmalloc(64 * sizeof *words);

	c->intact = true;
	if (!words)
		return;
	for (size_t i = 0; i < 64; i++)
		words[i] = c->seed + i;
	thread_yield();
	for (size_t i = 0; i < 64; i++)
		c->intact &= words[i] == c->seed + i;
	kfree(words);
}

void workload_lives(struct workload_run *run)
{
	struct workload_info *info = &run->kind->info;
	const struct thread_options options = {.cpu_plus_one = run->cpu_plus_one};
	uint64_t state = thread_current()->id;

	while (workload_goes_on(run)) {
		struct cradle cradles[CHILDREN];
		uint32_t ids[CHILDREN];

		for (unsigned i = 0; i < CHILDREN; i++) {
			cradles[i] = (struct cradle){.seed = workload_random(&state)};
			ids[i] = thread_create("child", child, &cradles[i], &options);
		}
		for (unsigned i = 0; i < CHILDREN; i++) {
			/* A killed parent still waits: its children lie on its stack. */
			while (ids[i] && thread_join(ids[i], NULL) == -EINTR)
				thread_yield();
			if (!ids[i])
				workload_count(&info->refusals, 1);
			else if (!cradles[i].intact)
				workload_count(&info->errors, 1);
		}
		workload_count(&info->iterations, CHILDREN);
	}
}
