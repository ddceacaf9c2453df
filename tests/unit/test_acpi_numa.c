/* SPDX-License-Identifier: MIT */
/* SRAT and SLIT as firmware writes them, and as broken firmware writes them. */
#include "acpi.h"
#include "cm.h"
#include "host.h"
#include <stdlib.h>
#include <string.h>

/*
 * Physical memory of the test, 64 KiB from 0xe0000. Each table is copied into a
 * heap block of exactly the size asked for when it is mapped, so that reading
 * past what was asked is the sanitizer's to catch.
 */
#define RSDP  0xe0000u
#define XSDT  0xe1000u
#define SRAT  0xe2000u
#define SLIT  0xee000u
#define BYTES 0x10000u

static uint8_t memory[BYTES];
static void *mapped[4096];
static size_t mapped_count;
static uint32_t srat_end;
static struct acpi_numa numa;

static const void *map(paddr_t base, uint64_t bytes)
{
	void *copy;

	if (base.a < RSDP || base.a > RSDP + BYTES || bytes > RSDP + BYTES - base.a)
		return NULL;
	assert_true(mapped_count < sizeof mapped / sizeof mapped[0]);
	copy = malloc(bytes);
	memcpy(copy, memory + (base.a - RSDP), bytes);
	return mapped[mapped_count++] = copy;
}

static void put(uint32_t physical, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		memory[physical - RSDP + i] = (uint8_t)(value >> (8 * i));
}

static void checksum(uint32_t physical, uint32_t bytes, uint32_t where)
{
	uint8_t *p = memory + (physical - RSDP), sum = 0;

	p[where] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + p[i]);
	p[where] = (uint8_t)-sum;
}

static void seal(uint32_t table, const char *signature, uint32_t bytes, uint8_t revision)
{
	memcpy(memory + (table - RSDP), signature, 4);
	put(table + 4, bytes, 4);
	put(table + 8, revision, 1);
	checksum(table, bytes, 9);
}

/* Empty tables; no SLIT until there is one. */
static void start(void)
{
	while (mapped_count)
		free(mapped[--mapped_count]);
	memset(memory, 0, sizeof memory);
	memcpy(memory, "RSD PTR ", 8);
	put(RSDP + 15, 2, 1);
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, XSDT, 8);
	checksum(RSDP, 20, 8);
	checksum(RSDP, 36, 32);
	put(XSDT + 36, SRAT, 8);
	seal(XSDT, "XSDT", 44, 1);
	srat_end = SRAT + 48;
}

static void add_memory(uint32_t domain, uint64_t base, uint64_t bytes, uint32_t flags)
{
	put(srat_end, 1, 1);
	put(srat_end + 1, 40, 1);
	put(srat_end + 2, domain, 4);
	put(srat_end + 8, base, 8);
	put(srat_end + 16, bytes, 8);
	put(srat_end + 28, flags, 4);
	srat_end += 40;
}

/* The domain's upper bytes lie elsewhere. */
static void add_apic(uint32_t domain, uint8_t id, uint32_t flags)
{
	put(srat_end, 0, 1);
	put(srat_end + 1, 16, 1);
	put(srat_end + 2, domain, 1);
	put(srat_end + 3, id, 1);
	put(srat_end + 4, flags, 4);
	put(srat_end + 9, domain >> 8, 3);
	srat_end += 16;
}

static void add_x2apic(uint32_t domain, uint32_t id, uint32_t flags)
{
	put(srat_end, 2, 1);
	put(srat_end + 1, 24, 1);
	put(srat_end + 4, domain, 4);
	put(srat_end + 8, id, 4);
	put(srat_end + 12, flags, 4);
	srat_end += 24;
}

static void set_slit(uint64_t count, const uint8_t *matrix)
{
	put(XSDT + 44, SLIT, 8);
	seal(XSDT, "XSDT", 52, 1);
	put(SLIT + 36, count, 8);
	memcpy(memory + (SLIT + 44 - RSDP), matrix, count * count);
	seal(SLIT, "SLIT", (uint32_t)(44 + count * count), 1);
}

