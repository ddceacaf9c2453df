/* SPDX-License-Identifier: MIT */
/* check, test, cpu, panic, reboot, poweroff: the machine and the kernel as a whole. */
#include "table.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/errno.h>
#include <quire/memory.h>
#include <quire/port.h>
#include <quire/selftest.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/thread.h>
#include <quire/workload.h>

/* ---- check ---- */

struct validator {
	const char *name;
	const char *(*run)(void);
};

static const struct validator validators[] = {
	{"memory", memory_check},
	{"threads", sched_check},
};

static int run_check(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct json j;
	int result = 0;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (as_json)
		shell_json_begin(&j);
	for (size_t i = 0; i < array_len(validators); i++) {
		const char *error = validators[i].run();

		if (error)
			result = -EIO;
		if (as_json)
			json_string(&j, validators[i].name, error ? error : "ok");
		else
			shell_printf("%-8s %s\n", validators[i].name, error ? error : "ok");
	}
	if (as_json) {
		json_bool(&j, "ok", result == 0);
		shell_json_end(&j);
	}
	return result;
}

SHELL_COMMAND(check) = {
	.name = "check",
	.arguments = "[--json]",
	.summary = "Recount everything: do the books balance?",
	.help = "memory   every bitmap, descriptor, slab and counter recounted; the equation of "
		"`mem`\n"
		"threads  every thread in exactly one place; the queues well-formed\n",
	.run = run_check,
};

/* ---- test ---- */

static int list_faults(void)
{
	const char *const *name = arch_provoke_names();

	shell_printf("test fault NAME [--cpu N] [--thread], with NAME one of\n");
	for (; *name; name++)
		shell_printf("  %s\n", *name);
	return 0;
}

static bool cpu_wanted(int *argc, char **argv, unsigned *cpu_plus_one)
{
	const char *text = shell_take_option(argc, argv, "--cpu");
	uint64_t number;

	*cpu_plus_one = 0;
	if (!text)
		return true;
	if (shell_parse_u64(text, &number) || number >= port_cpus())
		return false;
	*cpu_plus_one = (unsigned)number + 1;
	return true;
}

static int cpu_refused(void)
{
	return shell_error("--cpu takes the number of a CPU, 0 to %u", port_cpus() - 1);
}

static void provoke_in_thread(void *name)
{
	thread_exit(arch_provoke(name));
}

/* On that CPU, and on a stack of its own if wanted. */
static int provoke_fault(char *name, unsigned cpu_plus_one, bool own_thread)
{
	const struct thread_options options = {.cpu_plus_one = cpu_plus_one};
	int32_t result;
	uint32_t id;

	if (!own_thread) {
		thread_pin(cpu_plus_one);
		result = arch_provoke(name);
		thread_pin(0);
		return result;
	}
	id = thread_create("victim", provoke_in_thread, name, &options);
	if (!id)
		return -ENOMEM;
	return thread_join(id, &result) ? -EINTR : result;
}

static int run_fault(int argc, char **argv)
{
	bool own_thread = shell_take_flag(&argc, argv, "--thread");
	unsigned cpu_plus_one;

	if (!cpu_wanted(&argc, argv, &cpu_plus_one))
		return cpu_refused();
	if (argc < 2)
		return list_faults();
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	if (provoke_fault(argv[1], cpu_plus_one, own_thread))
		return shell_error("no fault called '%s' on this CPU (try: test fault)", argv[1]);
	shell_printf("%s: the CPU went on\n", argv[1]);
	return 0;
}

/* Run the tests named in argv[1..], or all. */
static int run_tests(int argc, char **argv, struct json *j)
{
	const struct selftest *t;
	unsigned passed = 0, failed = 0;

	for (size_t i = 0; (t = selftest_at(i)) && !shell_interrupted(); i++) {
		bool wanted = argc < 2;
		const char *error;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], t->name);
		if (!wanted)
			continue;
		error = selftest_run(t);
		if (error)
			failed++;
		else
			passed++;
		if (j)
			json_string(j, t->name, error ? error : "ok");
		else
			shell_printf("%-20s %s%s\n", t->name, error ? "FAILED: " : "ok",
				     error ? error : "");
	}
	if (j) {
		json_uint(j, "passed", passed);
		json_uint(j, "failed", failed);
	} else {
		shell_printf("%u passed, %u failed\n", passed, failed);
	}
	return failed ? -EIO : 0;
}

static bool selftest_exists(const char *name)
{
	const struct selftest *t;

	for (size_t i = 0; (t = selftest_at(i)); i++)
		if (!strcmp(t->name, name))
			return true;
	return false;
}

/* They change the counters that every test compares before and after. */
static int workloads_refused(void)
{
	return shell_error("workloads are running and change what tests compare (kill all)");
}

