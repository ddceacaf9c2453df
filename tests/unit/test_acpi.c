/* SPDX-License-Identifier: MIT */
/* ACPI tables as firmware writes them, and as broken firmware writes them. */
#include "acpi.h"
#include "cm.h"
#include "host.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Physical memory of the test: 64 KiB at MEMORY_BASE. Each table is copied
 * into a heap block of exactly the size asked for when it is mapped, so that
 * reading past what was asked is the sanitizer's to catch.
 */
#define MEMORY_BASE  0xe0000u
#define MEMORY_BYTES 0x10000u

static uint8_t memory[MEMORY_BYTES];
static void *mapped[4096];
static size_t mapped_count;

static const void *map(paddr_t base, uint64_t bytes)
{
	void *copy;

	if (base.a < MEMORY_BASE || base.a > MEMORY_BASE + MEMORY_BYTES ||
	    bytes > MEMORY_BASE + MEMORY_BYTES - base.a)
		return NULL;
	assert_true(mapped_count < sizeof mapped / sizeof mapped[0]);
	copy = malloc(bytes);
	memcpy(copy, memory + (base.a - MEMORY_BASE), bytes);
	return mapped[mapped_count++] = copy;
}

static void unmap_all(void)
{
	while (mapped_count)
		free(mapped[--mapped_count]);
}

static uint8_t *at(uint32_t physical)
{
	return memory + (physical - MEMORY_BASE);
}

static void put(uint32_t physical, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at(physical)[i] = (uint8_t)(value >> (8 * i));
}

/* Make the `bytes` at `physical` sum to zero through the byte at `where`. */
static void checksum(uint32_t physical, uint32_t bytes, uint32_t where)
{
	uint8_t sum = 0;

	at(physical)[where] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + at(physical)[i]);
	at(physical)[where] = (uint8_t)-sum;
}

static void seal(uint32_t table, const char *signature, uint32_t bytes, uint8_t revision)
{
	memcpy(at(table), signature, 4);
	put(table + 4, bytes, 4);
	put(table + 8, revision, 1);
	checksum(table, bytes, 9);
}

#define RSDP 0xe0000u
#define XSDT 0xe1000u
#define RSDT 0xe2000u
#define MADT 0xe3000u
#define FADT 0xe4000u

static uint32_t madt_end;

static void madt_add(const uint8_t *entry, size_t bytes)
{
	memcpy(at(madt_end), entry, bytes);
	madt_end += (uint32_t)bytes;
	seal(MADT, "APIC", madt_end - MADT, 5);
}

