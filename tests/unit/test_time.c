/* SPDX-License-Identifier: MIT */
/* The arithmetic of time, with the host's counter. */
#include "cm.h"
#include "time_rate.h"
#include <quire/port.h>
#include <quire/thread.h>
#include <quire/time.h>
#include <string.h>

/* The start lies ten seconds back on each counter; the host has been up longer. */
#define TEN_SECONDS_NS 10000000000ull

static void before_any_rate_time_stands_still(void **state)
{
	(void)state;
	time_start(port_cycles(), 0);
	assert_int_equal(time_ns(), 0);
	assert_int_equal(time_cycles_hz(), 0);
	assert_string_equal(time_source(), "not calibrated");
}

static void a_rate_turns_cycles_into_nanoseconds(void **state)
{
	static const uint64_t rates[] = {50000000, 999999999, 1000000000, 2593906000, 20000000000};

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		uint64_t now;

		time_start(port_cycles() - 10 * rates[i], 0);
		time_set_rate(rates[i], "test");
		now = time_ns();
		/* To one part in 10 million, and the time of this test. */
		assert_true(now > TEN_SECONDS_NS - TEN_SECONDS_NS / 10000000);
		assert_true(now < 3 * TEN_SECONDS_NS);
		assert_int_equal(time_cycles_hz(), rates[i]);
		assert_string_equal(time_source(), "test");
	}
}

static void an_absurd_rate_gives_no_time_instead_of_nonsense(void **state)
{
	(void)state;
	time_start(port_cycles() - 1000, 1);
	assert_int_equal(time_ns(), 0);
}

static void a_counter_behind_the_start_is_not_negative(void **state)
{
	(void)state;
	time_start(port_cycles() + 1000000000000ull, 1000000000);
	assert_int_equal(time_ns(), 0);
}

static void delays_last_at_least_as_long(void **state)
{
	uint64_t from;

	(void)state;
	time_start(port_cycles(), 1000000000);
	from = time_ns();
	time_delay_ns(2000000);
	assert_true(time_ns() - from >= 2000000);
	assert_true(port_now_ns() >= from);
}

static void milestones_keep_their_order_and_their_number_is_bounded(void **state)
{
	struct time_milestone m;
	unsigned count = 0;

	(void)state;
	assert_false(time_milestone_at(0, &m));
	for (unsigned i = 0; i < 1000; i++)
		time_mark(i ? "later" : "first");
	assert_true(time_milestone_at(0, &m));
	assert_string_equal(m.name, "first");
	for (uint64_t last = 0; time_milestone_at(count, &m); count++) {
		assert_true(m.cycles >= last);
		last = m.cycles;
	}
	assert_true(count >= 16 && count < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_any_rate_time_stands_still),
		cmocka_unit_test(a_rate_turns_cycles_into_nanoseconds),
		cmocka_unit_test(an_absurd_rate_gives_no_time_instead_of_nonsense),
		cmocka_unit_test(a_counter_behind_the_start_is_not_negative),
		cmocka_unit_test(delays_last_at_least_as_long),
		cmocka_unit_test(milestones_keep_their_order_and_their_number_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
