/* SPDX-License-Identifier: MIT */
/* The four functions a freestanding compiler calls on its own. */
#ifndef QUIRE_EFI_LIB_H
#define QUIRE_EFI_LIB_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
