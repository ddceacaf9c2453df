/* SPDX-License-Identifier: MIT */
/* What lies at an address, said for a person. Pure reading, no lock: it serves crash reports. */
#include "paging.h"
#include "trap.h"
#include <quire/format.h>
#include <quire/symbols.h>
#include <quire/thread.h>

typedef unsigned long long ull;

const char *current_thread_name(void)
{
	const struct thread *t = thread_current();

	return t ? t->name : "boot";
}

bool address_in_current_guard(vaddr_t address)
{
	const struct thread *t = thread_current();
	uint64_t low = (uintptr_t)boot_stack_guard, high = (uintptr_t)boot_stack;
	uint64_t slot;

	if (t && t->stack) {
		high = (uintptr_t)t->stack;
		if (!stack_window_slot(high, &slot))
			return false;
		/* All of the slot below the stack is unmapped. */
		return address.a < high && stack_window_slot(address.a, &low) && low == slot;
	}
	return address.a >= low && address.a < high;
}

static const char *describe_image(char *buffer, size_t size, uint64_t a)
{
	const char *part = "kernel image, between its parts";
	char where[64];

	if (a >= (uintptr_t)boot_stack_guard && a < (uintptr_t)boot_stack)
		return "guard page below the boot stack";
	if (a < (uintptr_t)kernel_text_end)
		part = "kernel text";
	else if (a >= (uintptr_t)kernel_rodata_start && a < (uintptr_t)kernel_rodata_end)
		part = "kernel read-only data";
	else if (a >= (uintptr_t)kernel_data_start)
		part = "kernel data";
	format_buffer(buffer, size, "%s, %s", part, symbol_format(where, a));
	return buffer;
}

static const char *describe_stack(char *buffer, size_t size, vaddr_t address, uint64_t slot)
{
	struct arch_mapping m;

	if (address_in_current_guard(address)) {
		format_buffer(buffer, size, "guard page below the stack of thread %s",
			      current_thread_name());
		return buffer;
	}
	arch_lookup(address, &m);
	format_buffer(buffer, size, "kernel stack window, slot %llu, %s", (ull)slot,
		      m.present ? "in a live stack" : "guard page or no stack");
	return buffer;
}

const char *address_describe(char *buffer, size_t size, vaddr_t address)
{
	struct arch_mapping m;
	uint64_t a = address.a, slot;

	arch_lookup(address, &m);
	if (a < PAGE_BYTES)
		return "null page: a NULL pointer, or a field of one";
	if (a < DIRECT_MAP_BASE)
		return a >> 47     ? "not a canonical address"
		       : m.present ? "user half, a user's page"
				   : "user half, nothing is mapped there";
	if (a - DIRECT_MAP_BASE < DIRECT_MAP_BYTES) {
		format_buffer(buffer, size, "direct map of physical 0x%llx%s",
			      (ull)(a - DIRECT_MAP_BASE), m.present ? "" : ", where no RAM is");
		return buffer;
	}
	if (a >= DESC_WINDOW_BASE && a - DESC_WINDOW_BASE < PFN_LIMIT * 8) {
		format_buffer(buffer, size, "page descriptor of frame 0x%llx%s",
			      (ull)((a - DESC_WINDOW_BASE) / 8),
			      m.writable ? "" : ", which is not in use");
		return buffer;
	}
	if (stack_window_slot(a, &slot))
		return describe_stack(buffer, size, address, slot);
	if (a >= DEVICE_WINDOW_BASE && a - DEVICE_WINDOW_BASE < level_bytes(3))
		return m.present ? "device registers or framebuffer" : "device window, unused";
	if (a >= GUARD_WINDOW_BASE && a - GUARD_WINDOW_BASE < level_bytes(3))
		return m.present ? "page of a guarded object" : "among guarded objects, unused";
	if (a >= (uintptr_t)kernel_image_start && a < (uintptr_t)kernel_image_end)
		return describe_image(buffer, size, a);
	return "kernel half, unused";
}
