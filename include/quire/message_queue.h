/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of messages between threads. Every message is an object of
 * its own from kmalloc: send copies the data into one, receive hands it over.
 */
#ifndef QUIRE_MESSAGE_QUEUE_H
#define QUIRE_MESSAGE_QUEUE_H

#include <quire/thread.h>

struct message {
	struct list link; /* the queue's; of no meaning to the receiver */
	size_t bytes;
	unsigned char data[];
};

/* All fields private to proc/message_queue.c. */
struct message_queue {
	struct spinlock lock;
	struct list messages; /* the oldest first */
	size_t count, capacity;
	bool closed;
	struct wait_queue senders, receivers;
};

/* A queue of at most `capacity` (> 0) messages. Takes no memory. */
void message_queue_init(struct message_queue *q, size_t capacity);

/*
 * Queue a copy of `bytes` bytes, waiting while the queue is full. 0; -ENOMEM; -EPIPE when closed;
 * -EINTR when killed while waiting. Context: threads.
 */
must_check int message_queue_send(struct message_queue *q, const void *data, size_t bytes);

/*
 * The oldest message, waiting while there is none; the caller owns it and kfree()s it.
 * 0; -EPIPE when closed and drained; -EINTR when killed while waiting. Context: threads.
 */
must_check int message_queue_receive(struct message_queue *q, struct message **out);

/*
 * No more sends; everybody waiting wakes. What is queued can still be received. Closing twice is
 * harmless. Context: any.
 */
void message_queue_close(struct message_queue *q);

/* Free what is queued. Nobody may use the queue any more. Context: threads. */
void message_queue_destroy(struct message_queue *q);

/* How many are queued; already old when it returns. */
size_t message_queue_count(struct message_queue *q);

#endif