static void read_all(uint8_t revision)
{
	seal(SRAT, "SRAT", srat_end - SRAT, revision);
	acpi_read_numa(paddr(RSDP), map, &numa);
}

static void assert_range(unsigned i, uint64_t base, uint64_t end, unsigned node)
{
	assert_true(i < numa.range_count);
	assert_int_equal(numa.ranges[i].base, base);
	assert_int_equal(numa.ranges[i].end, end);
	assert_int_equal(numa.ranges[i].node, node);
}

#define GIB (1ull << 30)

/* Two sockets, their domains numbered by somebody with ideas; memory out of order. */
static void two_sockets(void)
{
	start();
	add_apic(0x01000007, 0, 1);
	add_apic(0x01000007, 1, 1);
	add_x2apic(3, 0x10000, 1);
	add_apic(9, 5, 0); /* not enabled: not there, and no node of its own */
	add_memory(0x01000007, 4 * GIB, 2 * GIB, 1);
	add_memory(0x01000007, 0, 0xa0000, 1);
	add_memory(0x01000007, 0x100000, 2 * GIB - 0x100000, 1);
	add_memory(3, 6 * GIB, 4 * GIB, 3); /* hot-pluggable: memory all the same */
	add_memory(3, 64 * GIB, GIB, 0);
}

static void two_sockets_are_two_nodes(void **state)
{
	(void)state;
	two_sockets();
	read_all(3);
	assert_int_equal(numa.nodes, 2);
	assert_int_equal(numa.domains[0], 3);
	assert_int_equal(numa.domains[1], 0x01000007);
	assert_int_equal(numa.range_count, 4);
	assert_range(0, 0, 0xa0000, 1);
	assert_range(1, 0x100000, 2 * GIB, 1);
	assert_range(2, 4 * GIB, 6 * GIB, 1);
	assert_range(3, 6 * GIB, 10 * GIB, 0);
	assert_int_equal(numa.cpu_count, 3);
	assert_int_equal(numa.cpus[1].apic_id, 1);
	assert_int_equal(numa.cpus[1].node, 1);
	assert_int_equal(numa.cpus[2].apic_id, 0x10000);
	assert_int_equal(numa.cpus[2].node, 0);
	assert_false(numa.distances_given || numa.nodes_joined || numa.left_out);
	assert_int_equal(numa.distances[0][0], 10);
	assert_int_equal(numa.distances[0][1], 20);
}

/* Revision 1 has domains of one byte; what follows is reserved, not zero. */
static void old_tables_have_short_domains(void **state)
{
	(void)state;
	start();
	add_apic(0xabcdef01, 0, 1);
	add_memory(0xabcdef01, 0, GIB, 1);
	add_memory(0x12345602, GIB, GIB, 1);
	read_all(1);
	assert_int_equal(numa.nodes, 2);
	assert_int_equal(numa.domains[0], 1);
	assert_int_equal(numa.domains[1], 2);
	assert_int_equal(numa.cpus[0].node, 0);
}

static void expect_silence(void)
{
	assert_int_equal(numa.nodes, 0);
	assert_int_equal(numa.range_count, 0);
	assert_int_equal(numa.cpu_count, 0);
}

static void no_table_says_nothing(void **state)
{
	static const uint32_t lengths[] = {0, 8, 35, 36, 47, 0x7fffffff, 0xffffffff};

	(void)state;
	acpi_read_numa(paddr(0), map, &numa);
	expect_silence();
	start(); /* nothing where the SRAT should be */
	acpi_read_numa(paddr(RSDP), map, &numa);
	expect_silence();
	two_sockets();
	put(XSDT + 36, 0, 8);
	seal(XSDT, "XSDT", 44, 1);
	read_all(3);
	expect_silence();
	two_sockets();
	seal(SRAT, "SRAT", srat_end - SRAT, 3);
	memory[SRAT - RSDP + 60] ^= 1;
	acpi_read_numa(paddr(RSDP), map, &numa);
	expect_silence();
	for (size_t i = 0; i < array_len(lengths); i++) {
		two_sockets();
		seal(SRAT, "SRAT", srat_end - SRAT, 3);
		put(SRAT + 4, lengths[i], 4);
		if (lengths[i] < 0x1000)
			checksum(SRAT, lengths[i] < 10 ? 10 : lengths[i], 9);
		acpi_read_numa(paddr(RSDP), map, &numa);
		expect_silence();
	}
}

