/* SPDX-License-Identifier: MIT */
/*
 * kmalloc against an oracle: over a million random calls, wrong ones among them.
 *
 * The oracle keeps, for every live object, what was asked for and a pattern it
 * was filled with, and for every 8 bytes of RAM which object claims them. So an
 * overlap, a lost or a changed byte, a wrong size, a missed or an invented
 * misuse each fail at the call that shows it.
 *
 * One thread plays several CPUs: it changes places at random, so that objects are freed far from
 * where they were allocated, CPUs come online late and are drained, and one never does.
 */
#include "../unit/kmalloc_fixture.h"

#define OPERATIONS  1200000 /* half of them with tracking */
#define CHECK_EVERY 8192
#define SHED_EVERY  150000
#define SLOTS       6000
#define RAM_PAGES   (7 * 512) /* so small that it runs out now and then */
#define TYPED       3
#define CPUS        5 /* the last is never online */

struct live {
	unsigned char *address; /* NULL: slot unused */
	size_t bytes;
	struct kmem_cache *cache; /* typed, else NULL */
	unsigned char fill;
};

static struct live slots[SLOTS];
static uint32_t *claims; /* 1 + slot, for every 8 bytes of RAM */
static struct kmem_cache *typed[TYPED];
static uint64_t random_state, failures, refused, live_count;

static uint64_t below(uint64_t limit)
{
	return host_random(&random_state) % limit;
}

/* Mostly small, as kernels ask; some large; every class is reached. */
static size_t random_bytes(void)
{
	uint64_t kind = below(100);

	if (kind < 2)
		return below(40 * PAGE_BYTES);
	if (kind < 12)
		return below(KMALLOC_SMALL_MAX + 1);
	return below((size_t)8 << below(9));
}

static size_t claim_index(const void *address)
{
	return physical(address) / 8;
}

static void claim(unsigned slot, size_t usable)
{
	size_t first = claim_index(slots[slot].address);

	for (size_t i = first; i < first + usable / 8; i++) {
		if (claims[i])
			fail_msg("object %p overlaps %p", (void *)slots[slot].address,
				 (void *)slots[claims[i] - 1].address);
		claims[i] = slot + 1;
	}
}

static void unclaim(unsigned slot, size_t usable)
{
	size_t first = claim_index(slots[slot].address);

	for (size_t i = first; i < first + usable / 8; i++)
		claims[i] = 0;
}

static void fill(struct live *o)
{
	o->fill = (unsigned char)below(255);
	memset(o->address, o->fill, o->bytes);
}

static void verify_fill(const struct live *o, size_t bytes, unsigned char with)
{
	for (size_t i = 0; i < bytes; i++)
		if (o->address[i] != with)
			fail_msg("byte %zu of %zu at %p changed", i, bytes, (void *)o->address);
}

static void adopt(unsigned slot, void *address, size_t bytes, struct kmem_cache *cache)
{
	slots[slot] = (struct live){.address = address, .bytes = bytes, .cache = cache};
	assert_true(kmalloc_size(address) >= bytes);
	claim(slot, kmalloc_size(address));
	live_count++;
}

/* No memory is stranded: a request fails only when no CPU has a free slot for it. */
static void refused_rightly(struct kmem_cache *cache)
{
	struct arena *a;

	for (unsigned i = 0; (a = arena_at(cache, i)) != NULL; i++)
		assert_null(a->current);
	failures++;
}

static void do_alloc(unsigned slot)
{
	size_t bytes = random_bytes();
	size_t align = below(8) ? 8 : (size_t)16 << below(10);
	bool zero = align == 8 && below(4) == 0;
	void *address;

	if (align > 8)
		address = kmalloc_aligned(bytes, align);
	else
		address = zero ? kzalloc(bytes) : kmalloc(bytes);
	if (!address && align_up(bytes + !bytes, align) <= KMALLOC_SMALL_MAX)
		refused_rightly(
			&kernel_heap.classes[kmalloc_class(align_up(bytes + !bytes, align))]);
	if (!address)
		return;
	assert_int_equal(physical(address) % align, 0);
	adopt(slot, address, bytes, NULL);
	if (zero)
		verify_fill(&slots[slot], kmalloc_size(address), 0);
	fill(&slots[slot]);
}

static void do_typed_alloc(unsigned slot)
{
	struct kmem_cache *cache = typed[below(TYPED)];
	void *address = kmem_cache_alloc(cache, 0);

	if (!address) {
		refused_rightly(cache);
		return;
	}
	adopt(slot, address, cache->wanted_bytes, cache);
	fill(&slots[slot]);
}

static void do_free(unsigned slot)
{
	struct live *o = &slots[slot];

	verify_fill(o, o->bytes, o->fill);
	unclaim(slot, kmalloc_size(o->address));
	if (o->cache && below(2))
		kmem_cache_free(o->cache, o->address);
	else
		kfree(o->address);
	o->address = NULL;
	live_count--;
}

