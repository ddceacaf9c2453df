/* SPDX-License-Identifier: MIT */
/*
 * Wrong uses of kmalloc. Owner, first free and culprit are three functions, so that a
 * report can be seen to tell them apart.
 *
 * What writes where it should not is done only to objects that have something around them to be
 * hit: guarded ones, or ones with redzones. Elsewhere it would harm a neighbour.
 */
#define LOG_TAG "misuse"
#include <quire/arch.h>
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>

#define EDGE   64   /* the whole of its class */
#define SLACK  60   /* leaves 4 bytes of it */
#define TRIES  32   /* objects, so that some lie at the right end of their page */
#define BIG    3000 /* few in a slab */
#define OTHERS 100

misuse_fn void *kmalloc_owner(size_t bytes)
{
	void *object = kmalloc(bytes);

	return object;
}

misuse_fn void kmalloc_first_free(void *object)
{
	kfree(object);
}

misuse_fn void kmalloc_culprit(void *object)
{
	kfree(object);
}

misuse_fn void kmalloc_write_culprit(volatile char *at)
{
	*at = 0x55;
}

misuse_fn char kmalloc_read_culprit(const volatile char *at)
{
	return *at;
}

/* ---- frees ---- */

MISUSE(kmalloc_double_free, "kmalloc-double-free", "an object freed twice at once")
{
	void *keep = kmalloc_owner(EDGE), *object = kmalloc_owner(EDGE);
	bool both = keep && object;

	kmalloc_first_free(object);
	if (both) {
		misuse_elsewhere();
		kmalloc_culprit(object);
	}
	kfree(keep);
	expect(both, "out of memory");
	return NULL;
}

MISUSE(kmalloc_double_free_later, "kmalloc-double-free-later",
       "the same after a hundred other frees")
{
	static void *others[OTHERS];
	void *object = kmalloc_owner(EDGE);

	expect(object, "out of memory");
	for (unsigned i = 0; i < OTHERS; i++)
		others[i] = kmalloc_owner(EDGE);
	kmalloc_first_free(object);
	for (unsigned i = 1; i < OTHERS; i++)
		kfree(others[i]);
	misuse_elsewhere();
	kmalloc_culprit(object);
	kfree(others[0]);
	return NULL;
}

/* Without quarantine the second free hits the new owner, and its own is the one refused. */
MISUSE(kmalloc_double_free_reused, "kmalloc-double-free-reused",
       "the same after the next allocation of that size")
{
	void *object = kmalloc_owner(EDGE), *again;

	expect(object, "out of memory");
	kmalloc_first_free(object);
	again = kmalloc_owner(EDGE);
	misuse_elsewhere();
	kmalloc_culprit(object);
	kmalloc_first_free(again);
	return NULL;
}

/* A live object; somebody frees what lies `offset` bytes behind its start. */
static const char *free_inside(uint64_t offset)
{
	char *object = kmalloc_owner(EDGE);

	expect(object, "out of memory");
	misuse_elsewhere();
	kmalloc_culprit(object + offset);
	kmalloc_first_free(object);
	return NULL;
}

MISUSE(kmalloc_unaligned, "kmalloc-unaligned", "free of an object's address plus 1")
{
	return free_inside(1);
}

MISUSE(kmalloc_interior, "kmalloc-interior", "free of a field of an object")
{
	return free_inside(EDGE / 2);
}

MISUSE(kmalloc_interior_large, "kmalloc-interior-large",
       "free of the second page of a large object")
{
	char *object = kmalloc_owner(5 * PAGE_BYTES);

	expect(object, "out of memory");
	misuse_elsewhere();
	kmalloc_culprit(object + PAGE_BYTES);
	kmalloc_first_free(object);
	return NULL;
}

MISUSE(kmalloc_invalid, "kmalloc-invalid", "free of a number that is no address")
{
	misuse_elsewhere();
	kmalloc_culprit((void *)(uintptr_t)0x1234);
	return NULL;
}

