/* SPDX-License-Identifier: MIT */
/*
 * ResetSystem, as the firmware expects to be called: in physical mode, because
 * SetVirtualAddressMap() was never called, so the runtime regions must be
 * visible at their own addresses.
 *
 *   PML4 of the call:   0 - 255     identity map of what the firmware keeps, writable, executable
 *                       256 - 511   the kernel's, the same tables
 *
 * That map is the one place where W^X does not hold, it lives for this call
 * only, and nothing comes back from it: an exception in the firmware, or its return,
 * goes on with the platform's other ways. One caller, interrupts off, no lock.
 */
#define LOG_TAG "firmware"
#include "firmware.h"
#include "paging.h"
#include "platform.h"
#include <quire/console.h>
#include <quire/log.h>
#include <quire/memmap.h>
#include <quire/memory.h>

#define STACK_ORDER 5u /* 128 KiB: what UEFI promises its callees at boot */

typedef void(__attribute__((ms_abi)) * efi_reset_system)(uint32_t type, uint64_t status,
							 uint64_t data_bytes, void *data);

bool firmware_call_active;

static enum firmware_reset wanted;
static void (*after)(void);

static uint64_t *call_table(void)
{
	pfn_t frame = page_alloc(&kernel_pages, 0, PAGE_ZEROED);

	return pfn_is_none(frame) ? NULL : port_phys_to_virt(pfn_to_paddr(frame));
}

/* Some firmware forgets the attribute on its runtime memory; some reads its ACPI memory. */
static bool needed(const struct boot_mem_desc *d)
{
	enum region_kind kind = memmap_kind(d->type);

	return (d->attributes & MEMMAP_ATTR_RUNTIME) || kind == REGION_RUNTIME ||
	       kind == REGION_NVS || kind == REGION_ACPI;
}

static uint64_t end_of(const struct boot_mem_desc *d)
{
	return d->phys + d->pages * PAGE_BYTES;
}

/* Firmware maps have overlaps; the first entry wins here. */
static bool overlaps_earlier(size_t i, const struct boot_mem_desc *d)
{
	struct boot_mem_desc e;

	for (size_t j = 0; j < i && memory_firmware_entry(j, &e); j++)
		if (needed(&e) && e.phys < end_of(d) && d->phys < end_of(&e))
			return true;
	return false;
}

static bool map_entry(uint64_t *root, const struct boot_mem_desc *d)
{
	struct span s = {.virt = d->phys, .phys = d->phys, .bytes = d->pages * PAGE_BYTES};
	uint64_t flags = PTE_WRITE;

	if ((d->phys & PAGE_MASK) || end_of(d) < d->phys || end_of(d) > (uint64_t)1 << 47)
		return true; /* nonsense; leave it out */
	if (memmap_kind(d->type) == REGION_MMIO)
		flags |= PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;
	return map_span(root, s, cpu_features.pages_1g ? 2 : 1, flags, call_table);
}

static uint64_t *call_root(void)
{
	const uint64_t *kernel = port_phys_to_virt(kernel_root);
	uint64_t *root = call_table();
	struct boot_mem_desc d;

	if (!root)
		return NULL;
	for (unsigned i = TABLE_ENTRIES / 2; i < TABLE_ENTRIES; i++)
		root[i] = kernel[i];
	for (size_t i = 0; memory_firmware_entry(i, &d); i++)
		if (needed(&d) && !overlaps_earlier(i, &d) && !map_entry(root, &d))
			return NULL;
	return root;
}

/* Firmware is compiled with SSE. */
static void enable_floating_point(void)
{
	uint32_t mxcsr = 0x1f80;

	write_cr0(read_cr0() & ~(CR0_TS | CR0_EM));
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

static void call(void *root)
{
	efi_reset_system reset = (efi_reset_system)(uintptr_t)boot_facts.reset_system;

	enable_floating_point();
	write_cr3(port_virt_to_phys(root).a);
	firmware_call_active = true;
	reset(wanted, 0, 0, NULL);
	cpu_cli(); /* it may have let interrupts in */
	firmware_call_active = false;
	log_warn("the firmware's ResetSystem came back");
	after();
	__builtin_unreachable();
}

void firmware_call_faulted(uint64_t vector, uint64_t rip)
{
	firmware_call_active = false;
	log_warn("the firmware's ResetSystem failed: %s at 0x%llx", trap_name(vector),
		 (unsigned long long)rip);
	after();
	__builtin_unreachable();
}

void firmware_reset(enum firmware_reset type, void (*otherwise)(void))
{
	uint64_t *root = NULL;
	pfn_t stack = PFN_NONE;

	cpu_cli();
	wanted = type;
	after = otherwise;
	if (boot_facts.reset_system && paging_is_ours) {
		root = call_root();
		stack = page_alloc(&kernel_pages, STACK_ORDER, PAGE_ANY);
	}
	arch_stop_others();
	console_force(); /* one of them may have held its lock */
	if (root && !pfn_is_none(stack))
		call_on_stack(call, root,
			      (char *)port_phys_to_virt(pfn_to_paddr(stack)) +
				      (PAGE_BYTES << STACK_ORDER));
	log_warn("no way to call the firmware's ResetSystem");
	otherwise();
	__builtin_unreachable();
}
