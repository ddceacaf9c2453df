/* SPDX-License-Identifier: MIT */
/* The ring of events: what is recorded, in which order, and what is overwritten. */
#include "kmalloc_fixture.h"

enum {
	CAPACITY = 50
};

static struct alloc_trace *trace;
static unsigned char memory[sizeof(struct alloc_trace) + CAPACITY * sizeof(struct alloc_event)]
	__attribute__((aligned(64)));

static int setup(void **state)
{
	heap_setup(state);
	trace = alloc_trace_init(memory, sizeof memory);
	assert_int_equal(trace->capacity, CAPACITY);
	return 0;
}

static int teardown(void **state)
{
	kheap_trace(&kernel_heap, NULL);
	page_trace(&pages, NULL);
	return heap_teardown(state);
}

/* Event `number` is this one, with the caller given. */
static void assert_event(uint64_t number, enum alloc_operation operation, uint64_t address,
			 uint64_t bytes, uintptr_t caller)
{
	struct alloc_event event;

	assert_true(alloc_trace_read(trace, number, &event));
	assert_string_equal(alloc_operation_name(event.operation), alloc_operation_name(operation));
	assert_int_equal(event.address, address);
	assert_int_equal(event.bytes, bytes);
	if (caller)
		assert_int_equal(event.caller, caller);
	assert_int_equal(event.cpu, host_cpu);
}

static void test_objects(void **state)
{
	void *object, *block, *run;

	(void)state;
	kheap_trace(&kernel_heap, trace);
	object = kheap_alloc(&kernel_heap, 100, 0, 0x1000);
	block = kheap_alloc(&kernel_heap, 4 * PAGE_BYTES, 0, 0x1001);
	run = kheap_alloc(&kernel_heap, 3 * PAGE_BYTES - 5, 0, 0x1002);
	kheap_free(&kernel_heap, object, 0x1003);
	kheap_free(&kernel_heap, block, 0x1004);
	kheap_free(&kernel_heap, run, 0x1005);
	kfree(NULL);
	assert_int_equal(trace->recorded, 6);
	assert_event(0, TRACE_KMALLOC, (uintptr_t)object, 100, 0x1000);
	assert_event(1, TRACE_KMALLOC, (uintptr_t)block, 4 * PAGE_BYTES, 0x1001);
	assert_event(2, TRACE_KMALLOC, (uintptr_t)run, 3 * PAGE_BYTES - 5, 0x1002);
	assert_event(3, TRACE_KFREE, (uintptr_t)object, 112, 0x1003);
	assert_event(4, TRACE_KFREE, (uintptr_t)block, 4 * PAGE_BYTES, 0x1004);
	assert_event(5, TRACE_KFREE, (uintptr_t)run, 3 * PAGE_BYTES, 0x1005);
}

static void test_pages(void **state)
{
	pfn_t many[3], frame, run;
	uint64_t low;

	(void)state;
	page_trace(&pages, trace);
	frame = page_alloc_for(&pages, 2, PAGE_ANY, 0x1000);
	run = page_alloc_run_for(&pages, 5, PAGE_ANY, 0x1001);
	assert_int_equal(page_alloc_bulk(&pages, many, 3, PAGE_ANY), 3);
	low = many[0].n;
	page_free_for(&pages, frame, 2, 0x1002);
	page_free_run_for(&pages, run, 0x1003);
	page_free_bulk(&pages, many, 3);
	assert_true(pfn_is_none(page_alloc_run_for(&pages, 0, PAGE_ANY, 0x1004)));
	assert_int_equal(trace->recorded, 7);
	assert_event(0, TRACE_PAGE_ALLOC, frame.n * PAGE_BYTES, 4 * PAGE_BYTES, 0x1000);
	assert_event(1, TRACE_RUN_ALLOC, run.n * PAGE_BYTES, 5 * PAGE_BYTES, 0x1001);
	assert_event(2, TRACE_BULK_ALLOC, low * PAGE_BYTES, 3 * PAGE_BYTES, 0);
	assert_event(3, TRACE_PAGE_FREE, frame.n * PAGE_BYTES, 4 * PAGE_BYTES, 0x1002);
	assert_event(4, TRACE_RUN_FREE, run.n * PAGE_BYTES, 5 * PAGE_BYTES, 0x1003);
	assert_event(5, TRACE_BULK_FREE, low * PAGE_BYTES, 3 * PAGE_BYTES, 0);
	assert_event(6, TRACE_RUN_ALLOC, 0, 0, 0x1004);
}

