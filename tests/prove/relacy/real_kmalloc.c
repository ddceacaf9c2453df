/* SPDX-License-Identifier: MIT */
/*
 * The world around kmalloc's own files (arena.c, magazine.c, slab.c, kmalloc.c, kmalloc_watch.c,
 * kmalloc_guard.c, kmalloc_check.c), which are compiled as they are.
 *
 * The heap is the kernel's with two things changed after kheap_init(): it has one size class, and
 * the class's slabs and magazines hold few objects. The page allocator is a stack of pages under
 * the real lock. Reports are counted, large objects are none.
 */
#include "real_kmalloc.h"
#include <kmalloc_debug.h>
#include <kmalloc_guard.h>
#include <quire/string.h>

#define OBJECT_BYTES 512u /* a slab is one page */
#define POOL_PAGES   (BLOCK_PAGES + PROVE_PAGES)
#define BLOCK_ORDER  1
#define BLOCK_PAGES  2u /* in front: the slab of magazines */
#define CPU_BYTES    (7 * PAGE_BYTES)
#define RUNS         (PROVE_HEAP_CPUS + 1) /* of CPU 1, and two for guarded objects */

struct kheap kernel_heap;

static char pool[POOL_PAGES][PAGE_BYTES] __attribute__((aligned(65536)));
static char run_memory[RUNS][CPU_BYTES] __attribute__((aligned(4096)));
static char guard_window[8][PAGE_BYTES] __attribute__((aligned(4096)));

static struct {
	struct page_allocator pages;
	struct page descs[POOL_PAGES];
	bool block_taken;
	unsigned runs; /* given out */
	unsigned left;
	uint64_t stack[POOL_PAGES];
	uint64_t refused;
	bool mapped[8];
} w;

static const struct part {
	void *at;
	size_t bytes;
} parts[] = {
	{&kernel_heap, sizeof kernel_heap},
	{&w, sizeof w},
	{pool, sizeof pool},
	{run_memory, sizeof run_memory},
};

static uint64_t first_frame(void)
{
	return (uintptr_t)pool >> PAGE_SHIFT;
}

static struct kmem_cache *class(void)
{
	return &kernel_heap.classes[kernel_heap.class_of[OBJECT_BYTES]];
}

/* ---- setting up ---- */

/* Of all caches the one class and what it needs; nothing else is touched, so nothing else is shared. */
static void keep_few_caches(void)
{
	unsigned kept = class()->magazine;

	list_init(&kernel_heap.caches);
	list_push_back(&kernel_heap.caches, &class()->link);
	list_push_back(&kernel_heap.caches, &kernel_heap.headers[0].link);
	list_push_back(&kernel_heap.caches, &kernel_heap.magazines.link);
	for (unsigned i = 0; i < KHEAP_MAGAZINES; i++)
		if (i != kept)
			kernel_heap.first_arenas[i].cache = NULL;
}

void real_heap_reset(void)
{
	struct kmem_cache *c;

	memset(&w, 0, sizeof w);
	memset(pool, 0, sizeof pool);
	memset(run_memory, 0, sizeof run_memory);
	w.pages = (struct page_allocator){
		.descs = w.descs - first_frame(),
		.pfn_limit = first_frame() + POOL_PAGES,
		.lock = SPINLOCK_INIT(LOCK_RANK_PAGES),
		.nodes = 1,
	};
	w.pages.zones[0].managed = 1000;
	for (unsigned i = POOL_PAGES; i-- > BLOCK_PAGES;)
		w.stack[w.left++] = first_frame() + i;
	kheap_init(&kernel_heap, &w.pages);
	c = class();
	c->slots = c->objects = PROVE_SLAB_OBJECTS;
	c->room = PROVE_ROOM;
	c->fullness = (KMEM_FULLNESS << 16) / PROVE_SLAB_OBJECTS - 1;
	keep_few_caches();
	for (unsigned cpu = 1; cpu < PROVE_HEAP_CPUS; cpu++)
		if (kheap_cpu_online(&kernel_heap, cpu))
			__builtin_trap();
}

static void share_arena(struct arena *a)
{
	prove_share(&a->lock.held, sizeof a->lock.held);
}

/* Of every slab there can be: its header lies in the first page of headers there is, as does that of
 * the magazines. */
static void share_slab(struct slab *s)
{
	prove_share(&s->owner, sizeof s->owner);
	prove_share(&s->magazine, sizeof s->magazine);
	for (unsigned slot = 0; slot < PROVE_SLAB_OBJECTS; slot++)
		prove_share(slab_state(s, slot), 1);
}

