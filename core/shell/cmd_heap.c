/* SPDX-License-Identifier: MIT */
/* kmalloc, caches: the size classes and the typed caches. */
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/shell.h>

static void cache_json(struct json *j, const struct kmem_cache_stats *c)
{
	json_object(j, NULL);
	json_string(j, "name", c->name);
	json_uint(j, "object_bytes", c->object_bytes);
	json_uint(j, "slab_pages", c->slab_pages);
	json_uint(j, "objects_per_slab", c->objects_per_slab);
	json_uint(j, "waste_bytes_per_slab", c->waste_bytes);
	json_uint(j, "slabs", c->slabs);
	json_uint(j, "live", c->live);
	json_uint(j, "allocs", c->allocs);
	json_uint(j, "frees", c->frees);
	json_uint(j, "failures", c->failures);
	json_object_end(j);
}

/* All size classes, or all other caches, as the array `key`. */
static void caches_json(struct json *j, const char *key, bool size_classes)
{
	struct kmem_cache_stats c;

	json_array(j, key);
	for (size_t i = 0; kheap_cache_stats(&kernel_heap, i, &c); i++)
		if (c.size_class == size_classes)
			cache_json(j, &c);
	json_array_end(j);
}

static void print_cache_row(const struct kmem_cache_stats *c)
{
	uint64_t held = c->slabs * c->slab_pages * PAGE_BYTES;
	uint64_t idle = held - c->live * c->object_bytes;
	char live[28], allocs[28], size[12];

	shell_printf("%-16s %6u %5u %5u %6llu %9s %10s %12s\n", c->name, c->object_bytes,
		     c->objects_per_slab, c->slab_pages, (ull)c->slabs, format_count(live, c->live),
		     format_bytes(size, idle), format_count(allocs, c->allocs));
}

static void print_caches(bool size_classes, bool all)
{
	struct kmem_cache_stats c;
	unsigned hidden = 0;

	shell_printf("%-16s %6s %5s %5s %6s %9s %10s %12s\n", size_classes ? "class" : "cache",
		     "bytes", "/slab", "pages", "slabs", "live", "unused", "allocated");
	for (size_t i = 0; kheap_cache_stats(&kernel_heap, i, &c); i++) {
		if (c.size_class != size_classes)
			continue;
		if (!all && c.allocs == 0)
			hidden++;
		else
			print_cache_row(&c);
	}
	if (hidden)
		shell_printf("(%u never used: --all shows them)\n", hidden);
}

static int run_kmalloc(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	bool all = shell_take_flag(&argc, argv, "--all");
	struct kheap_stats s, unsettled;
	struct json j;
	char a[12], b[12], c[28];

	if (shell_no_more(argc, argv))
		return -EINVAL;
	kheap_stats(&kernel_heap, &unsettled); /* settling ends quarantine */
	memory_settle();
	kheap_stats(&kernel_heap, &s);
	if (as_json) {
		shell_json_begin(&j);
		json_uint(&j, "slab_pages", s.slab_pages);
		json_uint(&j, "header_pages", s.header_pages);
		json_uint(&j, "large_pages", s.large_pages);
		json_uint(&j, "live_objects", s.live_objects);
		json_uint(&j, "live_bytes", s.live_bytes);
		json_uint(&j, "quarantined_objects", unsettled.quarantined_objects);
		json_uint(&j, "quarantined_bytes", unsettled.quarantined_bytes);
		json_uint(&j, "large_live", s.large_live);
		json_uint(&j, "large_allocs", s.large_allocs);
		json_uint(&j, "large_frees", s.large_frees);
		json_uint(&j, "large_failures", s.large_failures);
		json_uint(&j, "misuses", s.misuses);
		json_bool(&j, "tracking", kernel_heap.watch & WATCH_TRACK);
		caches_json(&j, "classes", true);
		shell_json_end(&j);
		return 0;
	}
	print_caches(true, all);
	shell_printf("\nlive: %s objects, %s, in %s of slabs", format_count(c, s.live_objects),
		     format_bytes(a, s.live_bytes), format_bytes(b, s.slab_pages * PAGE_BYTES));
	shell_printf(" and %s of headers\n", format_bytes(a, s.header_pages * PAGE_BYTES));
	if (kernel_heap.debug)
		shell_printf("freed, and in quarantine until now: %s objects, %s\n",
			     format_count(c, unsettled.quarantined_objects),
			     format_bytes(a, unsettled.quarantined_bytes));
	shell_printf("larger than %u bytes: %llu live in %s; %llu frees refused\n",
		     (unsigned)KMALLOC_SMALL_MAX, (ull)s.large_live,
		     format_bytes(a, s.large_pages * PAGE_BYTES), (ull)s.misuses);
	return 0;
}

static const char *const kmalloc_words[] = {"--all", NULL};

SHELL_COMMAND(kmalloc) = {
	.name = "kmalloc",
	.arguments = "[--all] [--json]",
	.summary = "The size classes of kmalloc: slabs, live objects, waste",
	.help = "bytes      size of an object; a request gets the smallest class that holds it\n"
		"/slab      objects in a slab; pages: length of a slab\n"
		"unused     bytes in its slabs that no live object covers\n"
		"allocated  objects handed out since boot\n",
	.run = run_kmalloc,
	.words = kmalloc_words,
};

static int run_caches(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct json j;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (as_json) {
		shell_json_begin(&j);
		caches_json(&j, "caches", false);
		shell_json_end(&j);
	} else {
		print_caches(false, true);
	}
	return 0;
}

SHELL_COMMAND(caches) = {
	.name = "caches",
	.arguments = "[--json]",
	.summary = "The typed caches (kmem_cache), columns as in `kmalloc`",
	.help = "Caches are made by kmem_cache_create() for objects of one kind. The allocator's "
		"own\n"
		"are here too: the slab headers, and the caches themselves.\n",
	.run = run_caches,
};
