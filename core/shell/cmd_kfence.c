/* SPDX-License-Identifier: MIT */
/* kfence: guarded objects, how many there are and what they caught. */
#include "table.h"
#include <quire/errno.h>
#include <quire/kheap_guard.h>
#include <quire/memory.h>
#include <quire/shell.h>
#include <quire/symbols.h>

static void site_json(struct json *j, const char *key, uintptr_t address)
{
	char name[64];

	json_string(j, key, address ? symbol_format(name, address) : NULL);
}

static void kfence_json(const struct kheap_guard_stats *s)
{
	struct misuse m;
	struct json j;

	shell_json_begin(&j);
	json_bool(&j, "present", s->present);
	json_bool(&j, "every", s->rate == KHEAP_GUARD_EVERY);
	json_uint(&j, "rate_ms", s->rate == KHEAP_GUARD_EVERY ? 0 : guard_rate_ms(s->rate));
	json_uint(&j, "slots", s->slots);
	json_uint(&j, "live", s->live);
	json_uint(&j, "used", s->used);
	json_uint(&j, "pages", s->pages);
	json_uint(&j, "sampled", s->sampled);
	json_uint(&j, "missed", s->missed);
	json_uint(&j, "hits", s->hits);
	json_array(&j, "last");
	for (unsigned i = 0; kheap_guard_hit(&kernel_heap, i, &m); i++) {
		json_object(&j, NULL);
		json_string(&j, "what", m.what);
		json_hex(&j, "address", m.address);
		json_hex(&j, "object", m.object);
		json_uint(&j, "bytes", m.bytes);
		json_string(&j, "class", m.cache);
		site_json(&j, "caller", m.caller);
		site_json(&j, "allocated_by", m.allocated_by);
		site_json(&j, "freed_by", m.freed_by);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static void print_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		shell_printf("    %-13s %s\n", label, symbol_format(name, address));
}

static void print_hits(void)
{
	struct misuse m;

	for (unsigned i = 0; kheap_guard_hit(&kernel_heap, i, &m); i++) {
		shell_printf("  %s: 0x%llx; object 0x%llx, %llu bytes, %s\n", m.what,
			     (ull)m.address, (ull)m.object, (ull)m.bytes, m.cache ? m.cache : "?");
		print_site("caller", m.caller);
		print_site("allocated by", m.allocated_by);
		print_site("freed by", m.freed_by);
	}
}

static void print_kfence(const struct kheap_guard_stats *s)
{
	char a[28], b[28], c[12];

	if (!s->present) {
		shell_printf("no guarded objects (kfence=off on the command line)\n");
		return;
	}
	if (s->rate == KHEAP_GUARD_EVERY)
		shell_printf("rate     every allocation of up to %u bytes\n", (unsigned)PAGE_BYTES);
	else if (s->rate)
		shell_printf("rate     one allocation in %llu ms on each CPU\n",
			     (ull)guard_rate_ms(s->rate));
	else
		shell_printf("rate     none\n");
	shell_printf("slots    %u: %u live, %u freed and waiting, %u never used; %s\n", s->slots,
		     s->live, s->used - s->live, s->slots - s->used,
		     format_bytes(c, s->pages * PAGE_BYTES));
	shell_printf("sampled  %s; %s found no slot\n", format_count(a, s->sampled),
		     format_count(b, s->missed));
	shell_printf("hits     %llu\n", (ull)s->hits);
	print_hits();
}

static int run_kfence(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct kheap_guard_stats s;

	if (argc > 1) {
		int error = guard_set_rate(argv[1]);

		if (error == -EINVAL)
			return shell_error("'%s' is neither milliseconds nor every, on, off",
					   argv[1]);
		if (error)
			return shell_error("there is no pool (kfence=off on the command line)");
		argc--, argv++;
	}
	if (shell_no_more(argc, argv))
		return -EINVAL;
	kheap_guard_stats(&kernel_heap, &s);
	if (as_json)
		kfence_json(&s);
	else
		print_kfence(&s);
	return 0;
}

static const char *const kfence_words[] = {"on", "off", "every", NULL};

SHELL_COMMAND(kfence) = {
	.name = "kfence",
	.arguments = "[MS | on | off | every] [--json]",
	.summary = "Guarded objects: sampled allocations on a page of their own, and hits",
	.help = "Now and then kmalloc gives an object a page of its own, with unmapped pages\n"
		"around it: a step over its edge or a use after its free faults, is reported\n"
		"and let through.\n"
		"kfence 50      one sample on each CPU every 50 ms; on: every 100 ms\n"
		"kfence every   every object of up to a page, while there are slots\n"
		"kfence off     none from now on\n",
	.run = run_kfence,
	.words = kfence_words,
};
