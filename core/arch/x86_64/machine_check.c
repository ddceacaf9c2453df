/* SPDX-License-Identifier: MIT */
/*
 * Machine checks: the hardware's own report of memory, cache and bus errors. Intel SDM 3B chapter
 * 15, AMD APM 2 chapter 9.
 *
 *   bank i of a CPU:   CTL (which errors to tell)  STATUS  ADDR (if ADDRV)  MISC (if MISCV)
 *
 * Out of reset no bank tells anything: each CPU switches its own on. What a bank holds then
 * is of before the reset, and is logged: after a crash it may be the only trace.
 */
#define LOG_TAG "mce"
#include "trap.h"
#include <quire/console.h>
#include <quire/format.h>
#include <quire/log.h>

typedef unsigned long long ull;

#define MSR_MCG_STATUS 0x17au
#define MSR_MCG_CTL    0x17bu
#define MSR_MC0_CTL    0x400u

#define MCG_CAP_BANKS 0xffu
#define MCG_CAP_CTL   ((uint64_t)1 << 8)

#define MCI_VALID       ((uint64_t)1 << 63)
#define MCI_OVERFLOW    ((uint64_t)1 << 62)
#define MCI_UNCORRECTED ((uint64_t)1 << 61)
#define MCI_ENABLED     ((uint64_t)1 << 60)
#define MCI_MISC_VALID  ((uint64_t)1 << 59)
#define MCI_ADDR_VALID  ((uint64_t)1 << 58)
#define MCI_CORRUPT     ((uint64_t)1 << 57)

struct bit_name {
	uint64_t bit;
	const char *name;
};

/* The MSRs of bank `i`. */
static uint32_t bank_ctl(unsigned i)
{
	return MSR_MC0_CTL + 4 * i;
}

static uint32_t bank_status(unsigned i)
{
	return MSR_MC0_STATUS + 4 * i;
}

static unsigned bank_count(void)
{
	return cpu_features.mce ? (unsigned)(rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS) : 0;
}

/* On Intel's family 6 before model 1Ah bank 0 belongs to the firmware. SDM 3B section 15.3.2.1. */
static bool bank_is_firmwares(unsigned i)
{
	uint32_t signature = cpuid(1, 0).eax;
	uint32_t model = (signature >> 12 & 0xf0) | (signature >> 4 & 0xf);
	bool intel = cpuid(0, 0).ecx == 0x6c65746e; /* "ntel" */

	return i == 0 && intel && (signature >> 8 & 0xf) == 6 && model < 0x1a;
}

void machine_check_enable(void)
{
	unsigned banks = bank_count();

	if (!banks)
		return;
	if (rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, ~(uint64_t)0);
	for (unsigned i = 0; i < banks; i++) {
		uint64_t status = rdmsr(bank_status(i));

		if (status & MCI_VALID)
			log_warn("from before the reset: CPU %u bank %u status 0x%016llx",
				 port_cpu(), i, (ull)status);
		if (!bank_is_firmwares(i))
			wrmsr(bank_ctl(i), ~(uint64_t)0);
		wrmsr(bank_status(i), 0);
	}
}

/* The compound error codes of SDM 3B table 15-9, by the highest bit that is set. */
static const char *error_kind(uint16_t code)
{
	if (code & 0x0800)
		return "bus or interconnect error";
	if (code & 0x0400)
		return code == 0x0400 ? "internal timer error" : "internal error";
	if (code & 0x0100)
		return "cache hierarchy error";
	if (code & 0x0080)
		return "memory controller error";
	if (code & 0x0010)
		return "TLB error";
	if (code & 0x000c)
		return "generic cache hierarchy error";
	return code ? "simple error" : "no error code";
}

static void print_bits(uint64_t value, const struct bit_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (value & names[i].bit)
			console_printf(", %s", names[i].name);
	console_printf("\n");
}

static void print_bank(unsigned i, uint64_t status)
{
	static const struct bit_name names[] = {
		{MCI_OVERFLOW, "one was lost before it"},
		{MCI_CORRUPT, "this CPU's state may be corrupt"},
	};

	console_printf("  bank %u: status 0x%016llx: %s", i, (ull)status,
		       status & MCI_UNCORRECTED ? "uncorrected" : "corrected");
	print_bits(status, names, array_len(names));
	console_printf("    error code 0x%04llx (%s), model's own 0x%04llx\n",
		       (ull)(status & 0xffff), error_kind((uint16_t)status),
		       (ull)(status >> 16 & 0xffff));
	if (status & MCI_ADDR_VALID)
		console_printf("    address 0x%llx\n", (ull)rdmsr(bank_status(i) + 1));
	if (status & MCI_MISC_VALID)
		console_printf("    misc 0x%llx\n", (ull)rdmsr(bank_status(i) + 2));
}

void machine_check_print(void)
{
	static const struct bit_name names[] = {
		{1, "could be resumed"},
		{2, "the instruction shown caused it"},
		{4, "in progress"},
	};
	unsigned banks = bank_count();
	uint64_t global;

	if (!banks)
		return;
	global = rdmsr(MSR_MCG_STATUS);
	console_printf("  machine check status 0x%llx", (ull)global);
	print_bits(global, names, array_len(names));
	for (unsigned i = 0; i < banks; i++) {
		uint64_t status = rdmsr(bank_status(i));

		if (status & MCI_VALID)
			print_bank(i, status);
	}
}
