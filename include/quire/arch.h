/* SPDX-License-Identifier: MIT */
/*
 * What core/ asks of the CPU and the platform. One implementation a CPU, in
 * core/arch/<cpu>/; nothing outside that folder knows more about it than this.
 */
#ifndef QUIRE_ARCH_H
#define QUIRE_ARCH_H

#include <quire/boot_info.h>
#include <quire/compiler.h>
#include <quire/region.h>
#include <quire/types.h>
#include <stdbool.h>

/* ---- the address space (design section 3) ---- */
#define DIRECT_MAP_BASE 0xffff800000000000ull
#ifdef QUIRE_KASAN
#define DIRECT_MAP_BYTES 0x0000400000000000ull /* 64 TiB: the rest of the shadow has no room */
#else
#define DIRECT_MAP_BYTES 0x0000600000000000ull /* 96 TiB */
#endif
#define DESC_WINDOW_BASE  0xffffe00000000000ull /* page descriptors, 8 bytes a pfn */
#define STACK_WINDOW_BASE 0xfffff00000000000ull /* stacks, devices; guard pages between */
#define KERNEL_BASE       0xffffffff80000000ull

/* ---- boot, in this order; one CPU, interrupts off ---- */
/* CPU features, GDT, IDT, TSS, IST stacks; a serial port as the first console. Keeps `bi`. */
void arch_early_init(const struct boot_info *bi);
/* Own tables from boot_alloc(), W^X; switches to them. `ram` is to be mapped, whatever its kind;
 * what of `regions` the page allocator may get needs page tables for its descriptors. */
void arch_paging_init(const struct boot_info *bi, const struct region *ram, size_t ram_count,
		      const struct region *regions, size_t region_count);
#ifdef QUIRE_KASAN
/* Pages that the shadow of so much RAM takes; and the shadow itself, from the pages given, once
 * arch_paging_init() is through. From then on every access is checked. */
uint64_t arch_shadow_pages(const struct region *ram, size_t count);
void arch_shadow_init(const struct region *ram, size_t count, pfn_t first, uint64_t pages);
#endif
/* Maps it write-combining and adds the console sink. Needs kmalloc. */
void arch_framebuffer_init(const struct boot_framebuffer *fb);
/* The TSC's rate. Panics where nothing tells it. */
void arch_time_init(void);
#define TICK_HZ 250u /* of the timer, on every CPU that is not long idle */
/* PICs masked, APIC, I/O APICs, timer tick (calls sched_tick()). After sched_init(). */
void arch_interrupts_init(void);
/* Serial interrupts, PS/2 keyboard. */
void arch_devices_init(void);

/* From a panic: where the framebuffer is not a console yet it becomes one, at the cost of the
 * page descriptor array. A PC without a serial port would end with a black screen. */
void arch_framebuffer_panic(void);
/*
 * ---- other CPUs ---- (core/smp.c calls these, in this order; boot CPU only)
 */
/* Before the first kick: once, also with one CPU. */
void arch_smp_init(void);
/* The CPUs the platform lists, this one among them, as it numbers them (APIC ids). */
unsigned arch_smp_count(void);
uint32_t arch_smp_id(unsigned i);
/* Memory that starting CPUs takes, and its return. -ENOMEM. */
must_check int arch_smp_begin(void);
void arch_smp_end(void);
/*
 * Start the CPU `id` as number port_cpus(), on the stack given; it waits until arch_smp_release(),
 * which counts it, and then calls sched_cpu_run(). -ETIMEDOUT when it does not answer, -EIO when
 * it cannot be used, -ERANGE when it cannot be reached, -ENOMEM; nothing is left behind then.
 */
must_check int arch_smp_start(uint32_t id, void *stack_top, bool pretend_silent);
void arch_smp_release(void);
/* Stop all CPUs but this one, for good, whatever they are doing. Any context. */
void arch_stop_others(void);

struct arch_cpu_state {
	uint32_t apic_id;
	uint64_t ticks, tlb_flushes, unknown_interrupts, spurious;
};
/* Of CPU number `cpu`; false when there is none. */
bool arch_cpu_state(unsigned cpu, struct arch_cpu_state *out);

/* core/smp.c: start every CPU there is. After sched_init() and arch_interrupts_init(). */
void smp_init(void);

/* ---- memory ---- */
enum arch_map_flags {
	ARCH_MAP_WRITE = 1,
	ARCH_MAP_EXECUTE = 2,
	ARCH_MAP_UNCACHED = 4,
	ARCH_MAP_WRITE_COMBINING = 8,
};
/* Map a device (or firmware table) range into the kernel; never freed. NULL when out of memory.
 * After arch_paging_init(). */
void *arch_map_physical(paddr_t base, uint64_t bytes, unsigned flags);

/* What the kernel sees at a virtual address; for `peek` and reports. */
struct arch_mapping {
	bool present, writable, executable, user;
	paddr_t physical;
	uint64_t page_bytes; /* 4 KiB, 2 MiB, 1 GiB */
};
void arch_lookup(vaddr_t address, struct arch_mapping *out);

/* What lies at an address, for people: "null page", "kernel text", ... The buffer, or static text. */
const char *address_describe(char *buffer, size_t size, vaddr_t address);

/* Is the frame a page table of the kernel? Walks all of them: for people. */
bool arch_is_page_table(paddr_t frame);

/* ---- CPU ---- */
struct arch_cpu_info {
	char vendor[16], model[52];
	uint32_t family, model_number, stepping;
	unsigned physical_bits, virtual_bits;
	bool nx, wp, smep, smap, umip, pages_1g, x2apic, invariant_tsc, la57, hypervisor;
	char hypervisor_name[16];
	uint32_t apic_id;
	const char *timer; /* "xAPIC periodic, 250 Hz", ... */
	uint64_t ticks;
	/* Of all CPUs. */
	uint64_t spurious_interrupts; /* withdrawn before they arrived; a few are normal */
	uint64_t unknown_interrupts;  /* for which there is no handler */
};
void arch_cpu_info(struct arch_cpu_info *out);

/* This CPU's number in the firmware's tables (x86: its APIC id). */
uint32_t arch_cpu_id(void);

/* So many bytes of physical address space can this CPU reach; page tables must not name more. */
uint64_t arch_physical_bytes(void);

/* Symbolised backtrace of the caller (frame == 0) or of a saved frame pointer, through
 * console_printf. */
void arch_backtrace(uintptr_t frame);
/* Registers of the panic site etc. are printed by the trap code; this stops the CPU for good. */
noreturn_fn void arch_halt(void);

/* Tell a test harness how the guest ended, where there is one (isa-debug-exit). Returns when there
 * is none. */
void arch_debug_exit(uint8_t code);

noreturn_fn void arch_reboot(void);   /* ResetSystem, then the platform's own ways */
noreturn_fn void arch_poweroff(void); /* ResetSystem; says so when the machine stays on */

/* A loop of exactly ARCH_COUNT_DOWN_INSTRUCTIONS a turn (at least one), to calibrate counters with. */
#define ARCH_COUNT_DOWN_INSTRUCTIONS 2
void arch_count_down(uint64_t turns);

/*
 * Provoke an exception, for `test fault NAME` and the guest tests. -EINVAL for an unknown name.
 * Does not return when it worked.
 */
int arch_provoke(const char *name);
const char *const *arch_provoke_names(void); /* NULL-terminated */

#endif
