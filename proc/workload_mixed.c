/* SPDX-License-Identifier: MIT */
/*
 * The mixed workload: two threads that take memory of every kind and free what the other took.
 *
 *   thread ──► new piece ──► slots[random] ──► the piece that was there ──► checked, freed
 *                              ▲   (one exchange: a piece has one owner at any time)
 *   thread ────────────────────┘
 *
 * A piece says of itself what it is: its first words are its address, its size, its kind and a seed,
 * and word i after them is seed + i. So whoever finds it can check all of it and free it the right way.
 *
 * Invariant: a piece is in one slot, or in one thread's hands.
 * Lock: none; the slots are atomic, and what a piece contains goes with its pointer.
 */
#include "workload_internal.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/thread.h>

#define SLOTS       128
#define BATCH       32 /* steps between looks at the clock */
#define ORDER_MAX   9
#define LARGE_BYTES (256u << 10)
#define WORDS_READ  512 /* of a large piece: the first ones, and one in each page after them */

enum piece_kind {
	PIECE_KMALLOC,
	PIECE_ALIGNED,
	PIECE_GROWN, /* through krealloc() */
	PIECE_TYPED,
	PIECE_LARGE,
	PIECE_PAGES, /* page_alloc() */
	PIECE_RUN,   /* page_alloc_run() */
	PIECE_KINDS,
};

struct piece {
	struct piece *self;
	size_t bytes;
	uint64_t kind;
	uint64_t seed;
	uint64_t words[];
};

#define TYPED_BYTES 200

struct mixed {
	struct workload_run *run;
	uint32_t references; /* atomic */
	struct kmem_cache *cache;
	struct piece *slots[SLOTS]; /* atomic */
};

/* ---- contents ---- */

static size_t piece_words(const struct piece *p)
{
	return (p->bytes - sizeof *p) / sizeof p->words[0];
}

/* All of the small ones; a large one by samples, or filling it would be all that is done. */
static size_t next_word(size_t i)
{
	return i < WORDS_READ ? i + 1 : i + PAGE_BYTES / sizeof(uint64_t);
}

static struct piece *piece_fill(void *memory, size_t bytes, enum piece_kind kind, uint64_t seed)
{
	struct piece *p = memory;

	if (!p)
		return NULL;
	p->self = p;
	p->bytes = bytes;
	p->kind = kind;
	p->seed = seed;
	for (size_t i = 0; i < piece_words(p); i = next_word(i))
		p->words[i] = seed + i;
	return p;
}

static bool piece_is_intact(const struct piece *p)
{
	if (p->self != p || p->kind >= PIECE_KINDS)
		return false;
	for (size_t i = 0; i < piece_words(p); i = next_word(i))
		if (p->words[i] != p->seed + i)
			return false;
	return true;
}

/* ---- taking and giving back ---- */

static void *pages_take(uint64_t pages, unsigned order, bool run)
{
	struct page_allocator *pa = kernel_heap.pages;
	pfn_t frame = run ? page_alloc_run(pa, pages, PAGE_ANY) : page_alloc(pa, order, PAGE_ANY);

	return pfn_is_none(frame) ? NULL : port_phys_to_virt(pfn_to_paddr(frame));
}

static void *grow(size_t bytes)
{
	void *small = kmalloc(sizeof(struct piece)), *grown;

	if (!small)
		return NULL;
	grown = krealloc(small, bytes);
	if (!grown)
		kfree(small);
	return grown;
}

static struct piece *piece_take(struct mixed *m, uint64_t random)
{
	size_t small = sizeof(struct piece) + (random >> 8) % 2000;
	size_t large = KMALLOC_SMALL_MAX + (random >> 8) % LARGE_BYTES;
	unsigned order = (unsigned)__builtin_ctzll((random >> 8) | 1u << ORDER_MAX);
	uint64_t pages = (random >> 8) % 40 + 1;

	switch (random % 32) {
	case 0:
		return piece_fill(kmalloc(large), large, PIECE_LARGE, random);
	case 1:
		return piece_fill(pages_take(pages, 0, true), pages * PAGE_BYTES, PIECE_RUN,
				  random);
	case 2 ... 7:
		return piece_fill(pages_take(0, order, false), (size_t)PAGE_BYTES << order,
				  PIECE_PAGES, random);
	case 8 ... 12:
		return piece_fill(kmem_cache_alloc(m->cache, 0), TYPED_BYTES, PIECE_TYPED, random);
	case 13 ... 14:
		return piece_fill(kmalloc_aligned(small, 64), small, PIECE_ALIGNED, random);
	case 15:
		return piece_fill(grow(small), small, PIECE_GROWN, random);
	default:
		return piece_fill(kmalloc(small), small, PIECE_KMALLOC, random);
	}
}

static void piece_free(struct mixed *m, struct piece *p)
{
	pfn_t frame = paddr_to_pfn(port_virt_to_phys(p));
	struct page_allocator *pa = kernel_heap.pages;

	if (p->kind == PIECE_PAGES)
		page_free(pa, frame, (unsigned)__builtin_ctzll(p->bytes / PAGE_BYTES));
	else if (p->kind == PIECE_RUN)
		page_free_run(pa, frame);
	else if (p->kind == PIECE_TYPED)
		kmem_cache_free(m->cache, p);
	else
		kfree(p);
}

static void piece_end(struct mixed *m, struct piece *p)
{
	if (!p)
		return;
	/* What is not as it was left stays where it is: to free it would spread the damage. */
	if (!piece_is_intact(p))
		workload_count(&m->run->kind->info.errors, 1);
	else
		piece_free(m, p);
}

/* ---- the threads ---- */

static struct piece *slot_exchange(struct mixed *m, size_t slot, struct piece *p)
{
	return __atomic_exchange_n(&m->slots[slot], p, __ATOMIC_ACQ_REL);
}

static void step(struct mixed *m, uint64_t *state)
{
	struct workload_info *info = &m->run->kind->info;
	uint64_t random = workload_random(state);
	struct piece *p = NULL;

	if (random >> 63) {
		p = piece_take(m, workload_random(state));
		workload_count(p ? &info->bytes : &info->refusals, p ? p->bytes : 1);
	}
	piece_end(m, slot_exchange(m, random % SLOTS, p));
}

static void mixed_put(struct mixed *m)
{
	if (__atomic_sub_fetch(&m->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < SLOTS; i++)
		piece_end(m, slot_exchange(m, i, NULL));
	if (kmem_cache_destroy(m->cache))
		workload_count(&m->run->kind->info.errors, 1); /* a live object too many */
	kfree(m);
}

static void mixed_main(void *argument)
{
	struct mixed *m = argument;
	struct workload_run *run = m->run;
	uint64_t state = thread_current()->id;

	while (workload_goes_on(run)) {
		for (unsigned i = 0; i < BATCH; i++)
			step(m, &state);
		workload_count(&run->kind->info.iterations, BATCH);
	}
	mixed_put(m);
	workload_thread_ends(run);
}

int workload_start_mixed(struct workload_run *run)
{
	struct mixed *m = kzalloc(sizeof *m);

	if (!m)
		return -ENOMEM;
	m->run = run;
	m->references = 1; /* this function's */
	m->cache = kmem_cache_create(&kernel_heap, "mixed", TYPED_BYTES, 0);
	if (!m->cache) {
		kfree(m);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_fetch_add(&m->references, 1, __ATOMIC_RELAXED);
		if (workload_thread(run, run->kind->info.thread_name, mixed_main, m)) {
			mixed_put(m); /* not its own: there is another */
			mixed_put(m);
			return -ENOMEM;
		}
	}
	mixed_put(m);
	return 0;
}
