/* SPDX-License-Identifier: MIT */
/*
 * Watching the allocators, at no cost while nobody does.
 *
 * The fast paths take from and put into what `cpu[n]` of the allocator points at, for CPU n.
 * That is the CPU's own cache, or, while anything watches, one that is empty and full at
 * once. So every call comes to the slow functions, and they look at `watch`:
 *
 *               nobody watches              watch != 0, or page_check() and the like at work
 *
 *   cpu[0] ───► cache of CPU 0              cpu[0] ─┐
 *   cpu[1] ───► cache of CPU 1              cpu[1] ─┼─► closed: count = limit = 0
 *   cpu[2] ───► cache of CPU 2              cpu[2] ─┘
 *
 * A second table (kheap.online, page_allocator.caches) keeps the real ones. While anything
 * watches they are empty: all free memory is in slabs and bitmaps, and one call
 * like the one before finds the same state.
 *
 * kheap_watch() (quire/kmalloc.h) and page_watch() (quire/page.h) switch, at boot or at run time.
 */
#ifndef QUIRE_ALLOC_WATCH_H
#define QUIRE_ALLOC_WATCH_H

enum alloc_watch {
	WATCH_TRACK = 1, /* kmalloc: new slabs remember who allocated and freed each object */
	WATCH_TRACE = 2, /* every call goes into a ring of events */
	WATCH_FAIL = 4,  /* some calls fail, although there is memory */
	WATCH_DEBUG = 8, /* kmalloc: redzones and poison; pages: a pattern in every free one */
	WATCH_GUARD =
		16, /* kmalloc: every object is guarded, while there is room (kheap_guard.h) */
	WATCH_SHADOW = 32, /* always, in a build that checks every access (quire/shadow.h) */
};

#endif
