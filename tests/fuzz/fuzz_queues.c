/* SPDX-License-Identifier: MIT */
/*
 * Run queue, sleep queue and message queue: each three bytes are a call. The
 * shadows are arrays, searched from end to end.
 *
 * The message queue's waiting is played here: somebody else comes along and
 * receives, sends or closes while the caller waits, or the caller is killed;
 * what happens is taken from the input, too.
 */
#include "must.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/message_queue.h>
#include <string.h>

#define THREADS  24u
#define SLEEPERS 40u
#define MESSAGES 8u

/* ---- the run queue ---- */

static struct run_queue ready;
static struct thread threads[THREADS];
static unsigned order[THREAD_PRIORITIES][THREADS], length[THREAD_PRIORITIES];
static bool is_ready[THREADS];

static void shadow_insert(unsigned p, unsigned at, unsigned t)
{
	memmove(&order[p][at + 1], &order[p][at], (length[p] - at) * sizeof order[p][0]);
	order[p][at] = t;
	length[p]++;
	is_ready[t] = true;
}

static void shadow_remove(unsigned p, unsigned at)
{
	is_ready[order[p][at]] = false;
	length[p]--;
	memmove(&order[p][at], &order[p][at + 1], (length[p] - at) * sizeof order[p][0]);
}

static void run_call(unsigned what, unsigned t, unsigned priority)
{
	unsigned best = 0, p = threads[t].priority, at = 0;
	struct thread *taken;

	while (best < THREAD_PRIORITIES && !length[best])
		best++;
	must(run_queue_best(&ready) == best, "another priority is the best");
	if (what == 0) {
		taken = run_queue_take(&ready);
		must(taken == (best < THREAD_PRIORITIES ? &threads[order[best][0]] : NULL),
		     "another thread is the first");
		if (taken)
			shadow_remove(best, 0);
	} else if (is_ready[t]) {
		while (order[p][at] != t)
			at++;
		run_queue_remove(&ready, &threads[t]);
		shadow_remove(p, at);
	} else {
		threads[t].priority = (uint8_t)(priority % THREAD_PRIORITIES);
		p = threads[t].priority;
		if (what == 1)
			run_queue_add_front(&ready, &threads[t]);
		else
			run_queue_add_back(&ready, &threads[t]);
		shadow_insert(p, what == 1 ? 0 : length[p], t);
	}
}

static void run_begin(void)
{
	run_queue_init(&ready);
	memset(length, 0, sizeof length);
	for (unsigned t = 0; t < THREADS; t++) {
		list_init(&threads[t].link);
		threads[t].state = THREAD_READY;
		is_ready[t] = false;
	}
}

/* ---- the sleep queue ---- */

static struct sleep_queue asleep;
static struct sleep_node sleepers[SLEEPERS];
static bool is_asleep[SLEEPERS];

static void sleep_call(unsigned s, uint64_t wake)
{
	uint64_t earliest = UINT64_MAX, count = 0;

	if (is_asleep[s]) {
		sleep_queue_remove(&asleep, &sleepers[s]);
	} else {
		sleepers[s].wake_ns = wake == 255 ? UINT64_MAX : wake;
		sleep_queue_add(&asleep, &sleepers[s]);
	}
	is_asleep[s] = !is_asleep[s];
	for (unsigned i = 0; i < SLEEPERS; i++) {
		count += is_asleep[i];
		if (is_asleep[i] && sleepers[i].wake_ns < earliest)
			earliest = sleepers[i].wake_ns;
	}
	must(asleep.count == count, "sleepers are missing");
	must(count ? asleep.root && asleep.root->wake_ns == earliest : !asleep.root,
	     "another sleeper wakes first");
}

/* ---- the message queue ---- */

static struct message_queue queue;
static size_t capacity;
static uint32_t shadow[MESSAGES + 1];
static size_t shadow_count;
static bool shadow_closed, memory_is_out;
static uint32_t next_text;
static long live; /* messages allocated */
static unsigned woken_senders, woken_receivers;
static const uint8_t *script, *script_end;

void *kmalloc(size_t bytes)
{
	live += !memory_is_out;
	return memory_is_out ? NULL : malloc(bytes);
}

