/* SPDX-License-Identifier: MIT */
/*
 * Threads by id: a list in id order to go through, a hash to find one.
 *
 *   sched.threads   0 ─► 1 ─► 2 ─► 3 ─► 258 ─► ...
 *   sched.by_id[2]  258 ─► 2          (id modulo THREAD_BUCKETS)
 *
 * Ids are given out in rising order, so consecutive threads fall into different buckets, and a
 * new one belongs at the end of the list. Only after 2^32 threads do ids start
 * over; those still in use are then passed over.
 *
 * Invariant: a thread is in the list <=> it is in bucket id % THREAD_BUCKETS; ids differ and rise
 * along the list; 0 is the boot thread's, UINT32_MAX nobody's.
 * Lock: sched.lock.
 */
#include "sched_internal.h"

static struct thread **bucket_of(uint32_t id)
{
	return &sched.by_id[id % THREAD_BUCKETS];
}

void thread_table_init_locked(void)
{
	list_init(&sched.threads);
	for (size_t i = 0; i < THREAD_BUCKETS; i++)
		sched.by_id[i] = NULL;
	sched.next_id = 1;
}

static void insert_after_locked(struct list *at, struct thread *t)
{
	struct thread **bucket = bucket_of(t->id);

	list_insert_after(at, &t->all);
	t->next_in_bucket = *bucket;
	*bucket = t;
	sched.created++;
}

/* Where `id` belongs: what to stand behind. From the end, where it nearly always is. */
static struct list *place_of_locked(uint32_t id)
{
	struct list *at = sched.threads.prev;

	while (at != &sched.threads && list_entry(at, struct thread, all)->id > id)
		at = at->prev;
	return at;
}

void thread_table_add_locked(struct thread *t)
{
	do
		t->id = sched.next_id++;
	while (t->id == 0 || t->id == UINT32_MAX || thread_find_locked(t->id));
	insert_after_locked(place_of_locked(t->id), t);
}

void thread_table_add_last_locked(struct thread *t)
{
	insert_after_locked(sched.threads.prev, t);
}

void thread_table_remove_locked(struct thread *t)
{
	struct thread **at = bucket_of(t->id);

	while (*at != t)
		at = &(*at)->next_in_bucket;
	*at = t->next_in_bucket;
	list_remove(&t->all);
}

struct thread *thread_find_locked(uint32_t id)
{
	struct thread *t = *bucket_of(id);

	while (t && t->id != id)
		t = t->next_in_bucket;
	return t;
}

struct thread *thread_after_locked(uint32_t id)
{
	const struct thread *t = thread_find_locked(id);
	struct list *at = t ? t->all.next : sched.threads.next;

	/* When `id` itself has ended, from the start. */
	while (id != UINT32_MAX && at != &sched.threads &&
	       list_entry(at, struct thread, all)->id <= id)
		at = at->next;
	return at == &sched.threads ? NULL : list_entry(at, struct thread, all);
}
