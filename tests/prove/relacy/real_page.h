/* SPDX-License-Identifier: MIT */
/* Between the models of pages and the allocator's files about them (real_page.c). */
#ifndef QUIRE_PROVE_REAL_PAGE_H
#define QUIRE_PROVE_REAL_PAGE_H

#include "prove.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PROVE_FRAME 1u /* the page the models are about */

/* An allocator of few frames, without zones; CPU 1 has a cache with PROVE_FRAME in it. */
void real_page_reset(void);
/* PROVE_FRAME: allocated with one reference; a large object of one page. */
void real_page_allocated(void);
void real_page_object(void);

void real_page_get(void);
void real_page_put(void);
bool real_page_clear_object(void);
bool real_page_push_object(void); /* into the cache of the CPU that calls */
/* One page through the fast paths of the CPU that calls, 0 for none. */
uint64_t real_page_alloc(void);
void real_page_free(uint64_t frame);
/* As page_check() does: close, look at the caches, open. Returns pages in CPU 1's. */
uint64_t real_page_check(void);
void real_page_watch(uint32_t on, uint32_t off);
/* Pages in the cache and behind it. */
uint64_t real_page_cached(void);
uint64_t real_page_given_back(void);

/* The model's part: the last reference is gone. */
void prove_page_freed(void);

#ifdef __cplusplus
}
#endif

#endif
