/* SPDX-License-Identifier: MIT */
/* trace: the last calls of the allocators, as they came. */
#include "table.h"
#include "watch.h"
#include <quire/errno.h>
#include <quire/kmalloc.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/symbols.h>
#include <quire/time.h>

#define SHOWN 20 /* unless told */

static void event_row(const struct alloc_event *e)
{
	uint64_t us = time_ns_at(e->cycles) / 1000;
	char caller[64];

	shell_printf("%6llu.%06llu %3u  %-10s ", (ull)us / 1000000, (ull)us % 1000000, e->cpu,
		     alloc_operation_name(e->operation));
	if (e->address)
		shell_printf("0x%016llx", (ull)e->address);
	else
		shell_printf("%-18s", e->injected ? "made to fail" : "no memory");
	shell_printf(" %9llu  %s\n", (ull)e->bytes, symbol_format_return(caller, e->caller));
}

static void event_json(struct json *j, const struct alloc_event *e)
{
	char caller[64];

	json_object(j, NULL);
	json_uint(j, "ns", time_ns_at(e->cycles));
	json_uint(j, "cpu", e->cpu);
	json_string(j, "operation", alloc_operation_name(e->operation));
	json_hex(j, "address", e->address);
	json_uint(j, "bytes", e->bytes);
	json_string(j, "caller", symbol_format_return(caller, e->caller));
	json_bool(j, "injected", e->injected);
	json_object_end(j);
}

/* The newest `count`, oldest of them first. */
static void print_events(struct alloc_trace *trace, uint64_t count)
{
	uint64_t oldest, end = alloc_trace_recorded(trace, &oldest);
	uint64_t first = end - oldest > count ? end - count : oldest;
	struct alloc_event e;

	shell_printf("%13s %3s  %-10s %-18s %9s  %s\n", "seconds", "CPU", "call", "address",
		     "bytes", "caller");
	for (uint64_t i = first; i < end && !shell_interrupted(); i++)
		if (alloc_trace_read(trace, i, &e))
			event_row(&e);
	shell_printf("%llu shown of %llu recorded", (ull)(end - first), (ull)end);
	if (oldest)
		shell_printf("; the first %llu are overwritten", (ull)oldest);
	shell_printf("\n");
}

static void print_json(struct alloc_trace *trace, uint64_t count)
{
	uint64_t oldest = 0, end = trace ? alloc_trace_recorded(trace, &oldest) : 0;
	uint64_t first = end - oldest > count ? end - count : oldest;
	struct alloc_event e;
	struct json j;

	shell_json_begin(&j);
	json_bool(&j, "on", trace != NULL);
	json_uint(&j, "capacity", trace ? trace->capacity : 0);
	json_uint(&j, "recorded", end);
	json_uint(&j, "overwritten", oldest);
	json_array(&j, "events");
	for (uint64_t i = first; i < end; i++)
		if (alloc_trace_read(trace, i, &e))
			event_json(&j, &e);
	json_array_end(&j);
	shell_json_end(&j);
}

static int show(int argc, char **argv, bool as_json)
{
	struct alloc_trace *trace = watch_trace();
	uint64_t count = SHOWN;

	if (argc > 1 && (shell_parse_u64(argv[1], &count) || !count))
		return shell_error("'%s' is not a number of events", argv[1]);
	if (argc > 1 && shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	if (as_json)
		print_json(trace, count);
	else if (!trace)
		return shell_error("off: nothing is recorded (try: trace on)");
	else
		print_events(trace, count);
	return 0;
}

static int switch_on(int argc, char **argv)
{
	uint64_t events = WATCH_EVENTS;
	int error;

	if (argc > 1 && (shell_parse_u64(argv[1], &events) || !events || events > WATCH_EVENTS_MAX))
		return shell_error("'%s' is not a number of events from 1 to %u", argv[1],
				   WATCH_EVENTS_MAX);
	if (argc > 1 && shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	error = watch_trace_on(events);
	if (error == -EBUSY)
		return shell_error("on already (trace off; trace on N changes the size)");
	if (error) {
		shell_error("no memory for %llu events in one piece", (ull)events);
		return error;
	}
	shell_printf("recording the last %llu calls of kmalloc and the page allocator\n",
		     (ull)watch_trace()->capacity);
	return 0;
}

static int run_trace(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	const char *what = argc > 1 ? argv[1] : "show";
	struct alloc_trace *trace = watch_trace();

	if (argc > 1)
		argc--, argv++;
	if (!strcmp(what, "show"))
		return show(argc, argv, as_json);
	if (!strcmp(what, "on"))
		return switch_on(argc, argv);
	if (strcmp(what, "off") && strcmp(what, "clear"))
		return shell_error("'%s' is none of on, off, show and clear", what);
	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (!trace)
		return shell_error("off already");
	if (!strcmp(what, "clear"))
		alloc_trace_clear(trace);
	else
		(void)watch_trace_off();
	return 0;
}

static const char *const trace_words[] = {"on", "off", "show", "clear", NULL};

SHELL_COMMAND(trace) = {
	.name = "trace",
	.arguments = "[on [EVENTS] | off | clear | show [COUNT]] [--json]",
	.summary = "Record every call of kmalloc and the page allocator, with its caller",
	.help = "trace on         keep the last 8,192 calls; trace on 64K: so many\n"
		"trace show 50    the newest 50, newest last (show alone: 20)\n"
		"trace clear      forget them; trace off: cease, and give the memory back\n"
		"'bytes' are those asked for; of what is freed, those of the object or block.\n"
		"A new slab of kmalloc's shows as page_alloc, in the name of who needed it.\n"
		"trace=1 on the kernel command line records the boot. While it is on, every call\n"
		"takes a lock; while it is off it costs nothing.\n",
	.run = run_trace,
	.words = trace_words,
};
