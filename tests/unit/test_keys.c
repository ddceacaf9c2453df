/* SPDX-License-Identifier: MIT */
/* The key queue, over a pretend wait queue. */
#include "cm.h"
#include "host.h"
#include <quire/console.h>
#include <quire/errno.h>
#include <quire/thread.h>
#include <string.h>

static unsigned wakes, bells;
static uint32_t key_while_waiting;
static uint64_t last_timeout;

void wait_queue_init(struct wait_queue *q, const char *name)
{
	q->name = name;
}

unsigned wait_queue_wake(struct wait_queue *q, unsigned count)
{
	assert_non_null(q->name);
	wakes += count;
	return 0;
}

int wait_queue_wait(struct wait_queue *q, bool (*condition)(void *), void *arg, uint64_t timeout_ns)
{
	(void)q;
	last_timeout = timeout_ns;
	assert_false(condition(arg));
	if (!key_while_waiting)
		return -ETIMEDOUT;
	console_key(key_while_waiting);
	key_while_waiting = 0;
	assert_true(condition(arg));
	return 0;
}

void console_write(const char *text, size_t length)
{
	assert_int_equal(length, 1);
	bells += *text == '\a';
}

static void type(const char *text)
{
	for (; *text; text++)
		console_serial_byte((uint8_t)*text);
}

static void keys_before_the_start_are_kept(void **state)
{
	(void)state;
	console_key('x');
	assert_int_equal(wakes, 0);
	console_input_init();
	assert_int_equal(console_read_key(0), 'x');
	console_key('y');
	assert_int_equal(wakes, 1);
	assert_int_equal(console_read_key(0), 'y');
}

static void reading_waits_or_times_out(void **state)
{
	(void)state;
	assert_int_equal(console_read_key(5), KEY_NONE);
	assert_int_equal(last_timeout, 5);
	key_while_waiting = KEY_UP;
	assert_int_equal(console_read_key(0), KEY_UP);
	console_key(KEY_NONE);
	assert_int_equal(console_read_key(1), KEY_NONE);
}

static void serial_bytes_and_keys_share_one_queue(void **state)
{
	(void)state;
	type("a\033[");
	console_key('b');
	type("Dc");
	assert_int_equal(console_read_key(0), 'a');
	assert_int_equal(console_read_key(0), 'b');
	assert_int_equal(console_read_key(0), KEY_LEFT);
	assert_int_equal(console_read_key(0), 'c');
}

static void a_full_queue_rings_and_keeps_what_it_has(void **state)
{
	unsigned n = 0;

	(void)state;
	assert_false(console_interrupted());
	for (int i = 0; i < 5000; i++)
		console_key('k');
	assert_int_equal(bells, 5000 - 4096);
	console_key(KEY_INTERRUPT);
	assert_true(console_interrupted()); /* noted though there was no room */
	assert_false(console_interrupted());
	while (console_read_key(1) == 'k')
		n++;
	assert_int_equal(n, 4096);
}

static void flushing_drops_up_to_the_last_interrupt(void **state)
{
	(void)state;
	type("ab\003cd\003ef");
	console_flush_interrupt();
	assert_false(console_interrupted());
	assert_int_equal(console_read_key(0), 'e');
	console_flush_interrupt(); /* none there: nothing lost */
	assert_int_equal(console_read_key(0), 'f');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_before_the_start_are_kept),
		cmocka_unit_test(reading_waits_or_times_out),
		cmocka_unit_test(serial_bytes_and_keys_share_one_queue),
		cmocka_unit_test(a_full_queue_rings_and_keeps_what_it_has),
		cmocka_unit_test(flushing_drops_up_to_the_last_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
