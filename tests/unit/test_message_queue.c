/* SPDX-License-Identifier: MIT */
/* Message queues: order, both kinds of blocking, close, kill, out of memory, nothing left. */
#include "host.h"
#include "sched_host.h"
#include "sched_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/message_queue.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct message_queue queue;

static int setup(void **state)
{
	(void)state;
	host_sched_begin();
	message_queue_init(&queue, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	message_queue_destroy(&queue);
	host_sched_end();
	return 0;
}

static int send(const char *text)
{
	return message_queue_send(&queue, text, strlen(text));
}

static void receive(const char *expected)
{
	struct message *m;

	assert_int_equal(message_queue_receive(&queue, &m), 0);
	assert_int_equal(m->bytes, strlen(expected));
	assert_memory_equal(m->data, expected, m->bytes);
	kfree(m);
}

static void first_in_first_out(void **state)
{
	(void)state;
	assert_int_equal(send("one"), 0);
	assert_int_equal(send(""), 0);
	assert_int_equal(message_queue_count(&queue), 2);
	receive("one");
	receive("");
	assert_int_equal(message_queue_count(&queue), 0);
}

struct job {
	const char *text;
	int result;
	bool done;
};

static void send_job(void *job)
{
	struct job *j = job;

	j->result = send(j->text);
	j->done = true;
}

static void receive_job(void *job)
{
	struct job *j = job;
	struct message *m;

	j->result = message_queue_receive(&queue, &m);
	if (!j->result) {
		assert_memory_equal(m->data, j->text, m->bytes);
		kfree(m);
	}
	j->done = true;
}

static uint32_t start(void (*entry)(void *), struct job *j)
{
	const struct thread_options options = {.detached = true};
	uint32_t id = thread_create("job", entry, j, &options);

	assert_int_not_equal(id, 0);
	thread_yield();
	return id;
}

static void full_queue_blocks_its_sender(void **state)
{
	struct job j = {.text = "three"};
	struct wait_queue_info info[2];

	(void)state;
	assert_int_equal(send("one") | send("two"), 0);
	start(send_job, &j);
	assert_false(j.done);
	assert_int_equal(wait_queue_list(info, 2), 2);
	assert_string_equal(info[0].name, "message queue: full");
	assert_int_equal(info[0].waiters, 1);
	receive("one");
	thread_yield();
	assert_true(j.done);
	assert_int_equal(j.result, 0);
	receive("two");
	receive("three");
}

static void empty_queue_blocks_its_receivers(void **state)
{
	struct job first = {.text = "one"}, second = {.text = "two"};

	(void)state;
	start(receive_job, &first);
	start(receive_job, &second);
	assert_int_equal(send("one") | send("two"), 0);
	thread_yield();
	assert_true(first.done && second.done);
	assert_int_equal(first.result | second.result, 0);
}

static void close_wakes_everybody(void **state)
{
	struct job receivers[2] = {{.text = ""}, {.text = ""}};

	(void)state;
	start(receive_job, &receivers[0]);
	start(receive_job, &receivers[1]);
	message_queue_close(&queue);
	message_queue_close(&queue);
	thread_yield();
	assert_int_equal(receivers[0].result, -EPIPE);
	assert_int_equal(receivers[1].result, -EPIPE);
	assert_int_equal(send("late"), -EPIPE);
}

static void a_closed_queue_is_drained(void **state)
{
	struct job j = {.text = "three"};
	struct message *m;

	(void)state;
	assert_int_equal(send("one") | send("two"), 0);
	start(send_job, &j);
	message_queue_close(&queue);
	thread_yield();
	assert_int_equal(j.result, -EPIPE);
	receive("one");
	receive("two");
	assert_int_equal(message_queue_receive(&queue, &m), -EPIPE);
}

static void kill_ends_both_waits(void **state)
{
	struct job j = {.text = "three"}, k = {.text = ""};
	struct message_queue *q = &queue;
	uint32_t id;

	(void)state;
	id = start(receive_job, &k);
	assert_int_equal(thread_kill(id), 0);
	thread_yield();
	assert_int_equal(k.result, -EINTR);
	assert_int_equal(send("one") | send("two"), 0);
	id = start(send_job, &j);
	assert_int_equal(thread_kill(id), 0);
	thread_yield();
	assert_int_equal(j.result, -EINTR);
	assert_int_equal(message_queue_count(q), 2); /* teardown counts the objects */
}

static void no_memory(void **state)
{
	(void)state;
	host_fail_after = 0;
	assert_int_equal(send("one"), -ENOMEM);
	assert_int_equal(message_queue_send(&queue, "", SIZE_MAX - 8), -ENOMEM);
	assert_int_equal(message_queue_count(&queue), 0);
	assert_int_equal(send("one"), 0);
	receive("one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_in_first_out),
		TEST(full_queue_blocks_its_sender),
		TEST(empty_queue_blocks_its_receivers),
		TEST(close_wakes_everybody),
		TEST(a_closed_queue_is_drained),
		TEST(kill_ends_both_waits),
		TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
