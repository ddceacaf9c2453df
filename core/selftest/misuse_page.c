/* SPDX-License-Identifier: MIT */
/*
 * Wrong uses of the page allocator. Who allocates, who frees first and who is wrong are three
 * functions, so that a report can be seen to tell them apart.
 */
#include <quire/arch.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/shadow.h>

#define ORDER 3

misuse_fn pfn_t page_owner(unsigned order)
{
	pfn_t head = page_alloc(&kernel_pages, order, PAGE_ANY);

	return head;
}

misuse_fn void page_first_free(pfn_t head, unsigned order)
{
	page_free(&kernel_pages, head, order);
}

misuse_fn void page_culprit(pfn_t head, unsigned order)
{
	page_free(&kernel_pages, head, order);
}

misuse_fn void page_run_culprit(pfn_t head)
{
	page_free_run(&kernel_pages, head);
}

/* A block of 2^ORDER pages is there, somebody frees `offset` pages from its start, it goes back. */
static const char *culprit_frees(uint64_t offset, unsigned order)
{
	pfn_t head = page_owner(ORDER);

	expect(!pfn_is_none(head), "out of memory");
	misuse_elsewhere();
	page_culprit(pfn_add(head, offset), order);
	page_first_free(head, ORDER);
	return NULL;
}

static const char *free_twice(unsigned order)
{
	pfn_t head = page_owner(order);

	expect(!pfn_is_none(head), "out of memory");
	page_first_free(head, order);
	misuse_elsewhere();
	page_culprit(head, order);
	return NULL;
}

MISUSE(page_double_free, "page-double-free", "a page freed twice at once: it is in a cache")
{
	return free_twice(0);
}

MISUSE(page_double_free_block, "page-double-free-block", "the same of a block of 2 MiB")
{
	return free_twice(PAGEBLOCK_SHIFT);
}

MISUSE(page_double_free_later, "page-double-free-later", "the same when it has left the cache")
{
	pfn_t head = page_owner(0);

	expect(!pfn_is_none(head), "out of memory");
	page_first_free(head, 0);
	memory_settle();
	misuse_elsewhere();
	page_culprit(head, 0);
	return NULL;
}

/* A free frame without a mark in its descriptor: the highest there is. */
static pfn_t never_allocated(void)
{
	size_t count;
	const struct region *r = memory_regions(&count);
	struct page_about about;

	while (count--)
		for (uint64_t n = region_is_managed(&r[count]) ? r[count].pages : 0; n--;) {
			page_about(&kernel_pages, pfn_add(r[count].start, n), &about);
			if (about.free && !about.freed_by)
				return pfn_add(r[count].start, n);
		}
	return PFN_NONE;
}

MISUSE(page_never_allocated, "page-never-allocated", "free of a page that nobody ever had")
{
	pfn_t frame = never_allocated();

	expect(!pfn_is_none(frame), "every page was allocated once");
	misuse_elsewhere();
	page_culprit(frame, 0);
	return NULL;
}

MISUSE(page_reserved, "page-reserved", "free of page 0, which the firmware keeps")
{
	misuse_elsewhere();
	page_culprit(pfn(0), 0);
	return NULL;
}

MISUSE(page_kernel, "page-kernel", "free of a page of the kernel's own image")
{
	struct arch_mapping image;

	misuse_elsewhere();
	arch_lookup((vaddr_t){(uintptr_t)page_culprit}, &image);
	page_culprit(paddr_to_pfn(image.physical), 0);
	return NULL;
}

MISUSE(page_not_ram, "page-not-ram", "free of a physical address without memory behind it")
{
	misuse_elsewhere();
	page_culprit(pfn((DIRECT_MAP_BYTES >> PAGE_SHIFT) - 1), 0);
	return NULL;
}

MISUSE(page_nonsense, "page-nonsense", "free of an address past the end of any machine's")
{
	misuse_elsewhere();
	page_culprit(PFN_NONE, 0);
	return NULL;
}

MISUSE(page_wrong_order, "page-wrong-order", "a block of 8 pages freed as one of 4")
{
	return culprit_frees(0, ORDER - 1);
}

MISUSE(page_wrong_order_up, "page-wrong-order-up", "the same, freed as one of 16")
{
	return culprit_frees(0, ORDER + 1);
}

MISUSE(page_tail, "page-tail", "free of a page inside a block")
{
	return culprit_frees(5, 0);
}

MISUSE(page_block_as_run, "page-block-as-run", "a block freed as a run")
{
	pfn_t head = page_owner(ORDER);

	expect(!pfn_is_none(head), "out of memory");
	misuse_elsewhere();
	page_run_culprit(head);
	page_first_free(head, ORDER);
	return NULL;
}

MISUSE(page_run_as_block, "page-run-as-block", "a run freed as a block")
{
	pfn_t head = page_alloc_run(&kernel_pages, 5, PAGE_ANY);

	expect(!pfn_is_none(head), "out of memory");
	misuse_elsewhere();
	page_culprit(head, 2);
	page_free_run(&kernel_pages, head);
	return NULL;
}

misuse_fn void *object_owner(size_t bytes)
{
	return kmalloc(bytes);
}

/* Allocated by kmalloc(), freed by page_free() or page_free_run(). */
static const char *object_as_pages(size_t bytes, unsigned order, bool run)
{
	void *object = object_owner(bytes);
	pfn_t head = paddr_to_pfn(port_virt_to_phys(object));

	expect(object, "out of memory");
	misuse_elsewhere();
	if (run)
		page_run_culprit(head);
	else
		page_culprit(head, order);
	kfree(object);
	return NULL;
}