static int list_misuses(void)
{
	const struct misuse_case *c;

	shell_printf("test misuse NAME [--cpu N], with NAME one of\n");
	for (size_t i = 0; (c = misuse_case_at(i)); i++)
		shell_printf("  %-27s %s\n", c->name, c->what);
	return 0;
}

static int run_misuse(int argc, char **argv)
{
	const struct misuse_case *c;
	unsigned cpu_plus_one;
	const char *error;

	if (!cpu_wanted(&argc, argv, &cpu_plus_one))
		return cpu_refused();
	if (argc < 2)
		return list_misuses();
	if (shell_no_more(argc - 1, argv + 1))
		return -EINVAL;
	for (size_t i = 0; (c = misuse_case_at(i)); i++)
		if (!strcmp(c->name, argv[1]))
			break;
	if (!c)
		return shell_error("no misuse called '%s' (try: test misuse)", argv[1]);
	if (workload_any_running())
		return workloads_refused();
	error = misuse_run(c, cpu_plus_one);
	if (error)
		return shell_error("%s: %s", c->name, error);
	shell_printf("%s: the kernel went on\n", c->name);
	return 0;
}

static int run_test(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct json j;
	int result;

	if (argc > 1 && !strcmp(argv[1], "fault"))
		return run_fault(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "misuse"))
		return run_misuse(argc - 1, argv + 1);
	for (int i = 1; i < argc; i++)
		if (!selftest_exists(argv[i]))
			return shell_error("no test called '%s' (help test lists them)", argv[i]);
	if (workload_any_running())
		return workloads_refused();
	if (!as_json)
		return run_tests(argc, argv, NULL);
	shell_json_begin(&j);
	result = run_tests(argc, argv, &j);
	shell_json_end(&j);
	return result;
}

static const char *const test_words[] = {
	"fault",      "misuse",   "bounds", "pages",  "kmalloc", "stress",
	"threads",    "priority", "sleep",  "queue",  "mutex",   "descriptors",
	"corruption", "refusals", "cpus",   "pinned", "stale",   NULL};

SHELL_COMMAND(test) = {
	.name = "test",
	.arguments = "[NAME...] [--json] | fault [NAME] | misuse [NAME [--cpu N]]",
	.summary = "Test the running kernel; or provoke a CPU fault or a wrong use of memory",
	.help = "test            every self test\n"
		"test pages      only that one: bounds pages descriptors kmalloc stress refusals\n"
		"                threads priority sleep queue mutex\n"
		"test fault      the CPU faults that can be provoked\n"
		"test fault NAME [--cpu N] [--thread]\n"
		"                provokes it, on that CPU, on a stack of its own; the kernel "
		"reports and stops\n"
		"test misuse     the wrong uses of the allocators that can be provoked\n"
		"test misuse NAME [--cpu N]  does it, its last step on CPU N; the kernel reports,\n"
		"                refuses and goes on\n",
	.run = run_test,
	.words = test_words,
};

/* ---- cpu ---- */

struct feature {
	const char *name;
	bool present;
	const char *what;
};

/* Everything known of CPU number `cpu`; false past the last. */
static bool cpu_at(unsigned cpu, struct arch_cpu_state *a, struct sched_cpu_info *s)
{
	return arch_cpu_state(cpu, a) && sched_cpu_info(cpu, s);
}

