/* SPDX-License-Identifier: MIT */
/* Names for kernel addresses, from the ELF symbol table the loader kept. */
#ifndef QUIRE_SYMBOLS_H
#define QUIRE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both tables stay where they are. Call once, before anything else here. */
void symbols_init(const void *symtab, size_t symtab_bytes, const char *strtab, size_t strtab_bytes);

/* The function or object `address` lies in, and how far in; NULL when unknown. Any context. */
const char *symbol_find(uintptr_t address, size_t *offset);

/* The other way: where the function (or object) of that name is, [*start, *end). False: nowhere. */
bool symbol_range(const char *name, uintptr_t *start, uintptr_t *end);

/* "page_alloc+0x1c" or "0xffff..."; for printing. Returns buffer. */
char *symbol_format(char buffer[static 64], uintptr_t address);

/*
 * The same for a return address: names the function that made the call. A call that never returns
 * may be its last instruction; the address behind it is then the next function's.
 */
char *symbol_format_return(char buffer[static 64], uintptr_t address);

#endif
