/* SPDX-License-Identifier: MIT */
/*
 * Magazines: objects go back to their slabs eight at a time where eight neighbours were freed in a
 * row. One that only looks like a neighbour must not take another along.
 */
#include "kmalloc_fixture.h"

enum {
	BYTES = 64,
	ROWS = 64,
	COUNT = 8 * ROWS
};

static char *objects[COUNT], *others[ROWS];

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return (x > y) - (x < y);
}

static void allocate(void)
{
	for (unsigned i = 0; i < COUNT; i++)
		assert_non_null(objects[i] = kmalloc(BYTES));
	for (unsigned i = 0; i < ROWS; i++)
		assert_non_null(others[i] = kmalloc(BYTES));
	qsort(objects, COUNT, sizeof *objects, by_address);
}

static bool is_live(const void *object)
{
	struct kheap_about about;

	kheap_about(&kernel_heap, object, &about);
	return about.where == KHEAP_OBJECT && about.object == (uintptr_t)object;
}

/* Whatever is in the magazines goes back; what is live stays so, what is not comes out once. */
static void settle(void)
{
	kheap_watch(&kernel_heap, WATCH_TRACE, 0);
	kheap_watch(&kernel_heap, 0, WATCH_TRACE);
	heap_verify();
}

/* In each row of eight the one at `gap` stays, a stranger is freed in its place. */
static void rows_with_a_stranger(unsigned gap, bool upwards)
{
	allocate();
	for (unsigned row = 0; row < ROWS; row++)
		for (unsigned i = 0; i < 8; i++) {
			unsigned at = upwards ? i : 7 - i;

			kfree(at == gap ? others[row] : objects[8 * row + at]);
		}
	settle();
	for (unsigned row = 0; row < ROWS; row++) {
		assert_true(is_live(objects[8 * row + gap]));
		assert_false(is_live(others[row]));
		for (unsigned i = 0; i < 8; i++)
			assert_true(i == gap || !is_live(objects[8 * row + i]));
		kfree(objects[8 * row + gap]);
	}
	assert_int_equal(host_misuses, 0);
	settle();
}

static void test_a_stranger_in_a_row(void **state)
{
	(void)state;
	for (unsigned gap = 0; gap < 8; gap++) {
		rows_with_a_stranger(gap, true);
		rows_with_a_stranger(gap, false);
	}
}

/* Rows of other lengths, and from any first object. */
static void test_rows_of_every_length(void **state)
{
	(void)state;
	for (unsigned length = 1; length <= 20; length++)
		for (unsigned first = 0; first < 9; first++) {
			allocate();
			for (unsigned i = first; i < COUNT; i++)
				if ((i - first) % (length + 1) != length)
					kfree(objects[i]);
			settle();
			for (unsigned i = 0; i < COUNT; i++) {
				bool live = i < first || (i - first) % (length + 1) == length;

				assert_int_equal(is_live(objects[i]), live);
				if (live)
					kfree(objects[i]);
			}
			for (unsigned i = 0; i < ROWS; i++)
				kfree(others[i]);
			settle();
		}
	assert_int_equal(host_misuses, 0);
}

/* Nothing is handed out twice while it is out, however often it goes round. */
static void test_nobody_shares(void **state)
{
	static const size_t sizes[] = {8, 16, 64, 200, 1000, 4096, 8192};
	static char *held[3000];

	(void)state;
	for (size_t s = 0; s < array_len(sizes); s++) {
		for (unsigned round = 0; round < 3; round++) {
			unsigned count = sizes[s] > 1000 ? 300 : array_len(held);

			for (unsigned i = 0; i < count; i++)
				assert_non_null(held[i] = kmalloc(sizes[s]));
			qsort(held, count, sizeof *held, by_address);
			for (unsigned i = 1; i < count; i++)
				assert_true(held[i] >= held[i - 1] + sizes[s]);
			for (unsigned i = round; i < count + round; i++)
				kfree(held[i % count]);
		}
		heap_verify();
	}
	assert_int_equal(host_misuses, 0);
}

/* A burst of allocations, of frees, in turns: the counts are exact at every moment. */
static void test_counts_are_exact(void **state)
{
	struct kheap_stats before, s;
	static char *held[1000];
	struct kmem_cache_stats cache;
	unsigned at = kmalloc_class(BYTES);
	uint64_t allocs, frees;

	(void)state;
	kheap_stats(&kernel_heap, &before);
	assert_true(kheap_cache_stats(&kernel_heap, at, &cache));
	allocs = cache.allocs;
	frees = cache.frees;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < array_len(held); i++) {
			held[i] = kmalloc(BYTES);
			allocs++;
			if (i % 3 == round % 3) {
				kfree(kmalloc(BYTES));
				allocs++;
				frees++;
			}
			kheap_stats(&kernel_heap, &s);
			assert_int_equal(s.live_objects, before.live_objects + i + 1);
		}
		for (unsigned i = 0; i < array_len(held); i++) {
			kfree(held[i]);
			frees++;
			assert_true(kheap_cache_stats(&kernel_heap, at, &cache));
			assert_int_equal(cache.allocs, allocs);
			assert_int_equal(cache.frees, frees);
			assert_int_equal(cache.live, allocs - frees);
		}
	}
}

/* A slab that is to empty gets its objects back at once, not those of the next burst. */
static void test_slabs_that_empty(void **state)
{
	char *object, *other;
	struct slab *s;

	(void)state;
	object = kmalloc(BYTES);
	other = kmalloc(BYTES);
	s = slab_of(&kernel_heap, object);
	assert_ptr_equal(slab_of(&kernel_heap, other), s);
	slab_slow_down(s);
	kfree(object);
	assert_int_equal(slab_slot_state(s, slab_slot_around(s, (uintptr_t)object)), SLOT_FREE);
	slab_quicken(s);
	kfree(other);
	assert_int_equal(slab_slot_state(s, slab_slot_around(s, (uintptr_t)other)), SLOT_CACHED);
}

/* Also where a magazine holds an odd number of objects it never holds more than it has room for. */
static void test_odd_magazines(void **state)
{
	static void *held[300];

	(void)state;
	assert_int_equal(kernel_heap.classes[kmalloc_class(160)].room % 2, 1);
	for (unsigned i = 0; i < array_len(held); i++)
		held[i] = kmalloc(160);
	for (unsigned i = 0; i < array_len(held); i++) {
		kfree(held[i]);
		assert_null(kheap_check(&kernel_heap));
	}
}

/* An object that a lock's holder frees counts once. */
static void test_blocks_freed_under_the_lock(void **state)
{
	void *object = kmalloc(4 * PAGE_BYTES);
	struct kheap_stats stats;
	port_irq_t irq;

	(void)state;
	irq = spin_lock(&kernel_heap.lock);
	assert_true(large_free_locked(&kernel_heap, object, 0));
	assert_false(large_free_locked(&kernel_heap, object, 0));
	spin_unlock(&kernel_heap.lock, irq);
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.large_allocs, 1);
	assert_int_equal(stats.large_frees, 1);
	assert_int_equal(stats.large_pages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(test_a_stranger_in_a_row),
		heap_test(test_rows_of_every_length),
		heap_test(test_nobody_shares),
		heap_test(test_counts_are_exact),
		heap_test(test_slabs_that_empty),
		heap_test(test_odd_magazines),
		heap_test(test_blocks_freed_under_the_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
