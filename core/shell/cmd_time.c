/* SPDX-License-Identifier: MIT */
/* time: since when, how it is measured, and how long each stage of the boot took. */
#include <quire/errno.h>
#include <quire/format.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/time.h>

static const char *source_name(void)
{
	const char *source = time_source();

	return source ? source : "nothing";
}

/* Ticks between two milestones of the boot, 0 when one is not there. */
static uint64_t between(const char *from, const char *to)
{
	struct time_milestone m;
	uint64_t begin = 0, end = 0;

	for (unsigned i = 0; time_milestone_at(i, &m); i++) {
		if (!strcmp(m.name, from))
			begin = m.cycles;
		if (!strcmp(m.name, to))
			end = m.cycles;
	}
	return begin && end ? end - begin : 0;
}

static void print_text(void)
{
	char a[16], b[16], hz[28];
	struct time_milestone m;
	uint64_t last_ns = 0;

	shell_printf("up            %s\n", format_ns(a, time_ns()));
	shell_printf("TSC           %s Hz, calibrated against %s\n\n",
		     format_count(hz, time_cycles_hz()), source_name());
	shell_printf("%14s %14s  boot milestone\n", "at", "took");
	for (unsigned i = 0; time_milestone_at(i, &m); i++) {
		uint64_t took = m.ns > last_ns ? m.ns - last_ns : 0;

		shell_printf("%14s %14s  %s\n", format_ns(a, m.ns), format_ns(b, took), m.name);
		last_ns = m.ns;
	}
	shell_printf("\n%14s  TSC ticks from ExitBootServices to the first page_alloc served\n",
		     format_count(hz, between(TIME_EXIT_BOOT_SERVICES, TIME_FIRST_PAGE)));
	shell_printf("%14s  TSC ticks from the kernel's entry to the first prompt\n",
		     format_count(hz, between(TIME_KERNEL_ENTRY, TIME_FIRST_PROMPT)));
}

static void print_json(void)
{
	struct time_milestone m;
	struct json j;

	shell_json_begin(&j);
	json_uint(&j, "ns", time_ns());
	json_uint(&j, "cycles", time_cycles());
	json_uint(&j, "cycles_hz", time_cycles_hz());
	json_string(&j, "source", source_name());
	json_uint(&j, "exit_to_first_page_cycles",
		  between(TIME_EXIT_BOOT_SERVICES, TIME_FIRST_PAGE));
	json_uint(&j, "entry_to_first_prompt_cycles",
		  between(TIME_KERNEL_ENTRY, TIME_FIRST_PROMPT));
	json_array(&j, "milestones");
	for (unsigned i = 0; time_milestone_at(i, &m); i++) {
		json_object(&j, NULL);
		json_string(&j, "name", m.name);
		json_uint(&j, "ns", m.ns);
		json_uint(&j, "cycles", m.cycles);
		json_object_end(&j);
	}
	json_array_end(&j);
	shell_json_end(&j);
}

static int run_time(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (json)
		print_json();
	else
		print_text();
	return 0;
}

SHELL_COMMAND(time) = {
	.name = "time",
	.arguments = "[--json]",
	.summary = "Time since the kernel started, and how the boot spent it",
	.help = "'at' counts from the kernel's first instruction, 'took' from the milestone "
		"before.\n"
		"The time stamp counter's rate is measured once, against the named clock.\n",
	.run = run_time,
};
