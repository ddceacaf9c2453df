/* SPDX-License-Identifier: MIT */
/*
 * The run queue: one first-come list a priority, a bitmap of the non-empty ones.
 *
 * Every operation is O(1): the choice is one count-trailing-zeros and the
 * head of a list. Pure data structure. What a switch does is inline, in sched_internal.h;
 * here is the rest.
 *
 * Invariant: bit p of nonempty = (ready[p] is not empty) = (count[p] > 0), and
 * every thread in ready[p] is THREAD_READY at priority p.
 * Lock: the caller's (sched.lock).
 */
#include "sched_internal.h"

void run_queue_init(struct run_queue *q)
{
	for (unsigned p = 0; p < THREAD_PRIORITIES; p++) {
		list_init(&q->ready[p]);
		q->count[p] = 0;
	}
	q->nonempty = 0;
}

uint64_t run_queue_total(const struct run_queue *q)
{
	uint64_t total = 0;

	for (unsigned p = 0; p < THREAD_PRIORITIES; p++)
		total += q->count[p];
	return total;
}

const char *run_queue_check(const struct run_queue *q)
{
	for (unsigned p = 0; p < THREAD_PRIORITIES; p++) {
		uint64_t n = 0;

		list_for_each (node, &q->ready[p]) {
			const struct thread *t = list_entry(node, struct thread, link);

			if (node->next->prev != node)
				return "run queue: a list's links disagree";
			if (t->priority != p)
				return "run queue: a thread stands in the list of another priority";
			if (t->state != THREAD_READY)
				return "run queue: a thread in it is not ready";
			n++;
		}
		if (n != q->count[p])
			return "run queue: a count differs from its list";
		if ((q->nonempty >> p & 1) != (n != 0))
			return "run queue: the bitmap differs from the lists";
	}
	return NULL;
}
