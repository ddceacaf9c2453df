/* SPDX-License-Identifier: MIT */
/*
 * percpu: what each CPU keeps for itself.
 *
 * The figures are one CPU's after another's, while all of them go on: the sums are not of one moment.
 */
#include "table.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/memory.h>
#include <quire/shell.h>
#include <quire/thread.h>

struct percpu {
	struct page_cpu_stats pages;
	struct kheap_cpu_stats objects;
	struct sched_cpu_info sched;
};

static bool percpu_at(unsigned cpu, struct percpu *out)
{
	if (!sched_cpu_info(cpu, &out->sched))
		return false;
	page_cpu_stats(&kernel_pages, cpu, &out->pages);
	kheap_cpu_stats(&kernel_heap, cpu, &out->objects);
	return true;
}

static void orders_json(struct json *j, const char *key, const uint64_t *by_order)
{
	json_array(j, key);
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++)
		json_uint(j, NULL, by_order[k]);
	json_array_end(j);
}

static void percpu_json(void)
{
	struct percpu c;
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "uptime_ns", port_now_ns());
	json_array(&j, "cpus");
	for (unsigned i = 0; percpu_at(i, &c); i++) {
		json_object(&j, NULL);
		json_uint(&j, "cpu", i);
		json_uint(&j, "idle_ns", c.sched.idle_ns);
		json_uint(&j, "ready", c.sched.ready);
		json_uint(&j, "cached_pages", c.pages.pages);
		orders_json(&j, "cached_blocks", c.pages.cached);
		orders_json(&j, "block_allocs", c.pages.allocs);
		orders_json(&j, "block_frees", c.pages.frees);
		json_uint(&j, "refills", c.pages.refills);
		json_uint(&j, "drains", c.pages.drains);
		json_uint(&j, "magazines", c.objects.magazines);
		json_uint(&j, "cached_objects", c.objects.objects);
		json_uint(&j, "cached_bytes", c.objects.bytes);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static void print_sums(void)
{
	uint64_t up = port_now_ns();
	char pages[12], bytes[12];
	struct percpu c;

	shell_printf("%3s %8s %5s %10s %8s %8s %9s %8s %10s\n", "CPU", "idle", "ready", "pages",
		     "refills", "drains", "magazines", "objects", "bytes");
	for (unsigned i = 0; percpu_at(i, &c); i++) {
		uint64_t idle = per_mille(c.sched.idle_ns, up);

		shell_printf("%3u %4llu.%llu %% %5llu %10s %8llu %8llu %9llu %8llu %10s\n", i,
			     (ull)(idle / 10), (ull)(idle % 10), (ull)c.sched.ready,
			     format_bytes(pages, c.pages.pages * PAGE_BYTES), (ull)c.pages.refills,
			     (ull)c.pages.drains, (ull)c.objects.magazines, (ull)c.objects.objects,
			     format_bytes(bytes, c.objects.bytes));
	}
}

static void print_blocks(void)
{
	struct percpu c;

	shell_printf("\nblocks kept, by order:\n%3s", "CPU");
	for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++)
		shell_printf(" %6u", k);
	shell_printf("\n");
	for (unsigned i = 0; percpu_at(i, &c); i++) {
		shell_printf("%3u", i);
		for (unsigned k = 0; k < PAGE_CACHE_ORDERS; k++)
			shell_printf(" %6llu", (ull)c.pages.cached[k]);
		shell_printf("\n");
	}
}

static int run_percpu(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (as_json) {
		percpu_json();
		return 0;
	}
	print_sums();
	print_blocks();
	return 0;
}

SHELL_COMMAND(percpu) = {
	.name = "percpu",
	.arguments = "[--json]",
	.summary = "What each CPU keeps: cached pages and objects, ready threads",
	.help = "idle       of the time since boot; ready: threads that wait for this CPU\n"
		"pages      free memory in its page cache; below, the blocks by order\n"
		"refills    batches of blocks fetched from the bitmaps; drains: given back\n"
		"magazines  of kmalloc: one a cache it uses; objects: free ones in them\n"
		"An idle CPU gives back what it keeps.\n",
	.run = run_percpu,
};
