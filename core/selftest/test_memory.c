/* SPDX-License-Identifier: MIT */
/* Self tests of the page allocator and kmalloc, in the machine's own memory. */
#include <quire/arch.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/string.h>

static void *frame_bytes(pfn_t frame)
{
	return port_phys_to_virt(pfn_to_paddr(frame));
}

/* Impossible requests fail at once and take nothing. */
SELFTEST(bounds)
{
	void *overflow = kmalloc_array(SIZE_MAX / 2, 3);
	void *huge = kmalloc(SIZE_MAX - 4096);
	void *zero = kmalloc(0);
	pfn_t order = page_alloc(&kernel_pages, PAGE_ORDER_MAX + 1, PAGE_ANY);

	expect(!overflow, "kmalloc_array let a product overflow");
	expect(!huge, "kmalloc served nearly all of the address space");
	expect(pfn_is_none(order), "page_alloc served an order past the last");
	expect(zero, "kmalloc(0) gave nothing");
	kfree(zero);
	kfree(NULL);
	return NULL;
}

/* One block of every order that this machine can serve: aligned, RAM, writable from end to end. */
SELFTEST(pages)
{
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
		uint64_t pages = (uint64_t)1 << order;
		pfn_t head = page_alloc(&kernel_pages, order, PAGE_ANY);
		uint64_t *first, *last;

		if (pfn_is_none(head)) {
			expect(order > PAGEBLOCK_SHIFT, "no free pageblock");
			break;
		}
		expect((head.n & (pages - 1)) == 0, "a block is not aligned to its size");
		first = frame_bytes(head);
		last = frame_bytes(pfn_add(head, pages - 1));
		*first = order;
		last[PAGE_BYTES / sizeof *last - 1] = ~(uint64_t)order;
		expect(*first == order, "memory does not hold what was written");
		page_free(&kernel_pages, head, order);
	}
	for (unsigned flags = PAGE_BELOW_4G; flags <= PAGE_BELOW_1M; flags <<= 1) {
		pfn_t low = page_alloc(&kernel_pages, 0, flags | PAGE_ZEROED);
		uint64_t limit = flags == PAGE_BELOW_4G ? (uint64_t)1 << 20 : 256;

		expect(!pfn_is_none(low), "no page in a low zone");
		expect(low.n != 0 && low.n < limit, "a low page lies too high");
		expect(*(uint64_t *)frame_bytes(low) == 0, "PAGE_ZEROED did not clear");
		page_free(&kernel_pages, low, 0);
	}
	return NULL;
}

/* A CPU is given memory of its own node while there is plenty. */
SELFTEST(nodes)
{
	const unsigned order = PAGEBLOCK_SHIFT + 1; /* past the caches */
	port_irq_t irq = port_irq_save();
	unsigned own = kernel_pages.cpu_node[port_cpu()];
	pfn_t head = page_alloc(&kernel_pages, order, PAGE_ANY);
	uint64_t free = 0, managed = 0;
	struct page_about about;
	struct page_stats stats;

	port_irq_restore(irq);
	if (pfn_is_none(head))
		return NULL;
	page_about(&kernel_pages, head, &about);
	page_stats(&kernel_pages, &stats);
	page_free(&kernel_pages, head, order);
	for (unsigned z = 0; z < PAGE_ZONES; z++) {
		free += stats.node[own][z].free;
		managed += stats.node[own][z].managed;
	}
	expect(about.node < stats.nodes, "a page of a node that does not exist");
	expect(about.node == own || free <= managed / 2,
	       "a page from afar, and the near node has room");
	return NULL;
}

/* Any frame number can be looked up, RAM or not. */
SELFTEST(descriptors)
{
	static const uint64_t frames[] = {
		0, 1, 0xa0, 0xfee00, (uint64_t)1 << 28, (DIRECT_MAP_BYTES >> PAGE_SHIFT) - 1};

	for (size_t i = 0; i < array_len(frames); i++) {
		enum page_state state = page_state(page_desc(&kernel_pages, pfn(frames[i])));

		expect(state <= PAGE_SLAB, "a descriptor outside RAM reads as nonsense");
	}
	expect(page_state(page_desc(&kernel_pages, pfn(0))) != PAGE_HEAD, "page 0 was handed out");
	return NULL;
}

/* One word of the books changes behind the allocator's back: the validator says which; and back. */
static const char *corrupt(uint64_t *word, uint64_t value, const char *expected)
{
	uint64_t saved = *word;
	const char *wrong;

	*word = value;
	wrong = page_check(&kernel_pages);
	*word = saved;
	expect(wrong, "check overlooks a corrupted word");
	expect(!strcmp(wrong, expected), wrong);
	return NULL;
}

