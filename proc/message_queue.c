/* SPDX-License-Identifier: MIT */
/*
 * Message queues: a list of kmalloc'd messages between two wait queues.
 *
 *   send ─► [senders wait]  messages: m1 ─► m2 ─► m3  [receivers wait] ─► receive
 *                           └─ at most capacity ───┘
 *
 * kmalloc and the copy happen outside the lock, which is held for a few
 * instructions. Wakes happen after it is released, for the scheduler's lock
 * ranks below it; the waiters' conditions take it in the right order.
 *
 * Invariant: count = length of messages <= capacity; every message in it is live in kmalloc.
 * Lock: message_queue.lock.
 */
#include <quire/assert.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/message_queue.h>

void message_queue_init(struct message_queue *q, size_t capacity)
{
	assert(capacity > 0);
	q->lock = SPINLOCK_INIT(LOCK_RANK_MESSAGES);
	list_init(&q->messages);
	q->count = 0;
	q->capacity = capacity;
	q->closed = false;
	wait_queue_init(&q->senders, "message queue: full");
	wait_queue_init(&q->receivers, "message queue: empty");
}

static struct message *message_new(const void *data, size_t bytes)
{
	struct message *m;

	if (bytes > SIZE_MAX - sizeof *m)
		return NULL;
	m = kmalloc(sizeof *m + bytes);
	if (!m)
		return NULL;
	m->bytes = bytes;
	if (bytes)
		__builtin_memcpy(m->data, data, bytes);
	return m;
}

/* ---- one look, without waiting ---- */

static int try_send(struct message_queue *q, struct message *m)
{
	port_irq_t irq = spin_lock(&q->lock);
	int result = 0;

	if (q->closed) {
		result = -EPIPE;
	} else if (q->count == q->capacity) {
		result = -EAGAIN;
	} else {
		list_push_back(&q->messages, &m->link);
		q->count++;
	}
	spin_unlock(&q->lock, irq);
	return result;
}

static int try_receive(struct message_queue *q, struct message **out)
{
	port_irq_t irq = spin_lock(&q->lock);
	struct list *first = list_first(&q->messages);
	int result = 0;

	if (first) {
		list_remove(first);
		q->count--;
		*out = list_entry(first, struct message, link);
	} else {
		result = q->closed ? -EPIPE : -EAGAIN;
	}
	spin_unlock(&q->lock, irq);
	return result;
}

/* ---- wait conditions, under the scheduler lock ---- */

static bool may_send(void *queue)
{
	struct message_queue *q = queue;
	port_irq_t irq = spin_lock(&q->lock);
	bool yes = q->closed || q->count < q->capacity;

	spin_unlock(&q->lock, irq);
	return yes;
}

static bool may_receive(void *queue)
{
	struct message_queue *q = queue;
	port_irq_t irq = spin_lock(&q->lock);
	bool yes = q->closed || q->count > 0;

	spin_unlock(&q->lock, irq);
	return yes;
}

/* ---- the interface ---- */

int message_queue_send(struct message_queue *q, const void *data, size_t bytes)
{
	struct message *m = message_new(data, bytes);
	int result;

	if (!m)
		return -ENOMEM;
	while ((result = try_send(q, m)) == -EAGAIN) {
		result = wait_queue_wait(&q->senders, may_send, q, 0);
		if (result)
			break;
	}
	if (result)
		kfree(m);
	else
		(void)wait_queue_wake(&q->receivers, 1);
	return result;
}

int message_queue_receive(struct message_queue *q, struct message **out)
{
	int result;

	while ((result = try_receive(q, out)) == -EAGAIN) {
		result = wait_queue_wait(&q->receivers, may_receive, q, 0);
		if (result)
			break;
	}
	if (!result)
		(void)wait_queue_wake(&q->senders, 1);
	return result;
}

void message_queue_close(struct message_queue *q)
{
	port_irq_t irq = spin_lock(&q->lock);

	q->closed = true;
	spin_unlock(&q->lock, irq);
	(void)wait_queue_wake(&q->senders, UINT32_MAX);
	(void)wait_queue_wake(&q->receivers, UINT32_MAX);
}

void message_queue_destroy(struct message_queue *q)
{
	struct message *m;

	message_queue_close(q);
	wait_queue_destroy(&q->senders);
	wait_queue_destroy(&q->receivers);
	while (try_receive(q, &m) == 0)
		kfree(m);
}

size_t message_queue_count(struct message_queue *q)
{
	port_irq_t irq = spin_lock(&q->lock);
	size_t count = q->count;

	spin_unlock(&q->lock, irq);
	return count;
}