/* What fails is there too, and says whether it was made to. */
static void test_failures(void **state)
{
	struct alloc_event event;

	(void)state;
	kheap_trace(&kernel_heap, trace);
	kheap_fail(&kernel_heap, &(struct alloc_fail_plan){.mode = ALLOC_FAIL_NTH, .n = 1});
	assert_null(kmalloc(64));
	assert_null(kmalloc((size_t)1 << 40));
	kheap_fail(&kernel_heap, NULL);
	assert_true(alloc_trace_read(trace, 0, &event));
	assert_true(event.injected && event.address == 0);
	assert_true(alloc_trace_read(trace, 1, &event));
	assert_true(!event.injected && event.address == 0);
}

/* Exactly full is nothing overwritten. */
static void test_full_to_the_brim(void **state)
{
	struct alloc_event event;
	uint64_t oldest;

	(void)state;
	for (unsigned i = 0; i < CAPACITY; i++)
		alloc_trace_add(trace, (struct alloc_event){.bytes = i});
	assert_int_equal(alloc_trace_recorded(trace, &oldest), CAPACITY);
	assert_int_equal(oldest, 0);
	assert_true(alloc_trace_read(trace, 0, &event) && event.bytes == 0);
	alloc_trace_add(trace, event);
	(void)alloc_trace_recorded(trace, &oldest);
	assert_int_equal(oldest, 1);
	assert_false(alloc_trace_read(trace, 0, &event));
	alloc_trace_clear(trace);
	/* A byte less is an event less. */
	trace = alloc_trace_init(memory, sizeof memory - 1);
	assert_int_equal(trace->capacity, CAPACITY - 1);
}

static void test_the_oldest_are_overwritten(void **state)
{
	struct alloc_event event;
	uint64_t oldest;

	(void)state;
	kheap_trace(&kernel_heap, trace);
	for (unsigned i = 0; i < CAPACITY; i++)
		kheap_free(&kernel_heap, kheap_alloc(&kernel_heap, 64, 0, 2 * i), 2 * i + 1);
	assert_int_equal(alloc_trace_recorded(trace, &oldest), 2 * CAPACITY);
	assert_int_equal(oldest, CAPACITY);
	assert_false(alloc_trace_read(trace, oldest - 1, &event));
	for (uint64_t i = oldest; i < 2 * CAPACITY; i++) {
		assert_true(alloc_trace_read(trace, i, &event));
		assert_int_equal(event.caller, i);
	}
	assert_false(alloc_trace_read(trace, 2 * CAPACITY, &event));
	alloc_trace_clear(trace);
	assert_int_equal(alloc_trace_recorded(trace, &oldest), 0);
	assert_false(alloc_trace_read(trace, 0, &event));
}

static void test_off_is_off(void **state)
{
	(void)state;
	kheap_trace(&kernel_heap, trace);
	page_trace(&pages, trace);
	kheap_trace(&kernel_heap, NULL);
	page_trace(&pages, NULL);
	memset(memory, 0xee, sizeof memory); /* the owner has it back */
	kfree(kmalloc(64));
	kfree(kmalloc(20000));
	for (size_t i = 0; i < sizeof memory; i++)
		assert_int_equal(memory[i], 0xee);
	assert_int_equal(kernel_heap.watch, 0); /* and the magazines serve again */
	trace = alloc_trace_init(memory, sizeof memory);
}

/* Events lie in time as they came; and what came is called by its name, or by none. */
static void test_when_and_what(void **state)
{
	uint64_t before = port_cycles(), between;
	struct alloc_event event;

	(void)state;
	alloc_trace_add(trace, (struct alloc_event){.operation = TRACE_BULK_FREE});
	between = port_cycles();
	alloc_trace_add(trace, (struct alloc_event){.operation = TRACE_KMALLOC});
	assert_true(alloc_trace_read(trace, 0, &event));
	assert_in_range(event.cycles, before, between);
	assert_string_equal(alloc_operation_name(event.operation), "bulk_free");
	assert_true(alloc_trace_read(trace, 1, &event));
	assert_in_range(event.cycles, between, port_cycles());
	assert_string_equal(alloc_operation_name(TRACE_OPERATIONS), "?");
}

#define trace_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		trace_test(test_objects),    trace_test(test_pages),
		trace_test(test_failures),   trace_test(test_full_to_the_brim),
		trace_test(test_failures),   trace_test(test_the_oldest_are_overwritten),
		trace_test(test_off_is_off), trace_test(test_when_and_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