void real_heap_share(void)
{
	struct kheap *heap = &kernel_heap;
	struct kmem_cache *c = class();
	struct slab *headers = heap->headers[0].common.current;

	prove_share(&heap->lock.held, sizeof heap->lock.held);
	prove_share(&w.pages.lock.held, sizeof w.pages.lock.held);
	prove_share(&heap->watch, sizeof heap->watch);
	prove_share(&heap->guard_due[1], sizeof heap->guard_due[1]);
	prove_share(&heap->empty_pages, sizeof heap->empty_pages);
	prove_share(&heap->empty_most, sizeof heap->empty_most);
	prove_share(&heap->slab_pages_held, sizeof heap->slab_pages_held);
	prove_share(&c->slabs, sizeof c->slabs);
	prove_share(&c->failures, sizeof c->failures);
	for (unsigned cpu = 0; cpu < PROVE_HEAP_CPUS; cpu++) {
		prove_share_pointer(&heap->cpu[cpu], sizeof heap->cpu[cpu]);
		share_arena(&heap->online[cpu]->arenas[c->magazine]);
	}
	share_arena(&c->common);
	share_arena(&heap->headers[0].common);
	share_arena(&heap->magazines.common);
	for (unsigned i = 1; headers && i <= PROVE_SLABS + 1; i++)
		share_slab(slab_object(headers, i));
}

size_t real_heap_bytes(void)
{
	size_t sum = 0;

	for (unsigned i = 0; i < array_len(parts); i++)
		sum += parts[i].bytes;
	return sum;
}

void real_heap_save(void *to)
{
	for (unsigned i = 0; i < array_len(parts); i++) {
		memcpy(to, parts[i].at, parts[i].bytes);
		to = (char *)to + parts[i].bytes;
	}
}

void real_heap_restore(const void *from)
{
	for (unsigned i = 0; i < array_len(parts); i++) {
		memcpy(parts[i].at, from, parts[i].bytes);
		from = (const char *)from + parts[i].bytes;
	}
}

/* ---- what CPUs do ---- */

void *real_alloc(void)
{
	return kheap_alloc(&kernel_heap, OBJECT_BYTES, 0, 1);
}

void real_free(void *object)
{
	kheap_free(&kernel_heap, object, 1);
}

void real_drain(void)
{
	port_irq_t irq = port_irq_save();

	kheap_cpu_drain(&kernel_heap, port_cpu());
	port_irq_restore(irq);
}

void real_trim(void)
{
	(void)kheap_trim(&kernel_heap);
}

const char *real_check(void)
{
	return kheap_check(&kernel_heap);
}

void real_watch(uint32_t on, uint32_t off)
{
	kheap_watch(&kernel_heap, on, off);
}

void real_close_and_open(void)
{
	port_irq_t irq = kheap_close(&kernel_heap);

	for (unsigned cpu = 0; cpu < PROVE_HEAP_CPUS; cpu++)
		(void)real_cached(cpu);
	kheap_open_locked(&kernel_heap);
	spin_unlock(&kernel_heap.lock, irq);
}

void real_tick(void)
{
	kheap_guard_tick(&kernel_heap);
}

void real_guard(uint32_t every)
{
	if (kheap_guard_init(&kernel_heap, 2))
		__builtin_trap();
	kheap_guard_rate(&kernel_heap, every);
}

/* ---- what they see ---- */

unsigned real_index(const void *object)
{
	uint64_t page = ((uintptr_t)object >> PAGE_SHIFT) - first_frame() - BLOCK_PAGES;

	if (page >= PROVE_PAGES)
		return PROVE_OBJECTS;
	return (unsigned)(page * PROVE_SLAB_OBJECTS +
			  ((uintptr_t)object & PAGE_MASK) / OBJECT_BYTES);
}

void real_leave_pages(unsigned count)
{
	w.left = count;
}

unsigned real_pages_left(void)
{
	return w.left;
}

void real_hoard_magazines(bool on)
{
	static void *hoard[8];

	for (unsigned i = 0; i < array_len(hoard); i++)
		if (on)
			hoard[i] = cache_take(&kernel_heap.magazines, 1);
		else if (hoard[i])
			cache_put(&kernel_heap, hoard[i], 1);
}

uint64_t real_live(void)
{
	struct magazine_counts c = cache_counts_locked(class());

	return c.allocs - c.frees;
}

uint64_t real_cached(unsigned cpu)
{
	const struct magazine *m = kernel_heap.online[cpu]->magazines[class()->magazine];

	return m->top / 2;
}

uint64_t real_held(void)
{
	return kernel_heap.slab_pages_held;
}

uint64_t real_failures(void)
{
	return class()->failures;
}

uint64_t real_refused(void)
{
	return w.refused;
}

void real_publish(void)
{
	for (unsigned cpu = 0; cpu < PROVE_HEAP_CPUS; cpu++)
		port_heap_publish(&kernel_heap, cpu, kernel_heap.cpu[cpu]);
}

bool real_is_open(unsigned cpu)
{
	return kernel_heap.cpu[cpu] == kernel_heap.online[cpu];
}

/* ---- what the files under test call ---- */

pfn_t page_alloc_for(struct page_allocator *pa, unsigned order, unsigned flags, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&pa->lock);
	pfn_t frame = PFN_NONE;

	(void)flags;
	(void)caller;
	if (order == 0 && w.left)
		frame = pfn(w.stack[--w.left]);
	else if (order == BLOCK_ORDER && !w.block_taken)
		frame = pfn(first_frame());
	w.block_taken |= order == BLOCK_ORDER;
	spin_unlock(&pa->lock, irq);
	return frame;
}