static void cpus_json(struct json *j)
{
	struct arch_cpu_state a;
	struct sched_cpu_info s;

	json_array(j, "cpus");
	for (unsigned i = 0; cpu_at(i, &a, &s); i++) {
		json_object(j, NULL);
		json_uint(j, "cpu", i);
		json_uint(j, "apic_id", a.apic_id);
		json_uint(j, "idle_ns", s.idle_ns);
		json_uint(j, "ticks", a.ticks);
		json_uint(j, "switches", s.switches);
		json_uint(j, "tlb_flushes", a.tlb_flushes);
		json_uint(j, "spurious_interrupts", a.spurious);
		json_uint(j, "unknown_interrupts", a.unknown_interrupts);
		json_string(j, "running", s.current_name);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print_cpus(void)
{
	struct arch_cpu_state a;
	struct sched_cpu_info s;
	uint64_t up = port_now_ns();

	shell_printf("\n%4s %8s %7s %9s %9s %9s  %s\n", "CPU", "APIC id", "idle", "ticks",
		     "switches", "flushes", "runs");
	for (unsigned i = 0; cpu_at(i, &a, &s); i++) {
		uint64_t idle = per_mille(s.idle_ns, up);

		shell_printf("%4u %8u %4llu.%llu %% %8llu %9llu %9llu  %s\n", i, a.apic_id,
			     (ull)(idle / 10), (ull)(idle % 10), (ull)a.ticks, (ull)s.switches,
			     (ull)a.tlb_flushes, s.current_name);
	}
}

static void cpu_json(const struct arch_cpu_info *c, const struct feature *f, size_t n)
{
	struct json j;

	shell_json_begin(&j);
	json_string(&j, "vendor", c->vendor);
	json_string(&j, "model", c->model);
	json_uint(&j, "family", c->family);
	json_uint(&j, "model_number", c->model_number);
	json_uint(&j, "stepping", c->stepping);
	json_uint(&j, "physical_bits", c->physical_bits);
	json_uint(&j, "virtual_bits", c->virtual_bits);
	json_uint(&j, "apic_id", c->apic_id);
	json_string(&j, "timer", c->timer);
	json_uint(&j, "ticks", c->ticks);
	json_uint(&j, "spurious_interrupts", c->spurious_interrupts);
	json_uint(&j, "unknown_interrupts", c->unknown_interrupts);
	json_string(&j, "hypervisor", c->hypervisor ? c->hypervisor_name : NULL);
	json_object(&j, "features");
	for (size_t i = 0; i < n; i++)
		json_bool(&j, f[i].name, f[i].present);
	json_object_end(&j);
	cpus_json(&j);
	shell_json_end(&j);
}

static int run_cpu(int argc, char **argv)
{
	bool as_json = shell_take_flag(&argc, argv, "--json");
	struct arch_cpu_info c;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	arch_cpu_info(&c);
	const struct feature features[] = {
		{"nx", c.nx, "data cannot be executed"},
		{"wp", c.wp, "read-only holds for the kernel too"},
		{"smep", c.smep, "the kernel cannot execute user pages"},
		{"smap", c.smap, "the kernel cannot touch user pages by accident"},
		{"umip", c.umip, "user code cannot read descriptor table addresses"},
		{"pages_1g", c.pages_1g, "1 GiB pages in the direct map"},
		{"x2apic", c.x2apic, "interrupt controller reached through registers"},
		{"invariant_tsc", c.invariant_tsc, "time stamp counter runs at one rate"},
		{"la57", c.la57, "5-level paging exists (not used)"},
	};

	if (as_json) {
		cpu_json(&c, features, array_len(features));
		return 0;
	}
	shell_printf("%s\n%s, family %u, model %u, stepping %u; APIC id %u%s%s\n", c.model,
		     c.vendor, c.family, c.model_number, c.stepping, c.apic_id,
		     c.hypervisor ? "; under " : "", c.hypervisor ? c.hypervisor_name : "");
	shell_printf("%u physical and %u virtual address bits; timer: %s\n", c.physical_bits,
		     c.virtual_bits, c.timer);
	shell_printf("%llu ticks; interrupts: %llu spurious, %llu without a handler\n\n",
		     (unsigned long long)c.ticks, (unsigned long long)c.spurious_interrupts,
		     (unsigned long long)c.unknown_interrupts);
	for (size_t i = 0; i < array_len(features); i++)
		shell_printf("  %-14s %-4s %s\n", features[i].name,
			     features[i].present ? "yes" : "no", features[i].what);
	print_cpus();
	return 0;
}

SHELL_COMMAND(cpu) = {
	.name = "cpu",
	.arguments = "[--json]",
	.summary = "The CPUs: which protections are on, and what each does",
	.help = "A protection the CPU does not have is shown as no; the kernel runs without it.\n"
		"idle     share of the time since the boot\n"
		"ticks    the tick of a CPU that has long been idle stops, but for CPU 0's\n"
		"flushes  how often it forgot all translations because another CPU asked\n",
	.run = run_cpu,
};

/* ---- panic, reboot, poweroff ---- */

static int run_panic(int argc, char **argv)
{
	if (shell_no_more(argc > 2 ? argc - 1 : 1, argc > 2 ? argv + 1 : argv))
		return -EINVAL;
	port_panic("%s", argc > 1 ? argv[1] : "asked for from the shell");
}

SHELL_COMMAND(panic) = {
	.name = "panic",
	.arguments = "[\"TEXT\"]",
	.summary = "Stop the kernel with a panic report",
	.help = "To see what one looks like. There is no way back but a restart.\n",
	.run = run_panic,
};

static int run_reboot(int argc, char **argv)
{
	if (shell_no_more(argc, argv))
		return -EINVAL;
	console_printf("quire: restarting\n");
	arch_reboot();
}

SHELL_COMMAND(reboot) = {
	.name = "reboot",
	.arguments = "",
	.summary = "Restart the machine",
	.help = "Asks the firmware (ResetSystem), then the platform's other ways.\n",
	.run = run_reboot,
};

static int run_poweroff(int argc, char **argv)
{
	if (shell_no_more(argc, argv))
		return -EINVAL;
	console_printf("quire: powering off\n");
	arch_poweroff();
}

SHELL_COMMAND(poweroff) = {
	.name = "poweroff",
	.arguments = "",
	.summary = "Switch the machine off",
	.help = "Asks the firmware (ResetSystem). Where that does nothing, says so.\n",
	.run = run_poweroff,
};