MISUSE(kmalloc_foreign, "kmalloc-foreign", "free of a local variable")
{
	int local;

	misuse_elsewhere();
	kmalloc_culprit(&local);
	return NULL;
}

MISUSE(kmalloc_pages, "kmalloc-pages", "free of a page of the page allocator's")
{
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ANY);

	expect(!pfn_is_none(frame), "out of memory");
	misuse_elsewhere();
	kmalloc_culprit(port_phys_to_virt(pfn_to_paddr(frame)));
	page_free(&kernel_pages, frame, 0);
	return NULL;
}

misuse_fn void kmem_cache_culprit(struct kmem_cache *cache, void *object)
{
	kmem_cache_free(cache, object);
}

MISUSE(kmalloc_wrong_cache, "kmalloc-wrong-cache", "an object given back to another cache")
{
	struct kmem_cache *right = kmem_cache_create(&kernel_heap, "misuse-right", EDGE, 0);
	struct kmem_cache *wrong = kmem_cache_create(&kernel_heap, "misuse-wrong", EDGE, 0);
	void *object = right ? kmem_cache_alloc(right, 0) : NULL;
	bool all = object && wrong;
	int error = 0;

	if (all) {
		misuse_elsewhere();
		kmem_cache_culprit(wrong, object);
	}
	if (object)
		kmem_cache_free(right, object);
	if (right)
		error |= kmem_cache_destroy(right);
	if (wrong)
		error |= kmem_cache_destroy(wrong);
	expect(all, "out of memory");
	expect(!error, "a cache is not empty");
	return NULL;
}

/* ---- what is left over ---- */

misuse_fn int kmem_destroy_culprit(struct kmem_cache *cache)
{
	int error = kmem_cache_destroy(cache);

	return error;
}

MISUSE(kmalloc_leak, "kmalloc-leak", "a cache destroyed while objects are live")
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "misuse-leak", EDGE, 0);
	void *objects[5] = {NULL};
	int error;

	expect(cache, "out of memory");
	for (unsigned i = 0; i < array_len(objects); i++)
		objects[i] = kmem_cache_alloc(cache, 0);
	misuse_elsewhere();
	error = kmem_destroy_culprit(cache);
	expect(error == -EBUSY, "it was destroyed");
	for (unsigned i = 0; i < array_len(objects); i++)
		if (objects[i])
			kmem_cache_free(cache, objects[i]);
	error = kmem_cache_destroy(cache);
	expect(!error, "it is not empty");
	return NULL;
}

/* No list runs through free objects that could be overwritten; what there is stands elsewhere. */
MISUSE(kmalloc_header, "kmalloc-header", "a slab's header overwritten, then `check`")
{
	struct kheap_about about;
	uint64_t *header;
	const char *found;
	void *object;

	do { /* a guarded object has no slab; the samples in between are few */
		object = kmalloc_owner(EDGE);
		expect(object, "out of memory");
		kheap_about(&kernel_heap, object, &about);
		if (about.guarded)
			kfree(object);
	} while (about.guarded && !(kernel_heap.watch & WATCH_GUARD));
	expect(!about.guarded, "every object is guarded (kfence off)");
	header = page_slab(page_desc(&kernel_pages, paddr_to_pfn(port_virt_to_phys(object))));
	*header ^= 1 << 12;
	found = memory_check();
	*header ^= 1 << 12;
	kfree(object);
	expect(found, "`check` found nothing");
	log_error("check: %s", found);
	return NULL;
}

/* ---- bytes ---- */

static bool is_surrounded(const void *object)
{
	struct kheap_about about;

	kheap_about(&kernel_heap, object, &about);
	return about.guarded || kernel_heap.debug;
}

/* A read leaves no trace: only a fault shows it, or a shadow. */
static bool is_read_seen(const void *object)
{
	struct kheap_about about;

	kheap_about(&kernel_heap, object, &about);
	return about.guarded || PORT_REDZONE;
}

