/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses, by a walk over the whole ELF symbol table: it needs no
 * memory, no sorting and no lock, so it works inside the worst of panics, and
 * nothing that is asked often asks it.
 *
 * Found is the symbol with  start <= address < start + size  that starts last.
 * Assembly labels have size 0; they count up to the next symbol, but for no
 * more than LABEL_BYTES_MAX, and only where no sized symbol holds the address.
 */
#include <quire/format.h>
#include <quire/string.h>
#include <quire/symbols.h>

/* ELF-64 object file format, figure 7. */
struct elf_symbol {
	uint32_t name; /* offset in the string table */
	uint8_t info;  /* low 4 bits: type */
	uint8_t other;
	uint16_t section;
	uint64_t value;
	uint64_t size;
};

enum elf_symbol_type {
	ELF_NOTYPE = 0,
	ELF_OBJECT = 1,
	ELF_FUNC = 2,
};

#define ELF_SECTION_UNDEFINED 0
#define ELF_SECTION_RESERVED  0xff00 /* absolute values and such: not addresses */
#define LABEL_BYTES_MAX       4096

static const struct elf_symbol *symbols;
static size_t symbol_count;
static const char *names;
static size_t names_bytes;

void symbols_init(const void *symtab, size_t symtab_bytes, const char *strtab, size_t strtab_bytes)
{
	symbols = symtab;
	symbol_count = symtab ? symtab_bytes / sizeof(struct elf_symbol) : 0;
	names = strtab;
	/* Only what ends in a NUL is text. */
	while (strtab_bytes > 0 && strtab[strtab_bytes - 1])
		strtab_bytes--;
	names_bytes = strtab_bytes;
}

static bool is_place(const struct elf_symbol *s)
{
	return (s->info & 15) <= ELF_FUNC && s->section != ELF_SECTION_UNDEFINED &&
	       s->section < ELF_SECTION_RESERVED && s->name < names_bytes && names[s->name];
}

const char *symbol_find(uintptr_t address, size_t *offset)
{
	const struct elf_symbol *best = NULL; /* holds the address, starts last */
	const struct elf_symbol *last = NULL; /* starts last, wherever it ends */

	for (size_t i = 0; i < symbol_count; i++) {
		const struct elf_symbol *s = &symbols[i];

		if (s->value > address || !is_place(s))
			continue;
		if (!last || s->value > last->value)
			last = s;
		if (address - s->value < s->size && (!best || s->value > best->value))
			best = s;
	}
	if (!best && last && last->size == 0 && address - last->value < LABEL_BYTES_MAX)
		best = last;
	if (!best)
		return NULL;
	if (offset)
		*offset = address - best->value;
	return names + best->name;
}

bool symbol_range(const char *name, uintptr_t *start, uintptr_t *end)
{
	for (size_t i = 0; i < symbol_count; i++) {
		const struct elf_symbol *s = &symbols[i];

		if (!is_place(s) || !s->size || strcmp(names + s->name, name))
			continue;
		*start = s->value;
		*end = s->value + s->size;
		return true;
	}
	return false;
}

/* `name` may be NULL. A long name gives way, not the offset. */
static char *format_place(char buffer[static 64], const char *name, size_t offset,
			  uintptr_t address)
{
	if (name)
		format_buffer(buffer, 64, "%.44s+0x%zx", name, offset);
	else
		format_buffer(buffer, 64, "0x%llx", (unsigned long long)address);
	return buffer;
}

char *symbol_format(char buffer[static 64], uintptr_t address)
{
	size_t offset = 0;
	const char *name = symbol_find(address, &offset);

	return format_place(buffer, name, offset, address);
}

char *symbol_format_return(char buffer[static 64], uintptr_t address)
{
	size_t offset = 0;
	const char *name = symbol_find(address - 1, &offset);

	return format_place(buffer, name, offset + 1, address);
}
