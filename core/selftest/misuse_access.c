/* SPDX-License-Identifier: MIT */
/*
 * Accesses that only a build which checks every one of them can catch (QUIRE_KASAN). Each ends
 * the kernel with a report, so nothing is given back. Owner, first to free and culprit are
 * three functions, for the report to tell apart.
 */
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/string.h>

#define ODD   41 /* its class has slack */
#define EDGE  64 /* a class of its own */
#define LARGE 20000

/* What the compiler must not see through. */
static void *volatile hidden;
static volatile size_t zero;

static char *hide(void *p)
{
	hidden = p;
	return hidden;
}

misuse_fn char *access_owner(size_t bytes)
{
	char *p = kmalloc(bytes);

	return p ? hide(p) : NULL;
}

misuse_fn void access_freer(void *p)
{
	kfree(p);
}

misuse_fn void access_reads(const volatile char *p)
{
	(void)*p;
}

misuse_fn void access_writes(volatile char *p)
{
	*p = 1;
}

static const char *write_at(size_t bytes, ptrdiff_t offset)
{
	char *p = access_owner(bytes);

	expect(p, "out of memory");
	misuse_elsewhere();
	access_writes(p + offset);
	return "nobody noticed";
}

static const char *read_at(size_t bytes, ptrdiff_t offset)
{
	char *p = access_owner(bytes);

	expect(p, "out of memory");
	misuse_elsewhere();
	access_reads(p + offset);
	return "nobody noticed";
}

MISUSE(access_over_edge, "access-over-edge", "write one past an object that fills its class")
{
	return write_at(EDGE, EDGE);
}

MISUSE(access_over_slack, "access-over-slack", "write one past an object, inside its slot")
{
	return write_at(ODD, ODD);
}

MISUSE(access_over_read, "access-over-read", "read one past an object")
{
	return read_at(ODD, ODD);
}

MISUSE(access_under, "access-under", "write one before an object")
{
	char *first = access_owner(EDGE);

	/* The one below it is there, and lives. */
	return first ? write_at(EDGE, -1) : "out of memory";
}

MISUSE(access_under_first, "access-under-first", "write one before the first object of a slab")
{
	struct kheap_about about;
	char *p;

	do {
		p = access_owner(PAGE_BYTES); /* few in a slab */
		expect(p, "out of memory");
		kheap_about(&kernel_heap, p, &about);
	} while (about.slot > 1);
	misuse_elsewhere();
	access_writes(p - 1);
	return "nobody noticed";
}

MISUSE(access_over_large, "access-over-large", "write one past an object of whole pages")
{
	return write_at(LARGE, LARGE);
}

static const char *after_free(void (*touch)(char *))
{
	char *p = access_owner(EDGE);

	expect(p, "out of memory");
	access_freer(p);
	misuse_elsewhere();
	touch(hide(p) + 8);
	return "nobody noticed";
}

static void touch_read(char *p)
{
	access_reads(p);
}

static void touch_write(char *p)
{
	access_writes(p);
}

MISUSE(access_freed_read, "access-freed-read", "read of an object that was freed")
{
	return after_free(touch_read);
}

MISUSE(access_freed_write, "access-freed-write", "write to an object that was freed")
{
	return after_free(touch_write);
}

MISUSE(access_freed_reused, "access-freed-reused",
       "the same after the next allocation of that size")
{
	char *p = access_owner(EDGE), *next;

	expect(p, "out of memory");
	access_freer(p);
	next = access_owner(EDGE); /* elsewhere: the slot waits in quarantine */
	expect(next, "out of memory");
	access_writes(p + 8);
	return "nobody noticed";
}

MISUSE(access_freed_large, "access-freed-large", "write to an object of whole pages, freed")
{
	char *p = access_owner(LARGE);

	expect(p, "out of memory");
	access_freer(p);
	access_writes(hide(p));
	return "nobody noticed";
}

MISUSE(access_free_page, "access-free-page", "write to a page that was freed")
{
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ANY);
	char *p;

	expect(!pfn_is_none(frame), "out of memory");
	p = port_phys_to_virt(pfn_to_paddr(frame));
	page_free(&kernel_pages, frame, 0);
	access_writes(hide(p) + 100);
	return "nobody noticed";
}

MISUSE(access_cache, "access-cache", "write one past an object of a typed cache")
{
	struct kmem_cache *cache = kmem_cache_create(&kernel_heap, "victims", ODD, 0);
	char *p = cache ? kmem_cache_alloc(cache, 0) : NULL;

	expect(p, "out of memory");
	access_writes(hide(p) + ODD);
	return "nobody noticed";
}

MISUSE(access_stack, "access-stack", "write one past an array on the stack")
{
	char array[24];

	memset(array, 0, sizeof array);
	access_writes(hide(array) + sizeof array);
	return "nobody noticed";
}

static char global_array[24];

MISUSE(access_global, "access-global", "read one past a global array")
{
	access_reads(hide(global_array) + sizeof global_array);
	return "nobody noticed";
}

MISUSE(access_memcpy, "access-memcpy", "memcpy of one byte too many")
{
	char *from = access_owner(ODD), *to = access_owner(EDGE + ODD);

	expect(from && to, "out of memory");
	memcpy(to, from, ODD + 1 + zero);
	return "nobody noticed";
}

MISUSE(access_memset, "access-memset", "memset of one byte too many")
{
	char *p = access_owner(ODD);

	expect(p, "out of memory");
	memset(p, 0, ODD + 1 + zero);
	return "nobody noticed";
}