void page_free_for(struct page_allocator *pa, pfn_t head, unsigned order, uintptr_t caller)
{
	port_irq_t irq = spin_lock(&pa->lock);

	(void)caller;
	if (order == 0)
		w.stack[w.left++] = head.n;
	else
		w.block_taken = false;
	spin_unlock(&pa->lock, irq);
}

pfn_t page_alloc_run_for(struct page_allocator *pa, uint64_t pages, unsigned flags,
			 uintptr_t caller)
{
	(void)pa;
	(void)flags;
	(void)caller;
	if (pages * PAGE_BYTES > CPU_BYTES || w.runs == RUNS)
		__builtin_trap();
	return pfn((uintptr_t)run_memory[w.runs++] >> PAGE_SHIFT);
}

void page_free_run_for(struct page_allocator *pa, pfn_t head, uintptr_t caller)
{
	(void)pa;
	(void)head;
	(void)caller;
	__builtin_trap();
}

/* As page_share.c, where all is described. */
void page_set_slab(struct page_allocator *pa, pfn_t head, unsigned order, void *slab)
{
	port_irq_t irq = spin_lock(&pa->lock);

	for (uint64_t i = 0; i < (uint64_t)1 << order; i++)
		pa->descs[head.n + i].word = (uintptr_t)slab | PAGE_SLAB;
	spin_unlock(&pa->lock, irq);
}

void page_clear_slab(struct page_allocator *pa, pfn_t head, unsigned order)
{
	port_irq_t irq = spin_lock(&pa->lock);

	for (uint64_t i = 0; i < (uint64_t)1 << order; i++)
		pa->descs[head.n + i].word = PAGE_NONE;
	spin_unlock(&pa->lock, irq);
}

void kheap_refuse(struct kheap *heap, const void *object, const struct kmem_cache *freed_to,
		  uintptr_t caller, port_irq_t irq)
{
	(void)object;
	(void)freed_to;
	(void)caller;
	w.refused++;
	spin_unlock(&heap->lock, irq);
}

/* While somebody watches (WATCH_FAIL), but does not want this one to fail. */
bool alloc_fail_hits(struct alloc_fail *f, uintptr_t caller)
{
	(void)f;
	(void)caller;
	return false;
}

/* There are no large objects. */
void *large_alloc(struct kheap *heap, size_t bytes, unsigned flags, uintptr_t caller)
{
	(void)heap;
	(void)bytes;
	(void)flags;
	(void)caller;
	__builtin_trap();
}

void large_free(struct kheap *heap, void *object, uintptr_t caller)
{
	kheap_free_slower(heap, object, caller);
}

uint64_t large_pages_locked(const struct kheap *heap, const void *object)
{
	(void)heap;
	(void)object;
	return 0;
}

bool large_free_locked(struct kheap *heap, void *object, uintptr_t caller)
{
	(void)heap;
	(void)object;
	(void)caller;
	return false;
}

struct kheap_large large_counts(const struct kheap *heap)
{
	(void)heap;
	return (struct kheap_large){0};
}

/* Guarded objects: the pages are always there, what counts is who thinks so. */
uint64_t port_guard_range(uint64_t pages)
{
	(void)pages;
	return (uintptr_t)guard_window;
}

static bool *mapped(uint64_t address)
{
	return &w.mapped[(address - (uintptr_t)guard_window) >> PAGE_SHIFT];
}

void port_guard_map(uint64_t address, pfn_t frame)
{
	(void)frame;
	*mapped(address) = true;
}

void port_guard_unmap(uint64_t address)
{
	*mapped(address) = false;
}

bool port_guard_mapped(uint64_t address)
{
	return *mapped(address);
}

/* ---- what is never called: nothing debugs, traces or fails on purpose ---- */

#define NEVER(returns, name, ...)                                                                  \
	returns name(__VA_ARGS__)                                                                  \
	{                                                                                          \
		__builtin_trap();                                                                  \
	}
NEVER(void, debug_slab_made, const struct kheap *heap, struct slab *s)
NEVER(void, debug_slab_gone, struct kheap *heap, const struct slab *s, uintptr_t caller)
NEVER(void, debug_tell, struct kheap *heap)
NEVER(void *, debug_alloc, struct kmem_cache *cache, size_t bytes, uintptr_t caller)
NEVER(bool, debug_free, struct kheap *heap, void *object, uintptr_t caller)
NEVER(void, debug_drain, struct kheap *heap)
NEVER(size_t, debug_size, const struct kheap *heap, const struct slab *s, unsigned slot)
NEVER(void, debug_large_free, const struct kheap *heap, const void *object, uintptr_t caller)
NEVER(size_t, debug_large_size, const void *object, uint64_t pages)
NEVER(const char *, debug_check, struct kheap *heap)
NEVER(void, alloc_trace_add, struct alloc_trace *t, struct alloc_event event)
__attribute__((weak)) NEVER(void, port_assert_failed, const char *expression, const char *file,
			    int line) NEVER(void, port_misuse, const struct misuse *m)