static void entries_cannot_leave_the_table_or_stall_it(void **state)
{
	static const uint8_t lengths[] = {0, 1, 41, 255};

	(void)state;
	for (size_t i = 0; i < sizeof lengths; i++) {
		start();
		add_memory(0, 0, GIB, 1);
		add_memory(1, GIB, GIB, 1);
		put(srat_end - 39, lengths[i], 1);
		read_all(3);
		assert_int_equal(numa.nodes, 1);
		assert_int_equal(numa.range_count, 1);
	}
	start();
	add_memory(0, 0, GIB, 1);
	put(srat_end, 1, 1); /* half an entry header */
	srat_end++;
	read_all(3);
	assert_int_equal(numa.range_count, 1);
	/* Too short for what they say they are; unknown ones. */
	start();
	put(srat_end, 0x0801, 2);
	put(srat_end + 8, 0x0800, 2);
	put(srat_end + 16, 0x1002, 2);
	put(srat_end + 32, 0x0a77, 2);
	srat_end += 42;
	add_memory(5, 0, GIB, 1);
	read_all(3);
	assert_int_equal(numa.nodes, 1);
	assert_int_equal(numa.domains[0], 5);
}

/* The lower address has what overlaps; what is wholly inside another, or empty, is gone. */
static void overlapping_memory_is_clipped(void **state)
{
	(void)state;
	start();
	add_memory(0, 0, 4 * GIB, 1);
	add_memory(1, 3 * GIB, 4 * GIB, 1);
	add_memory(1, GIB, GIB, 1);
	add_memory(1, 8 * GIB, 0, 1);
	add_memory(0, 1ull << 51, ~0ull, 1); /* past the last address */
	add_memory(0, 1ull << 60, GIB, 1);
	read_all(3);
	assert_int_equal(numa.range_count, 3);
	assert_range(0, 0, 4 * GIB, 0);
	assert_range(1, 4 * GIB, 7 * GIB, 1);
	assert_range(2, 1ull << 51, 1ull << 52, 0);
}

static void too_many_nodes_are_joined_to_the_last(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i < ACPI_NODES_MAX + 5; i++)
		add_memory(1000 - i, i * GIB, GIB, 1);
	read_all(3);
	assert_int_equal(numa.nodes, ACPI_NODES_MAX);
	assert_true(numa.nodes_joined);
	assert_int_equal(numa.domains[0], 1000 - (ACPI_NODES_MAX + 4));
	assert_int_equal(numa.ranges[ACPI_NODES_MAX + 4].node, 0);
	for (unsigned i = 0; i < 5; i++) /* 1000 to 996 found no room */
		assert_int_equal(numa.ranges[i].node, ACPI_NODES_MAX - 1);
}

static void too_many_entries_are_counted(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i < ACPI_NODE_RANGES_MAX + 3; i++)
		add_memory(i & 1, i * GIB, GIB, 1);
	for (uint32_t i = 0; i < ACPI_NODE_CPUS_MAX + 2; i++)
		add_x2apic(i & 1, i, 1);
	read_all(3);
	assert_int_equal(numa.range_count, ACPI_NODE_RANGES_MAX);
	assert_int_equal(numa.cpu_count, ACPI_NODE_CPUS_MAX);
	assert_int_equal(numa.left_out, 5);
}

static void three_domains(void)
{
	start();
	add_memory(0, 0, GIB, 1);
	add_memory(2, GIB, GIB, 1);
	add_memory(40, 2 * GIB, GIB, 1);
}

