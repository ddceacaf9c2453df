/* SPDX-License-Identifier: MIT */
/*
 * A magazine's pop and push on a host: a thread is a CPU, and nothing interrupts it. A kernel
 * may take them as they are, with port_irq_save() before the first line and port_irq_restore()
 * after the last; quire_fast.h of x86-64 does it with neither.
 */
#ifndef QUIRE_HOST_FAST_H
#define QUIRE_HOST_FAST_H

/* Of the page the address lies in; 0 where there is none. (NULL is beyond all.) */
static inline uint64_t descriptor_word(const struct kheap *heap, const void *object)
{
	uint64_t frame = port_virt_to_phys(object).a >> PAGE_SHIFT;

	return likely(frame < heap->pages->pfn_limit) ? heap->pages->descs[frame].word : 0;
}

static inline struct magazine *magazine_here(const struct kheap *heap, uint64_t index)
{
	return __atomic_load_n(&heap->cpu[port_cpu()], __ATOMIC_RELAXED)->magazines[index];
}

/* One operation more, and `top` changed. Others only read: no read-modify-write to be atomic. */
static inline void magazine_commit(struct magazine *m, uint64_t change)
{
	__atomic_store_n(&m->word, __atomic_load_n(&m->word, __ATOMIC_RELAXED) + change,
			 __ATOMIC_RELAXED);
}

/* A free object of that magazine of this CPU's; NULL when it has none. */
static inline void *magazine_pop(struct kheap *heap, uint64_t index)
{
	struct magazine *m = magazine_here(heap, index);
	uint64_t top = m->top;
	void *object;

	if (unlikely(!top))
		return NULL;
	object = (void *)m->slots[top - 2];
	slot_set((uint8_t *)m->slots[top - 1], SLOT_LIVE);
	magazine_commit(m, MAGAZINE_OPERATION - 2);
	if (!object)
		__builtin_unreachable(); /* spares the caller a test */
	return object;
}

/*
 * Into this CPU's magazine of the slab. False, and nothing has changed, when no LIVE object of the
 * slab starts at the address, or the magazine has no room.
 */
static inline bool magazine_push(struct kheap *heap, struct slab *s, void *object)
{
	unsigned __int128 product = (unsigned __int128)((uintptr_t)object - s->base) * s->inverse;
	uint8_t *state = (uint8_t *)s->states + (uint64_t)(product >> 64);
	struct magazine *m;
	uint64_t top;

	if (unlikely((uint64_t)product >= s->inverse || slot_state(state) != SLOT_LIVE))
		return false;
	m = magazine_here(heap, __atomic_load_n(&s->magazine, __ATOMIC_RELAXED));
	top = m->top;
	if (unlikely(top >= m->room))
		return false;
	slot_set(state, SLOT_CACHED);
	m->slots[top] = (uintptr_t)object;
	m->slots[top + 1] = (uintptr_t)state;
	magazine_commit(m, MAGAZINE_OPERATION + 2);
	return true;
}

#endif
