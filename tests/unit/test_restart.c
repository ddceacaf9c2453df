/* SPDX-License-Identifier: MIT */
/* Starting interrupted runs over: which addresses count, what is put back. */
#include "arch/x86_64/restart.h"
#include "cm.h"
#include "host.h"

/* As a linker might leave them: in no order, others' code between. */
static const struct restartable table[]
	__attribute__((section("restartable"), used, no_sanitize("address"))) = {
		{.start = 0x5000, .commit = 0x5020, .undo = 7},
		{.start = 0x1000, .commit = 0x1009, .undo = 2},
		{.start = 0x3000, .commit = 0x3010, .undo = 1},
};
static uint8_t state;

/* Where it goes on when interrupted there. */
static uint64_t rewound(uint64_t rip)
{
	struct trap_frame f = {.rip = rip, .rdx = (uintptr_t)&state};

	state = 99;
	restart_rewind(&f);
	return f.rip;
}

static void test_every_address(void **unused)
{
	(void)unused;
	for (uint64_t rip = 0; rip < 0x6000; rip++) {
		const struct restartable *in = NULL;

		for (unsigned i = 0; i < 3; i++)
			if (rip > table[i].start && rip <= table[i].commit)
				in = &table[i];
		assert_ptr_equal(restartable_at(rip), in);
		assert_int_equal(rewound(rip), in ? in->start : rip);
		/* Written just before the last instruction, and by nobody else. */
		assert_int_equal(state, in && rip == in->commit ? in->undo : 99);
	}
	assert_int_equal(rewound(~(uint64_t)0), ~(uint64_t)0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_address),
	};

	restart_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