/* Each kind of disagreement between descriptors, bitmaps and sums is found by `check`. */
SELFTEST(corruption)
{
	enum {
		ORDER = 3,
		TAIL = 5
	};
	const uint64_t head_word = DESC_HEAD_1(ORDER), double_word = DESC_HEAD_1(ORDER + 6);
	pfn_t block = page_alloc(&kernel_pages, ORDER, PAGE_ANY);
	uint64_t *managed = &kernel_pages.zones[PAGE_ZONE_LOW].managed;
	struct page *descs;
	const char *error;

	expect(!pfn_is_none(block), "out of memory");
	descs = &kernel_pages.descs[block.n];
	error = corrupt(&descs[TAIL].word, head_word,
			"a page inside a block has a descriptor of its own");
	if (!error)
		error = corrupt(&descs->word, PAGE_NONE, "a page is neither free nor anybody's");
	if (!error && block.n % (1u << (ORDER + 6)))
		error = corrupt(&descs->word, double_word, "a block is not aligned to its size");
	if (!error)
		error = corrupt(managed, *managed + 1, "managed pages are not free + used");
	page_free(&kernel_pages, block, ORDER);
	return error;
}

#define SIZES_TRIED 9000

/* Every small size and some large ones: aligned, big enough, zeroed when asked for. */
SELFTEST(kmalloc)
{
	for (size_t bytes = 1; bytes < SIZES_TRIED; bytes += bytes < 300 ? 1 : 97) {
		unsigned char *p = kzalloc(bytes);

		expect(p, "out of memory");
		expect(((uintptr_t)p & (bytes >= 16 ? 15 : 7)) == 0, "an object is not aligned");
		expect(kmalloc_size(p) >= bytes, "an object is too small");
		for (size_t i = 0; i < bytes; i++)
			expect(p[i] == 0, "kzalloc did not clear");
		memset(p, 0xa5, bytes);
		kfree(p);
	}
	for (size_t align = 16; align <= 65536; align *= 2) {
		void *p = kmalloc_aligned(align + 8, align);

		expect(p && ((uintptr_t)p & (align - 1)) == 0, "kmalloc_aligned is not");
		kfree(p);
	}
	return NULL;
}

#define STRESS_SLOTS 1024
#define STRESS_STEPS 20000

struct stress_slot {
	unsigned char *object;
	size_t bytes;
	unsigned char fill;
};

/* Random sizes in random slots; each object holds a pattern that nobody may disturb. */
static const char *stress_steps(struct stress_slot *slots)
{
	unsigned long random = 42;

	for (unsigned step = 0; step < STRESS_STEPS; step++) {
		struct stress_slot *s = &slots[selftest_random(&random) % STRESS_SLOTS];

		if (s->object) {
			expect(s->object[0] == s->fill && s->object[s->bytes - 1] == s->fill,
			       "an object was overwritten");
			kfree(s->object);
			s->object = NULL;
			continue;
		}
		s->bytes = 1 + selftest_random(&random) % (step % 64 ? 1024 : 100000);
		s->fill = (unsigned char)step;
		s->object = kmalloc(s->bytes);
		expect(s->object, "out of memory");
		s->object[0] = s->object[s->bytes - 1] = s->fill;
	}
	return NULL;
}

SELFTEST(stress)
{
	struct stress_slot *slots = kcalloc(STRESS_SLOTS, sizeof *slots);
	const char *error;

	expect(slots, "out of memory");
	error = stress_steps(slots);
	for (size_t i = 0; i < STRESS_SLOTS; i++)
		kfree(slots[i].object);
	kfree(slots);
	return error;
}

static const char *refuse_objects(void)
{
	uint64_t refused = kernel_heap.misuses;
	char *keep = kmalloc(100), *p = kmalloc(100);
	bool both = keep && p;
	int local;

	if (both) {
		kfree(p + 1);
		kfree(&local);
		kfree(p);
	}
	kfree(p);
	kfree(keep);
	expect(both, "out of memory");
	expect(kernel_heap.misuses == refused + 3, "kmalloc did not refuse each wrong free");
	return NULL;
}

static const char *refuse_pages(void)
{
	uint64_t pages = kernel_pages.counters.misuses;
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ANY);

	expect(!pfn_is_none(frame), "out of memory");
	page_free(&kernel_pages, frame, 1);
	page_free(&kernel_pages, frame, 0);
	page_free(&kernel_pages, frame, 0);
	expect(kernel_pages.counters.misuses == pages + 2, "wrong page frees were not refused");
	return NULL;
}

/* Wrong frees are refused and counted; the heap goes on. Reports appear in the log: they are the test. */
SELFTEST(refusals)
{
	const char *error = refuse_objects();

	return error ? error : refuse_pages();
}