#define MADT_ADD(...)                                                                              \
	madt_add((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void build_rsdp(uint8_t revision)
{
	memcpy(at(RSDP), "RSD PTR ", 8);
	put(RSDP + 15, revision, 1);
	put(RSDP + 16, RSDT, 4);
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, XSDT, 8);
	checksum(RSDP, 20, 8);
	checksum(RSDP, 36, 32);
}

/* A machine like q35: two CPUs, one of them disabled, IRQ 0 on GSI 2, IRQ 9 level. */
static void build_all(uint8_t revision)
{
	unmap_all();
	memset(memory, 0, sizeof memory);
	build_rsdp(revision);
	put(XSDT + 36, MADT, 8);
	put(XSDT + 44, FADT, 8);
	seal(XSDT, "XSDT", 52, 1);
	put(RSDT + 36, MADT, 4);
	put(RSDT + 40, FADT, 4);
	seal(RSDT, "RSDT", 44, 1);

	put(MADT + 36, 0xfee00000u, 4);
	put(MADT + 40, 1, 4);
	madt_end = MADT + 44;
	MADT_ADD(0, 8, 0, 0, 1, 0, 0, 0);
	MADT_ADD(0, 8, 1, 1, 0, 0, 0, 0);
	MADT_ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
	MADT_ADD(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
	MADT_ADD(2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0);
	MADT_ADD(4, 6, 0xff, 0, 0, 1);

	put(FADT + 76, 0x608, 4);
	put(FADT + 91, 4, 1);
	put(FADT + 109, 2, 2);
	put(FADT + 112, 1u << 10 | 1u << 8, 4);
	put(FADT + 116, 1, 1); /* reset: ports, 8 bits, 0xcf9 */
	put(FADT + 117, 8, 1);
	put(FADT + 120, 0xcf9, 8);
	put(FADT + 128, 0x0f, 1);
	seal(FADT, "FACP", 244, 3);
}

static void expect_all(const struct acpi_platform *p)
{
	assert_true(p->madt && p->fadt);
	assert_int_equal(p->cpus, 1);
	assert_int_equal(p->local_apic.a, 0xfee00000u);
	assert_int_equal(p->ioapic_count, 1);
	assert_int_equal(p->ioapics[0].id, 7);
	assert_int_equal(p->ioapics[0].base.a, 0xfec00000u);
	assert_int_equal(p->isa[0].gsi, 2);
	assert_int_equal(p->isa[1].gsi, 1);
	assert_true(p->isa[9].active_low && p->isa[9].level);
	assert_false(p->isa[4].active_low || p->isa[4].level);
	assert_true(p->nmi_on_lint[1] && !p->nmi_on_lint[0]);
	assert_int_equal(p->pm_timer.address, 0x608);
	assert_int_equal(p->pm_timer.space, ACPI_SPACE_PORTS);
	assert_true(p->pm_timer_32bit);
	assert_int_equal(p->reset.address, 0xcf9);
	assert_int_equal(p->reset_value, 0x0f);
	assert_false(p->no_i8042);
	assert_int_equal(p->bad_tables, 0);
}

static int read_tables(struct acpi_platform *p)
{
	return acpi_read(paddr(RSDP), map, p);
}

static void a_sane_machine_is_read_through_either_root(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	assert_int_equal(read_tables(&p), 0);
	expect_all(&p);
	build_all(0); /* ACPI 1: no XSDT */
	memset(at(XSDT), 0, 64);
	assert_int_equal(read_tables(&p), 0);
	expect_all(&p);
}

static void a_broken_xsdt_falls_back_to_the_rsdt(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	at(XSDT)[40] ^= 1;
	assert_int_equal(read_tables(&p), 0);
	expect_all(&p);
	build_all(2);
	at(RSDP)[33] ^= 1; /* only the second half's checksum */
	assert_int_equal(read_tables(&p), 0);
	expect_all(&p);
}

static void expect_plain_pc(const struct acpi_platform *p)
{
	assert_false(p->madt || p->fadt);
	assert_int_equal(p->isa[4].gsi, 4);
	assert_int_equal(p->ioapic_count, 0);
}

static void no_root_means_a_plain_pc(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	assert_int_equal(acpi_read(paddr(0), map, &p), -ENOENT);
	expect_plain_pc(&p);
	assert_int_equal(acpi_read(paddr(0x10), map, &p), -EINVAL); /* nothing mapped there */
	at(RSDP)[0] = 'X';
	checksum(RSDP, 20, 8);
	assert_int_equal(read_tables(&p), -EINVAL);
	build_all(2);
	at(RSDP)[9] ^= 1;
	assert_int_equal(read_tables(&p), -EINVAL);
	build_all(2);
	at(XSDT)[40] ^= 1;
	at(RSDT)[40] ^= 1;
	assert_int_equal(read_tables(&p), -EINVAL);
	expect_plain_pc(&p);
}

static void a_table_with_a_wrong_checksum_or_length_is_left_out(void **state)
{
	static const uint32_t lengths[] = {0, 8, 35, 0x7fffffff, 0xffffffff, MEMORY_BYTES};
	struct acpi_platform p;

	(void)state;
	build_all(2);
	at(MADT)[50] ^= 1;
	assert_int_equal(read_tables(&p), 0);
	assert_false(p.madt);
	assert_true(p.fadt);
	assert_int_equal(p.bad_tables, 1);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		build_all(2);
		put(FADT + 4, lengths[i], 4);
		assert_int_equal(read_tables(&p), 0);
		assert_false(p.fadt);
		assert_int_equal(p.bad_tables, 1);
	}
}

static void madt_entries_cannot_leave_the_table_or_stall_it(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	MADT_ADD(1, 0, 9, 0); /* length 0 */
	assert_int_equal(read_tables(&p), 0);
	assert_int_equal(p.ioapic_count, 1);
	build_all(2);
	MADT_ADD(1, 12, 9, 0); /* says 12, has 4 */
	assert_int_equal(read_tables(&p), 0);
	assert_int_equal(p.ioapic_count, 1);
	build_all(2);
	MADT_ADD(1, 4, 9, 0); /* an I/O APIC too short to hold its address */
	MADT_ADD(0, 8, 2, 2, 1, 0, 0, 0);
	assert_int_equal(read_tables(&p), 0);
	assert_int_equal(p.ioapic_count, 1);
	assert_int_equal(p.cpus, 2);
	build_all(2);
	MADT_ADD(1); /* half an entry header */
	assert_int_equal(read_tables(&p), 0);
}

static void madt_numbers_outside_our_tables_are_ignored(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	for (unsigned i = 0; i < ACPI_IOAPICS_MAX + 3; i++)
		MADT_ADD(1, 12, 8, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0);
	MADT_ADD(2, 10, 0, 200, 3, 0, 0, 0, 0, 0); /* ISA interrupt 200 */
	MADT_ADD(2, 10, 5, 4, 3, 0, 0, 0, 0, 0);   /* not the ISA bus */
	MADT_ADD(4, 6, 0, 0, 0, 7);                /* LINT 7 */
	MADT_ADD(0x77, 3, 1);                      /* unknown type */
	MADT_ADD(9, 16, 0, 0, 44, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
	MADT_ADD(5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0);
	assert_int_equal(read_tables(&p), 0);
	assert_int_equal(p.ioapic_count, ACPI_IOAPICS_MAX);
	assert_int_equal(p.isa[4].gsi, 4);
	assert_int_equal(p.cpus, 2);
	assert_int_equal(p.local_apic.a, 0x1fee00000ull);
}

static void the_fadt_of_every_age_is_understood(void **state)
{
	struct acpi_platform p;

	(void)state;
	build_all(2);
	put(FADT + 109, 0, 2); /* revision 3: the flag counts */
	seal(FADT, "FACP", 244, 3);
	assert_int_equal(read_tables(&p), 0);
	assert_true(p.no_i8042);

	put(FADT + 112, 0, 4);
	seal(FADT, "FACP", 116, 1); /* ACPI 1: no reset register, no boot flags, no X fields */
	assert_int_equal(read_tables(&p), 0);
	assert_false(p.no_i8042);
	assert_int_equal(p.reset.address, 0);
	assert_false(p.pm_timer_32bit);
	assert_int_equal(p.pm_timer.address, 0x608);

	build_all(2);
	put(FADT + 208, 0, 1); /* the X field wins: memory */
	put(FADT + 212, 0xfed80808u, 8);
	seal(FADT, "FACP", 244, 5);
	assert_int_equal(read_tables(&p), 0);
	assert_int_equal(p.pm_timer.space, ACPI_SPACE_MEMORY);
	assert_int_equal(p.pm_timer.address, 0xfed80808u);

	build_all(2);
	seal(FADT, "FACP", 80, 1); /* too short for what we need */
	assert_int_equal(read_tables(&p), 0);
	assert_false(p.fadt);
}

/* Any garbage, with checksums made right so that it gets past the door. */
static void garbage_never_reads_outside(void **state)
{
	uint64_t seed = host_seed("acpi");
	struct acpi_platform p;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		build_all(round % 3 ? 2 : 0);
		for (unsigned i = 0; i < 1 + round % 40; i++)
			memory[host_random(&seed) % 0x5000] = (uint8_t)host_random(&seed);
		checksum(RSDP, 20, 8);
		checksum(RSDP, 36, 32);
		checksum(XSDT, 52, 9);
		checksum(RSDT, 44, 9);
		checksum(MADT, madt_end - MADT, 9);
		checksum(FADT, 244, 9);
		(void)!read_tables(&p);
		assert_true(p.ioapic_count <= ACPI_IOAPICS_MAX);
	}
	unmap_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sane_machine_is_read_through_either_root),
		cmocka_unit_test(a_broken_xsdt_falls_back_to_the_rsdt),
		cmocka_unit_test(no_root_means_a_plain_pc),
		cmocka_unit_test(a_table_with_a_wrong_checksum_or_length_is_left_out),
		cmocka_unit_test(madt_entries_cannot_leave_the_table_or_stall_it),
		cmocka_unit_test(madt_numbers_outside_our_tables_are_ignored),
		cmocka_unit_test(the_fadt_of_every_age_is_understood),
		cmocka_unit_test(garbage_never_reads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
