/* SPDX-License-Identifier: MIT */
/*
 * A page's descriptor, a magazine's pop and push on x86-64, for alloc/kmalloc_fast.h alone: with interrupts on.
 * What each must do stands in tests/host/quire_fast.h, in C.
 *
 * Nothing else on this CPU may come between reading the top and writing it. In place of turning
 * interrupts off (12 instructions a pair), the run of instructions is restartable:
 *
 *   start:   this CPU's magazine, its top, the pair            reads
 *            push only: the pair's slot above the top          of no meaning until top says so
 *            the object's state, through RDX                   undone when interrupted behind it
 *   commit:  addq to the magazine's word                       one instruction: the whole effect
 *
 * An interrupt that finds RIP in (start, commit] puts it back to start, and at commit the state
 * to what it was (restart.c). So everything that happens in interrupts, another thread's turn and
 * another CPU included, happens before the run or after it. The run may be left early by a jump as
 * long as nothing was written that matters. Exceptions are not interrupts: none may be raised in
 * here, and their handlers (NMI, #MC) must not allocate.
 */
#ifndef QUIRE_X86_64_FAST_H
#define QUIRE_X86_64_FAST_H

/* Of the page the address lies in; 0 where it lies in no RAM. (As a variable a bound is one operand.) */
static inline __attribute__((always_inline)) uint64_t descriptor_word(const struct kheap *heap,
								      const void *object)
{
	extern const uint64_t port_frames;
	uint64_t frame = port_virt_to_phys(object).a >> PAGE_SHIFT;

	(void)heap;
	return likely(frame < port_frames) ? ((const struct page *)PORT_DESCRIPTORS)[frame].word
					   : 0;
}

/* An entry of the table restart.c reads: the run from label 1 to label 2, and the state to restore. */
#define RESTARTABLE                                                                                \
	"\t.pushsection restartable, \"a\"\n"                                                      \
	"\t.quad 1b, 2b, %c[undo]\n"                                                               \
	"\t.popsection\n"

/* A free object of that magazine of this CPU's; NULL when it has none. */
static inline __attribute__((always_inline)) void *magazine_pop(struct kheap *heap, uint64_t index)
{
	void *object;
	uint64_t m, top;

	(void)heap; /* there is one */
	__asm__ goto volatile(
		"1:\tmovq %%gs:%c[heap], %[m]\n"
		"\tmovq (%[m], %[index], 8), %[m]\n"
		"\tmovzwl (%[m]), %k[top]\n"
		"\ttestl %k[top], %k[top]\n"
		"\tje %l[empty]\n"
		"\tmovq %c[slots] - 16(%[m], %[top], 8), %[object]\n"
		"\tmovq %c[slots] - 8(%[m], %[top], 8), %%rdx\n"
		"\tmovb %[live], (%%rdx)\n"
		"2:\taddq %[change], (%[m])\n" RESTARTABLE
		: [object] "=&r"(object), [m] "=&r"(m), [top] "=&r"(top)
		: [index] "r"(index), [heap] "i"(PORT_GS_HEAP),
		  [slots] "i"(offsetof(struct magazine, slots)), [live] "i"(SLOT_LIVE),
		  [undo] "i"(SLOT_CACHED), [change] "i"(MAGAZINE_OPERATION - 2)
		: "rdx", "memory", "cc"
		: empty);
	if (!object)
		__builtin_unreachable(); /* spares the caller a test */
	return object;
empty:
	return NULL;
}

/*
 * Into this CPU's magazine of the slab. False, and nothing has changed, when no LIVE object of the
 * slab starts at the address, or the magazine has no room.
 *
 * The slab comes with PAGE_SLAB in its low bits, as descriptors have it: that is in the offsets.
 */
static inline __attribute__((always_inline)) bool magazine_push(struct kheap *heap, struct slab *s,
								void *object)
{
	uint64_t m, top, rax;

	(void)heap;
	__asm__ goto volatile(
		"\tmovq %[object], %%rax\n"
		"\tsubq %c[base](%[s]), %%rax\n"
		"\tmulq %c[inverse](%[s])\n" /* RDX: the slot */
		"\tcmpq %c[inverse](%[s]), %%rax\n"
		"\tjae %l[refused]\n"
		"\tleaq %c[states](%[s], %%rdx), %%rdx\n"
		"1:\tcmpb %[live], (%%rdx)\n"
		"\tjne %l[refused]\n"
		"\tmovzwl %c[magazine](%[s]), %k[top]\n"
		"\tmovq %%gs:%c[heap], %[m]\n"
		"\tmovq (%[m], %[top], 8), %[m]\n"
		"\tmovzwl (%[m]), %k[top]\n"
		"\tcmpw %c[room](%[m]), %w[top]\n"
		"\tjae %l[refused]\n"
		"\tmovq %[object], %c[slots](%[m], %[top], 8)\n"
		"\tmovq %%rdx, %c[slots] + 8(%[m], %[top], 8)\n"
		"\tmovb %[cached], (%%rdx)\n"
		"2:\taddq %[change], (%[m])\n" RESTARTABLE
		: [m] "=&r"(m), [top] "=&r"(top), "=&a"(rax)
		: [object] "r"(object), [s] "r"((uintptr_t)s + PAGE_SLAB),
		  [base] "i"(offsetof(struct slab, base) - PAGE_SLAB),
		  [inverse] "i"(offsetof(struct slab, inverse) - PAGE_SLAB),
		  [states] "i"(offsetof(struct slab, states) - PAGE_SLAB),
		  [magazine] "i"(offsetof(struct slab, magazine) - PAGE_SLAB),
		  [heap] "i"(PORT_GS_HEAP), [room] "i"(offsetof(struct magazine, room)),
		  [slots] "i"(offsetof(struct magazine, slots)), [live] "i"(SLOT_LIVE),
		  [cached] "i"(SLOT_CACHED), [undo] "i"(SLOT_LIVE),
		  [change] "i"(MAGAZINE_OPERATION + 2)
		: "rdx", "memory", "cc"
		: refused);
	return true;
refused:
	return false;
}

#endif
