/* SPDX-License-Identifier: MIT */
/*
 * The port: everything alloc/ and proc/ need from the world around them.
 *
 * To lift alloc/ into another kernel, supply these and nothing else. Quire's
 * kernel implements them in core/ (inline part: core/arch/<cpu>/quire_port.h),
 * the host tests in tests/host/ (inline part: tests/host/quire_port.h).
 *
 * The inline part, found on the including target's include path, defines as
 * static inline:
 *
 *   port_irq_t              the type of the next two's state
 *   port_irq_save()         interrupts off on this CPU; returns the old state
 *   port_irq_restore(s)     back to that state
 *   port_irq_enabled()      are they on?
 *   port_cpu()              this CPU, 0 ... PORT_CPUS_MAX - 1; stable while interrupts are off
 *   port_here()             an address in the function it is inlined into
 *   port_relax()            inside spin loops
 *   port_phys_to_virt(p)    where the kernel sees that RAM; valid for every described page
 *   port_virt_to_phys(v)    the inverse; garbage in, garbage out: callers check the frame
 *   port_cycles()           a cheap monotonic counter (TSC); for statistics only
 *   PORT_CPUS_MAX           a constant
 */
#ifndef QUIRE_PORT_H
#define QUIRE_PORT_H

#include <quire/compiler.h>
#include <quire/types.h>

#include <quire_port.h>

#include <quire/shadow.h> /* what a build that checks every access is told */

struct page;
struct kheap;
struct kheap_cpu;

/* CPUs online: 1 until others are up; their numbers are 0 .. port_cpus() - 1. Only rises. */
unsigned port_cpus(void);

/*
 * Back the page of descriptors of one pageblock (4 KiB: descs[pageblock * 512 ...]) with
 * memory that reads as zero. `frame` is the frame of the descriptor array
 * chosen for it. Called once a pageblock, at its first use, with the page
 * allocator's lock held and interrupts off; must not allocate pages. Before
 * this, reading a descriptor of the pageblock yields zeros (an unused one).
 * A port whose array is plain zeroed memory has nothing to do.
 */
void port_back_descriptors(struct page *descs_of_block, pfn_t frame);

/*
 * Return when every other CPU has been seen outside of any stretch with
 * interrupts off that it was in at the call. An interrupt all of them answer
 * does it. Interrupts on, no lock held; with one CPU there is nothing to do.
 */
void port_cpus_sync(void);

/*
 * heap->cpu[cpu] is `seen` now: what that CPU's magazine_pop() and magazine_push() (quire_fast.h,
 * beside quire_port.h) shall use. They happen between two interrupts, as seen from their CPU: whoever
 * calls port_cpus_sync() after this knows that they use what it says. Nothing to do where they
 * look into heap->cpu[] themselves.
 */
void port_heap_publish(const struct kheap *heap, unsigned cpu, struct kheap_cpu *seen);

/* When wrong use was found. */
enum misuse_when {
	MISUSE_REFUSED,  /* before it happened: nothing has changed */
	MISUSE_HAPPENED, /* in the act: `caller` did it */
	MISUSE_FOUND,    /* later: somebody did it, `caller` came upon it */
};

#define MISUSE_LEAKS 4 /* objects named of those that were left over */

/* Wrong use of an allocator. Everything known about it. */
struct misuse {
	enum misuse_when when;
	const char *what;       /* "double free", "free of an interior pointer", ... */
	const char *allocator;  /* "page" or "kmalloc" */
	uint64_t address;       /* as the caller gave it; for pages the physical address */
	uint64_t object;        /* start of the object or block it lies in, or 0 */
	uint64_t bytes;         /* size of that object or class, or 0 */
	const char *cache;      /* the cache or size class; "order 3", "run"; or NULL */
	const char *freed_to;   /* what the caller took it for, when that is wrong: the same */
	uint64_t found;         /* what stands there ... */
	uint64_t expected;      /* ... instead of this; both 0 when that is not the point */
	pfn_t pfn;              /* of the object, where `object` does not tell; else 0 */
	uintptr_t caller;       /* who did it now, or found it */
	uintptr_t allocated_by; /* who allocated it, 0 when not known */
	uintptr_t freed_by;     /* who freed it first, 0 when not known */
	/* Of a cache that was to be destroyed: how many of its objects are live, and some of them. */
	uint64_t live;
	struct {
		uint64_t object;
		uintptr_t allocated_by;
	} left[MISUSE_LEAKS];
};

/*
 * A range of addresses for guarded objects, `pages` long, outside of what port_phys_to_virt()
 * gives; nothing is mapped there. 0 when out of memory. Once, for good.
 */
must_check uint64_t port_guard_range(uint64_t pages);
/*
 * Let the page at an address of the range show a frame, readable and writable, or nothing. Takes
 * no memory and cannot fail. An address shows the same frame each time, so it is enough
 * when other CPUs follow at some time. Any context; two may change one page at once.
 */
void port_guard_map(uint64_t address, pfn_t frame);
void port_guard_unmap(uint64_t address);
bool port_guard_mapped(uint64_t address);

/*
 * Report misuse. May return (the operation is then refused and the allocator
 * goes on) or not (panic_on_corruption=1). Never called with an allocator
 * lock held. Any context.
 */
cold_fn void port_misuse(const struct misuse *m);

/* A broken invariant of our own. Prints and stops everything. Any context. */
noreturn_fn cold_fn void port_panic(const char *format, ...) printf_like(1, 2);

#endif