void kfree(void *object)
{
	live -= object != NULL;
	free(object);
}

void wait_queue_init(struct wait_queue *q, const char *name)
{
	(void)q, (void)name;
}

void wait_queue_destroy(struct wait_queue *q)
{
	(void)q;
}

unsigned wait_queue_wake(struct wait_queue *q, unsigned count)
{
	if (q == &queue.senders)
		woken_senders += count != 0;
	else
		woken_receivers += count != 0;
	return 0;
}

static void receive(void);
static void send(void);

/* Somebody else's turn, until the condition holds or the waiter is killed. */
int wait_queue_wait(struct wait_queue *q, bool (*condition)(void *), void *arg, uint64_t deadline)
{
	bool sending = q == &queue.senders;

	must(deadline == 0, "waits for ever");
	must(sending ? shadow_count == capacity : shadow_count == 0, "waits without a reason");
	must(!condition(arg), "waits although it need not");
	memory_is_out = false; /* for the others */
	switch (script < script_end ? *script++ % 4 : 0) {
	case 1:
		if (sending)
			receive();
		else
			send();
		break;
	case 2:
		message_queue_close(&queue);
		shadow_closed = true;
		break;
	case 3: /* woken, but somebody was faster */
		return 0;
	default:
		return -EINTR;
	}
	must(condition(arg), "is not woken by what it waited for");
	return 0;
}

static void send(void)
{
	uint32_t text = ++next_text;
	unsigned before = woken_receivers;
	int result = message_queue_send(&queue, &text, text % 2 ? sizeof text : 0);

	if (result) {
		must((result == -EPIPE && shadow_closed) || (result == -ENOMEM && memory_is_out) ||
			     (result == -EINTR && shadow_count == capacity),
		     "a send failed without a reason");
		return;
	}
	must(!shadow_closed && shadow_count < capacity, "a send that should have failed or waited");
	must(woken_receivers > before, "nobody was told of a message");
	shadow[shadow_count++] = text;
}

static void receive(void)
{
	unsigned before = woken_senders;
	struct message *m = NULL;
	int result = message_queue_receive(&queue, &m);

	if (result) {
		must(shadow_count == 0 && result == (shadow_closed ? -EPIPE : -EINTR),
		     "a receive failed without a reason");
		return;
	}
	must(shadow_count > 0, "a message nobody sent");
	must(m->bytes == (shadow[0] % 2 ? sizeof shadow[0] : 0), "a message of another length");
	must(!m->bytes || !memcmp(m->data, &shadow[0], m->bytes), "not the oldest message");
	must(woken_senders > before, "nobody was told of the room");
	kfree(m);
	memmove(shadow, shadow + 1, --shadow_count * sizeof shadow[0]);
}

static void message_call(unsigned what)
{
	memory_is_out = what % 16 == 15;
	if (what % 64 == 1) {
		message_queue_close(&queue);
		shadow_closed = true;
	} else if (what & 16) {
		receive();
	} else {
		send();
	}
	memory_is_out = false;
	must(message_queue_count(&queue) == shadow_count, "another number of messages");
	must(live == (long)shadow_count, "messages were lost, or kept");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	run_begin();
	sleep_queue_init(&asleep);
	memset(is_asleep, 0, sizeof is_asleep);
	capacity = data[0] % MESSAGES + 1;
	message_queue_init(&queue, capacity);
	shadow_count = 0;
	shadow_closed = false;
	script = data + 1;
	script_end = data + size;
	while (script_end - script >= 3) {
		unsigned what = *script++, a = *script++, b = *script++;

		if (what < 80)
			run_call(what % 3, a % THREADS, b);
		else if (what < 160)
			sleep_call(a % SLEEPERS, b);
		else
			message_call(a);
		if (what % 16 == 0) {
			must(!run_queue_check(&ready), "run_queue_check()");
			must(!sleep_queue_check(&asleep), "sleep_queue_check()");
		}
	}
	must(!run_queue_check(&ready), "run_queue_check()");
	must(!sleep_queue_check(&asleep), "sleep_queue_check()");
	message_queue_destroy(&queue);
	must(live == 0, "destroying a queue leaves messages behind");
	return 0;
}
