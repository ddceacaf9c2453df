/* SPDX-License-Identifier: MIT */
/* kmalloc over malloc for tests of code above it, with failures on demand. */
#ifndef QUIRE_FAKE_KMALLOC_H
#define QUIRE_FAKE_KMALLOC_H

/* Let this many allocations succeed, then fail all; negative: never fail. */
extern int fake_kmalloc_left;
/* Allocated and not freed. */
extern unsigned fake_kmalloc_live;

#endif
