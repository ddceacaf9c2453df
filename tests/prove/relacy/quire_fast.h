/* SPDX-License-Identifier: MIT */
/*
 * kmalloc's pop and push for code under Relacy: the machine instructions of
 * core/arch/x86_64/quire_fast.h (real_fast.c), taken one by one (x86.hpp).
 */
#ifndef QUIRE_PROVE_FAST_H
#define QUIRE_PROVE_FAST_H

static inline uint64_t descriptor_word(const struct kheap *heap, const void *object)
{
	uint64_t frame = port_virt_to_phys(object).a >> PAGE_SHIFT;

	return frame < heap->pages->pfn_limit ? heap->pages->descs[frame].word : 0;
}

void *prove_pop(uint64_t index);
bool prove_push(struct slab *s, void *object);

static inline void *magazine_pop(struct kheap *heap, uint64_t index)
{
	(void)heap;
	return prove_pop(index);
}

static inline bool magazine_push(struct kheap *heap, struct slab *s, void *object)
{
	(void)heap;
	return prove_push(s, object);
}

#endif