/* Rows and columns are domains: 1 has no node, 40 is past the matrix. */
static void distances_are_by_domain(void **state)
{
	static const uint8_t matrix[] = {10, 15, 31, 16, 10, 17, 32, 18, 10};

	(void)state;
	three_domains();
	set_slit(3, matrix);
	read_all(3);
	assert_true(numa.distances_given);
	assert_int_equal(numa.distances[0][1], 31);
	assert_int_equal(numa.distances[1][0], 32);
	assert_int_equal(numa.distances[1][1], 10);
	assert_int_equal(numa.distances[0][2], 20);
	assert_int_equal(numa.distances[2][2], 10);
}

static void senseless_distances_are_not_used(void **state)
{
	static const uint8_t matrices[][9] = {
		{0},
		{10, 10, 10, 10, 10, 10, 10, 10, 10},
		{20, 20, 20, 20, 20, 20, 20, 20, 20},
		{10, 20, 9, 20, 10, 20, 20, 20, 10},
	};
	static const uint8_t sane[] = {10, 15, 31, 16, 10, 17, 32, 18, 10};
	static const uint64_t counts[] = {0, 4, 1ull << 32, ~0ull};

	(void)state;
	for (size_t i = 0; i < array_len(matrices); i++) {
		three_domains();
		set_slit(3, matrices[i]);
		read_all(3);
		assert_false(numa.distances_given);
		assert_int_equal(numa.distances[0][1], 20);
	}
	for (size_t i = 0; i < array_len(counts); i++) { /* more than the table holds */
		three_domains();
		set_slit(3, sane);
		put(SLIT + 36, counts[i], 8);
		checksum(SLIT, 53, 9);
		read_all(3);
		assert_false(numa.distances_given);
	}
	three_domains();
	set_slit(3, sane);
	seal(SLIT, "SLIT", 40, 1); /* not even the number */
	read_all(3);
	assert_false(numa.distances_given);
}

/* Any garbage, with checksums made right so that it gets past the door. */
static void garbage_stays_within_bounds(void **state)
{
	static const uint8_t matrix[] = {10, 15, 31, 16, 10, 17, 32, 18, 10};
	uint64_t seed = host_seed("acpi_numa");

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t end = 0;

		two_sockets();
		set_slit(3, matrix);
		for (unsigned i = 0; i < 1 + round % 40; i++) {
			put(SRAT + 40 + (uint32_t)(host_random(&seed) % 300), host_random(&seed),
			    1);
			put(SLIT + 36 + (uint32_t)(host_random(&seed) % 17),
			    host_random(&seed) % 40, 1);
		}
		checksum(SLIT, 53, 9);
		read_all((uint8_t)(round % 4));
		assert_true(numa.nodes <= ACPI_NODES_MAX);
		for (unsigned i = 0; i < numa.range_count; i++) {
			assert_true(numa.ranges[i].node < numa.nodes);
			assert_true(numa.ranges[i].base >= end);
			assert_true(numa.ranges[i].end > numa.ranges[i].base);
			end = numa.ranges[i].end;
		}
		for (unsigned i = 0; i < numa.cpu_count; i++)
			assert_true(numa.cpus[i].node < numa.nodes);
		for (unsigned a = 0; a < numa.nodes; a++)
			for (unsigned b = 0; b < numa.nodes; b++)
				assert_true(numa.distances[a][b] >= 10);
	}
	start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_sockets_are_two_nodes),
		cmocka_unit_test(old_tables_have_short_domains),
		cmocka_unit_test(no_table_says_nothing),
		cmocka_unit_test(entries_cannot_leave_the_table_or_stall_it),
		cmocka_unit_test(overlapping_memory_is_clipped),
		cmocka_unit_test(too_many_nodes_are_joined_to_the_last),
		cmocka_unit_test(too_many_entries_are_counted),
		cmocka_unit_test(distances_are_by_domain),
		cmocka_unit_test(senseless_distances_are_not_used),
		cmocka_unit_test(garbage_stays_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
