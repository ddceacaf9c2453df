/* SPDX-License-Identifier: MIT */
/*
 * BOOTX64.EFI: from the firmware to the kernel's first instruction.
 *
 * Until the last stage everything can be undone: a stage that fails says so in
 * one sentence, all memory goes back, and the firmware gets the status and
 * tries its next boot entry. The last stage does not return.
 */
#include "arch.h"
#include "loader.h"
#include "text.h"
#include <quire/assert.h>

#define READING_US 4000000u /* time to read a sentence */

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system);

static EFI_STATUS (*const stages[])(struct loader *) = {
	options_read,      /* quire.cfg, load options */
	machine_check,     /* can this machine run Quire? */
	place_descriptors, /* the page descriptor array and the boot pool */
	kernel_load,       /* segments and symbols out of this file */
	tables_make,       /* page tables for the kernel's first instructions */
	facts_collect,     /* framebuffer, ACPI, clock */
	info_make,         /* struct boot_info and room for the final map */
	leave,             /* ExitBootServices and the jump */
};

/* Static: a boot stack may be as small as 128 KiB, and Exit() needs the handle from anywhere. */
static struct loader loader;

bool loader_pretend(const struct loader *l, const char *name)
{
	return text_equals(name, l->config.fail);
}

EFI_STATUS machine_check(struct loader *l)
{
	const char *refusal;

	if (loader_pretend(l, "stack"))
		guard_provoke();
	refusal = loader_pretend(l, "machine") ? "quire.cfg says so" : arch_refusal();

	return refusal ? loader_fail(EFI_UNSUPPORTED, "%s", refusal) : EFI_SUCCESS;
}

void loader_give_up(const char *why)
{
	if (loader.boot) {
		loader_fail(EFI_ABORTED, "%s", why);
		say("gave back %llu pages; returning to the firmware",
		    memory_give_back_all(&loader));
		loader.boot->Exit(loader.handle, EFI_ABORTED, 0, NULL);
	}
	for (;;) /* Exit() does not return */
		;
}

/* In the region code, while the firmware still runs. */
void port_assert_failed(const char *expression, const char *file, int line)
{
	say("%s:%u", file, (unsigned)line);
	loader_give_up(expression);
}

/* Not checked: its canary changes on the way. */
__attribute__((no_stack_protector)) EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle,
							       EFI_SYSTEM_TABLE *system)
{
	struct loader *l = &loader;
	EFI_STATUS status = EFI_SUCCESS;

	l->info.tsc_entry = arch_counter();
	l->handle = handle;
	l->system = system;
	l->boot = system->BootServices;
	/* The firmware resets the machine five minutes after it started us, or sooner. */
	l->boot->SetWatchdogTimer(0, 0, 0, NULL);
	console_init(system);
	guard_init(l);
	say("version " QUIRE_VERSION);
	for (size_t i = 0; i < array_len(stages) && !EFI_ERROR(status); i++)
		status = stages[i](l);
	say("gave back %llu pages; returning to the firmware", memory_give_back_all(l));
	/* Many firmwares draw their menu over it at once. A failure asked for needs no reader. */
	if (!l->config.fail[0] && !l->config.map[0])
		l->boot->Stall(READING_US);
	return status;
}
