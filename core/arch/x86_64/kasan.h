/* SPDX-License-Identifier: MIT */
/* The shadow of a build that checks every access (QUIRE_KASAN): see kasan.c. */
#ifndef QUIRE_X86_KASAN_H
#define QUIRE_X86_KASAN_H

#include <quire/compiler.h>
#include <quire/port.h>

/* One byte of shadow for eight of memory: -asan-mapping-offset. */
#define SHADOW_OFFSET 0xdffff80000000000ull
#define SHADOW_SHIFT  3
#define SHADOW_GRAIN  8u

static inline uint8_t *shadow_of(uint64_t address)
{
	return (uint8_t *)(uintptr_t)((address >> SHADOW_SHIFT) + SHADOW_OFFSET);
}

#ifdef QUIRE_KASAN
/* Off: for a report, which looks at what is forbidden. */
void kasan_stop(void);
/* Panics when [at, at + bytes) may not be accessed. `caller`: who does. */
void kasan_check(uint64_t at, size_t bytes, bool write, uintptr_t caller);
/* The shared shadow, before there is a real one: into the tables the kernel is about to use. */
void kasan_map_early(uint64_t *root);
noreturn_fn cold_fn void kasan_report(uint64_t at, size_t bytes, bool write, uintptr_t caller);
#else
static inline void kasan_check(uint64_t at, size_t bytes, bool write, uintptr_t caller)
{
	(void)at;
	(void)bytes;
	(void)write;
	(void)caller;
}

static inline void kasan_map_early(uint64_t *root)
{
	(void)root;
}
#endif

#endif