static void do_realloc(unsigned slot)
{
	struct live *o = &slots[slot];
	size_t bytes = random_bytes(), kept = bytes < o->bytes ? bytes : o->bytes;
	size_t usable = kmalloc_size(o->address);
	void *moved = krealloc(o->address, bytes);

	if (!moved) {
		failures++;
		assert_true(bytes > usable);
		verify_fill(o, o->bytes, o->fill);
		return;
	}
	unclaim(slot, usable);
	if (moved != o->address)
		o->cache = NULL;
	o->address = moved;
	verify_fill(o, kept, o->fill);
	o->bytes = bytes;
	claim(slot, kmalloc_size(moved));
	fill(o);
}

/* A wrong free somewhere in a live object, or anywhere in RAM. */
static void do_misuse(unsigned slot)
{
	struct live *o = &slots[slot];
	struct kheap_about about;
	unsigned char *wild;
	uint32_t owner;

	if (o->address && below(2))
		wild = o->address + 1 + below(kmalloc_size(o->address) - 1);
	else
		wild = (unsigned char *)host_ram + below(pages.pfn_limit << PAGE_SHIFT) / 8 * 8;
	owner = claims[claim_index(wild)];
	if (owner && slots[owner - 1].address == wild)
		return; /* the start of a live object after all */
	kheap_about(&kernel_heap, wild, &about);
	kfree(wild);
	assert_int_equal(host_misuses, 1);
	if (owner) {
		assert_int_equal(host_last_misuse.object, (uintptr_t)slots[owner - 1].address);
		assert_int_equal(about.object, (uintptr_t)slots[owner - 1].address);
		assert_true(about.where == KHEAP_OBJECT || about.where == KHEAP_LARGE);
	}
	host_misuse_reset();
	refused++;
}

/* Elsewhere from now on. */
static void do_move(void)
{
	unsigned cpu = (unsigned)below(CPUS - 1);

	if (below(50) == 0)
		kheap_cpu_drain(&kernel_heap, host_cpu);
	if (kernel_heap.online[cpu] == &kernel_heap.nobody && below(20) == 0)
		(void)kheap_cpu_online(&kernel_heap, cpu); /* not while memory is out */
	host_cpu = (unsigned)below(CPUS);
}

static void step(void)
{
	unsigned slot = (unsigned)below(SLOTS);
	uint64_t kind = below(1000);

	if (below(30) == 0)
		do_move();
	if (kind < 20)
		do_misuse(slot);
	else if (kind < 21)
		kheap_trim(&kernel_heap);
	else if (!slots[slot].address && kind < 200)
		do_typed_alloc(slot);
	else if (!slots[slot].address)
		do_alloc(slot);
	else if (kind < 150)
		do_realloc(slot);
	else
		do_free(slot);
	assert_int_equal(host_misuses, 0);
}

static void verify_counts(void)
{
	struct kheap_stats stats;

	heap_verify();
	kheap_stats(&kernel_heap, &stats);
	assert_int_equal(stats.live_objects + stats.large_live, live_count + TYPED);
	assert_int_equal(stats.misuses, refused);
}

/* Empty so many per cent of the slots, so that the load rises and falls. */
static void shed(unsigned share)
{
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (slots[slot].address && below(100) < share)
			do_free(slot);
}

static void model_run(bool track)
{
	static const size_t sizes[TYPED] = {24, 200, 3000};

	heap_init(RAM_PAGES);
	kheap_watch(&kernel_heap, track ? WATCH_TRACK : 0, 0);
	claims = calloc(pages.pfn_limit * (PAGE_BYTES / 8), sizeof *claims);
	assert_non_null(claims);
	refused = 0;
	for (unsigned i = 0; i < TYPED; i++) {
		typed[i] = kmem_cache_create(&kernel_heap, "model", sizes[i], 0);
		assert_non_null(typed[i]);
	}
	for (unsigned i = 0; i < host_amount(OPERATIONS / 2); i++) {
		step();
		if (i % CHECK_EVERY == 0)
			verify_counts();
		if (i % SHED_EVERY == SHED_EVERY - 1)
			shed(90);
	}
	shed(100);
	assert_int_equal(live_count, 0);
	for (unsigned cpu = 0; cpu < CPUS - 1; cpu++) {
		assert_ptr_not_equal(kernel_heap.online[cpu], &kernel_heap.nobody);
		kheap_cpu_drain(&kernel_heap, cpu);
	}
	host_cpu = 0;
	for (unsigned i = 0; i < TYPED; i++)
		assert_int_equal(kmem_cache_destroy(typed[i]), 0);
	heap_verify_empty();
	free(claims);
}

static void test_model(void **state)
{
	(void)state;
	model_run(false);
}

static void test_model_with_tracking(void **state)
{
	(void)state;
	model_run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_model_with_tracking),
	};
	int failed;

	random_state = host_seed("model_kmalloc");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	printf("model_kmalloc: %u operations, %llu times out of memory\n", OPERATIONS,
	       (unsigned long long)failures);
	return failed;
}