#define NOT_SURROUNDED "the object has nothing around it: debug=1, or `kfence every`"

static const char *write_at(size_t bytes, int64_t offset)
{
	char *before = kmalloc_owner(bytes), *object = kmalloc_owner(bytes);
	bool both = before && object, surrounded = both && is_surrounded(object);

	if (surrounded) {
		misuse_elsewhere();
		kmalloc_write_culprit(object + offset);
	}
	kmalloc_first_free(object);
	kfree(before);
	expect(both, "out of memory");
	return surrounded ? NULL : NOT_SURROUNDED;
}

MISUSE(kmalloc_overflow_edge, "kmalloc-overflow-edge", "write of a byte behind 64 of 64")
{
	return write_at(EDGE, EDGE);
}

MISUSE(kmalloc_overflow_slack, "kmalloc-overflow-slack", "write of a byte behind 60 of 64")
{
	return write_at(SLACK, SLACK);
}

MISUSE(kmalloc_overflow_large, "kmalloc-overflow-large", "the same behind 20,000 (debug=1)")
{
	char *object = kmalloc_owner(20000);

	expect(object, "out of memory");
	if (kernel_heap.debug)
		kmalloc_write_culprit(object + 20000);
	kmalloc_first_free(object);
	return kernel_heap.debug ? NULL : NOT_SURROUNDED;
}

MISUSE(kmalloc_underflow, "kmalloc-underflow", "write of a byte before an object")
{
	return write_at(EDGE, -1);
}

static bool is_first_of_slab(const void *object)
{
	struct kheap_about about;

	kheap_about(&kernel_heap, object, &about);
	return about.guarded || (kernel_heap.debug && about.slot == 1);
}

MISUSE(kmalloc_underflow_first, "kmalloc-underflow-first",
       "the same before the first object of a slab")
{
	char *objects[TRIES], *first = NULL;
	unsigned count = 0;
	bool enough = true;

	while (!first && count < TRIES) {
		char *object = kmalloc_owner(BIG);

		enough = object != NULL;
		if (!enough)
			break;
		objects[count++] = object;
		first = is_first_of_slab(object) ? object : NULL;
	}
	misuse_elsewhere();
	if (first)
		kmalloc_write_culprit(first - 1);
	while (count)
		kmalloc_first_free(objects[--count]);
	expect(enough, "out of memory");
	return first ? NULL : NOT_SURROUNDED;
}

/* Some of these objects lie at the end of their page. */
MISUSE(kmalloc_overflow_read, "kmalloc-overflow-read", "read of a byte behind an object (kfence)")
{
	bool seen = false;

	for (unsigned i = 0; i < TRIES; i++) {
		char *object = kmalloc_owner(EDGE);

		expect(object, "out of memory");
		if (is_read_seen(object)) {
			(void)kmalloc_read_culprit(object + EDGE);
			seen = true;
		}
		kfree(object);
	}
	return seen ? NULL : "no object was guarded (kfence every)";
}

MISUSE(kmalloc_use_after_free, "kmalloc-read-after-free", "read of a freed object (kfence)")
{
	char *object = kmalloc_owner(EDGE);

	expect(object, "out of memory");
	kmalloc_first_free(object);
	expect(is_read_seen(object), "the object was not guarded (kfence every)");
	misuse_elsewhere();
	(void)kmalloc_read_culprit(object + 5);
	return NULL;
}

MISUSE(kmalloc_write_after_free, "kmalloc-write-after-free", "write to a freed object")
{
	char *object = kmalloc_owner(EDGE);
	bool surrounded;

	expect(object, "out of memory");
	surrounded = is_surrounded(object);
	kmalloc_first_free(object);
	misuse_elsewhere();
	if (surrounded)
		kmalloc_write_culprit(object + 5);
	memory_settle(); /* out of quarantine */
	return surrounded ? NULL : NOT_SURROUNDED;
}
