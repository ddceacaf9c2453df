/* SPDX-License-Identifier: MIT */
/* What the host's port says to locks taken in the wrong order, or not given back as they were taken. */
#define QUIRE_LOCK_CHECK
#include "cm.h"
#include "host.h"
#include <quire/spinlock.h>

static struct spinlock outer, inner;

static int setup(void **state)
{
	(void)state;
	outer = SPINLOCK_INIT(LOCK_RANK_KMALLOC);
	inner = SPINLOCK_INIT(LOCK_RANK_PAGES);
	host_irq_on = true;
	return 0;
}

static void test_in_order(void **state)
{
	port_irq_t a = spin_lock(&outer), b = spin_lock(&inner);

	(void)state;
	assert_false(host_irq_on);
	spin_unlock(&inner, b);
	assert_false(host_irq_on);
	spin_unlock(&outer, a);
	assert_true(host_irq_on);
}

static void test_falling_rank(void **state)
{
	(void)state;
	(void)spin_lock(&inner);
	if (host_expect_panic()) {
		(void)spin_lock(&outer);
		fail();
	}
	assert_string_equal(host_panic_text, "lock order: rank 30 taken while holding rank 40");
}

static void test_released_out_of_order(void **state)
{
	port_irq_t irq = spin_lock(&outer);

	(void)state;
	(void)spin_lock(&inner);
	if (host_expect_panic()) {
		spin_unlock(&outer, irq);
		fail();
	}
	assert_string_equal(host_panic_text, "lock of rank 30 released out of order");
}

static void test_released_without_being_held(void **state)
{
	(void)state;
	if (host_expect_panic()) {
		spin_unlock(&outer, true);
		fail();
	}
	assert_string_equal(host_panic_text, "lock of rank 30 released out of order");
}

static void test_interrupts_on_too_early(void **state)
{
	port_irq_t irq = spin_lock(&outer);

	(void)state;
	port_irq_restore(irq);
	if (host_expect_panic()) {
		spin_unlock(&outer, irq);
		fail();
	}
	assert_string_equal(host_panic_text, "lock of rank 30 held with interrupts on");
	if (host_expect_panic()) {
		port_irq_restore(true);
		fail();
	}
	assert_string_equal(host_panic_text, "interrupts turned on twice");
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_in_order),
		CASE(test_falling_rank),
		CASE(test_released_out_of_order),
		CASE(test_released_without_being_held),
		CASE(test_interrupts_on_too_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