MISUSE(page_object, "page-object", "64 KiB from kmalloc freed as a block of pages")
{
	return object_as_pages(65536, 4, false);
}

MISUSE(page_object_as_run, "page-object-as-run", "the same, freed as a run")
{
	return object_as_pages(65536, 4, true);
}

MISUSE(page_object_run_as_run, "page-object-run-as-run", "80 KiB from kmalloc freed as a run")
{
	return object_as_pages(81920, 4, true);
}

MISUSE(page_shared, "page-shared", "free of a block that has a second owner")
{
	pfn_t head = page_owner(ORDER);

	expect(!pfn_is_none(head), "out of memory");
	page_get(&kernel_pages, head);
	misuse_elsewhere();
	page_culprit(head, ORDER);
	page_put(&kernel_pages, head);
	page_put(&kernel_pages, head);
	return NULL;
}

MISUSE(page_slab, "page-slab", "free of a page that kmalloc keeps objects in")
{
	void *object = kmalloc(PAGE_BYTES + 1); /* too large to be sampled (quire/kheap_guard.h) */

	expect(object, "out of memory");
	misuse_elsewhere();
	page_culprit(paddr_to_pfn(port_virt_to_phys(object)), 0);
	kfree(object);
	return NULL;
}

/* A wild pointer: the page is free. */
misuse_fn void page_writer(pfn_t frame, uint64_t at)
{
	((volatile uint8_t *)port_phys_to_virt(pfn_to_paddr(frame)))[at] = 0x5a;
}

/* Free, and written to then; `settle` looks at it before the case ends. */
static const char *write_to_free(unsigned order, void (*settle)(void))
{
	uint64_t found = kernel_pages.counters.written_free;

	misuse_elsewhere();
	/* Again: another CPU may drain its cache just before the write. */
	for (unsigned i = 0; i < 5 && kernel_pages.counters.written_free == found; i++) {
		pfn_t head = page_owner(order);
		port_irq_t irq;

		expect(!pfn_is_none(head), "out of memory");
		irq = port_irq_save();
		page_sample_next(&kernel_pages);
		page_first_free(head, order);
		page_writer(head, 0x123);
		port_irq_restore(irq);
		settle();
	}
	expect(kernel_pages.counters.written_free != found, "not noticed");
	return NULL;
}

static void end_debug(void)
{
	page_watch(&kernel_pages, 0, WATCH_DEBUG);
}

static void begin_debug(void)
{
	page_watch(&kernel_pages, WATCH_DEBUG, 0);
}

static bool is_debug(void)
{
	return (kernel_pages.watch & WATCH_DEBUG) != 0;
}

static const char *const seen_anyway = "this build sees the write itself";

MISUSE(page_write_sampled, "page-write-sampled", "a write to a free page that is a sample")
{
	bool on = is_debug();
	const char *error;

	if (PORT_REDZONE)
		return seen_anyway;
	if (on)
		end_debug();
	error = write_to_free(0, memory_settle);
	if (on)
		begin_debug();
	return error;
}

MISUSE(page_write_debug, "page-write-debug", "a write to any free page, with WATCH_DEBUG on")
{
	bool on = is_debug();
	const char *error;

	if (PORT_REDZONE)
		return seen_anyway;
	begin_debug();
	error = write_to_free(ORDER, end_debug);
	if (on)
		begin_debug();
	return error;
}

misuse_fn pfn_t page_finder(unsigned order)
{
	pfn_t head = page_alloc(&kernel_pages, order, PAGE_ANY);

	return head;
}

/* All of a size that there are, until the one that was written to is among them. */
static const char *write_and_find(void)
{
	uint64_t found = kernel_pages.counters.written_free;
	pfn_t head = page_owner(0), got[64];
	unsigned n = 0;

	expect(!pfn_is_none(head), "out of memory");
	misuse_elsewhere();
	page_first_free(head, 0);
	page_writer(head, 0x123);
	for (unsigned i = 0; i < array_len(got); i++) {
		if (kernel_pages.counters.written_free != found)
			break;
		got[n] = page_finder(0);
		if (!pfn_is_none(got[n]))
			n++;
	}
	while (n)
		page_free(&kernel_pages, got[--n], 0);
	expect(kernel_pages.counters.written_free != found, "not noticed");
	return NULL;
}

MISUSE(page_write_found, "page-write-found", "the same, found when the page is allocated again")
{
	bool on = is_debug();
	const char *error;

	if (PORT_REDZONE)
		return seen_anyway;
	begin_debug();
	error = write_and_find();
	if (!on)
		end_debug();
	return error;
}

MISUSE(page_write, "page-write", "the same, in a kernel that was started so (debug=1, KASAN)")
{
	return is_debug() ? write_and_find() : "not every free page is looked at (debug=1)";
}

misuse_fn void page_get_culprit(pfn_t head)
{
	page_get(&kernel_pages, head);
}

misuse_fn void page_put_culprit(pfn_t head)
{
	page_put(&kernel_pages, head);
}

/* A reference to, or one less on, a page that is free. */
static const char *refer(void (*culprit)(pfn_t))
{
	pfn_t head = page_owner(0);

	expect(!pfn_is_none(head), "out of memory");
	page_first_free(head, 0);
	misuse_elsewhere();
	culprit(head);
	return NULL;
}

MISUSE(page_get_free, "page-get-free", "a reference taken to a free page")
{
	return refer(page_get_culprit);
}

MISUSE(page_put_free, "page-put-free", "a reference dropped once too often")
{
	return refer(page_put_culprit);
}
