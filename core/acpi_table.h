/* SPDX-License-Identifier: MIT */
/* Between the files that read ACPI tables, core/acpi*.c: one checked table, and a field of it. */
#ifndef QUIRE_ACPI_TABLE_H
#define QUIRE_ACPI_TABLE_H

#include "acpi.h"

#define ACPI_HEADER_BYTES 36u

/* A table that passed its checks, or an entry of one. */
struct table {
	const uint8_t *data;
	uint32_t bytes;
};

/* Tables are little-endian and fields need not be aligned. Past the end reads as 0. */
static inline uint64_t field(struct table t, uint32_t offset, unsigned bytes)
{
	uint64_t v = 0;

	if (offset > t.bytes || t.bytes - offset < bytes)
		return 0;
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)t.data[offset + i] << (8 * i);
	return v;
}

/* The first table of that signature that is sound. */
bool acpi_find_table(paddr_t rsdp, acpi_map map, const char *signature, struct table *out);

#endif
