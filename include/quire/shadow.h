/* SPDX-License-Identifier: MIT */
/*
 * What the allocators tell of their memory to a build that checks every access (QUIRE_KASAN); to
 * all others nothing, at no cost. Part of quire/port.h.
 *
 *   kmalloc(40)   | 40 bytes | redzone | next object      free object, free page:
 *                   allowed    poisoned                   poisoned whole
 *
 * The room behind an object is poisoned, and there is always some: PORT_REDZONE bytes are
 * added to each request. Its length stands in the shadow alone (port_unpoisoned()).
 */
#ifndef QUIRE_SHADOW_H
#define QUIRE_SHADOW_H

#include <stddef.h>
#include <stdint.h>

enum port_poison {
	POISON_REDZONE = 0xfa, /* behind an object, up to the next */
	POISON_FREED = 0xfb,   /* an object that was freed */
	POISON_SLAB = 0xfc,    /* room for objects that was never one */
	POISON_PAGE = 0xfe,    /* a free page */
};

#ifdef QUIRE_KASAN
#define PORT_REDZONE ((size_t)16)

/* No access to [at, at + bytes), 8-byte aligned, from here on. Any context. */
void port_poison(const void *at, size_t bytes, enum port_poison kind);
/* `bytes` (0 counts as 1) are allowed, the rest of `room`, a multiple of 8, is redzone. */
void port_unpoison(const void *at, size_t bytes, size_t room);
/* How many bytes from `at` on are allowed, at most `room`. */
size_t port_unpoisoned(const void *at, size_t room);

/* For the few functions whose business it is to look at anything. */
#define unchecked_fn __attribute__((no_sanitize("kernel-address")))
#else
#define PORT_REDZONE ((size_t)0)

static inline void port_poison(const void *at, size_t bytes, enum port_poison kind)
{
	(void)at;
	(void)bytes;
	(void)kind;
}

static inline void port_unpoison(const void *at, size_t bytes, size_t room)
{
	(void)at;
	(void)bytes;
	(void)room;
}

static inline size_t port_unpoisoned(const void *at, size_t room)
{
	(void)at;
	return room;
}

#define unchecked_fn
#endif

/* A request with room for a redzone, and of the same alignment. */
static inline size_t port_padded(size_t bytes)
{
	size_t step = bytes & (0 - bytes);

	if (!PORT_REDZONE || bytes > SIZE_MAX / 2)
		return bytes;
	return bytes + (step > PORT_REDZONE ? step : PORT_REDZONE);
}

#endif
