/* SPDX-License-Identifier: MIT */
/*
 * The loader against firmware as it is found in the wild: other strides, maps
 * that change, refused places, answers below 1 MiB.
 */
#include "../host/firmware.h"
#include <quire/memmap.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct loader loader;

/*  0      640K  1M        16M  17M       128M
 *  | free |     | free    |boot| free    |        array: 64 pageblocks, 64 pages  */
static const struct boot_mem_desc small[] = {
	{.type = MEMMAP_CONVENTIONAL, .phys = 0x1100000, .pages = 0x6f00},
	{.type = MEMMAP_CONVENTIONAL, .phys = 0, .pages = 0xa0},
	{.type = MEMMAP_BOOT_DATA, .phys = 0x1000000, .pages = 0x100},
	{.type = MEMMAP_CONVENTIONAL, .phys = 0x100000, .pages = 0xf00},
};

static int start(void **state)
{
	(void)state;
	firmware_start(&loader, small, array_len(small));
	return 0;
}

static void assert_said(const char *text)
{
	if (!strstr(firmware.said, text))
		fail_msg("not said: \"%s\" but:\n%s", text, firmware.said);
}

static unsigned lines_said(void)
{
	unsigned lines = 0;

	for (const char *c = firmware.said; *c; c++)
		lines += *c == '\n';
	return lines;
}

static void assert_nothing_held(void)
{
	memory_give_back_all(&loader);
	assert_int_equal(firmware.held_count, 0);
	assert_false(firmware.broke_rules);
}

/* ---- memory ---- */

static void holds_low_answers_until_a_high_one(void **state)
{
	(void)state;
	firmware.low_answers = 3;
	assert_int_equal(memory_take(&loader, MEMORY_POOL, 2, false), EFI_SUCCESS);
	assert_true(loader.memory[MEMORY_POOL].base >= 0x100000);
	assert_int_equal(firmware.held_count, 1);
	assert_nothing_held();
}

static void gives_up_on_firmware_with_low_memory_only(void **state)
{
	(void)state;
	firmware.low_answers = 100;
	assert_int_equal(memory_take(&loader, MEMORY_POOL, 2, false), EFI_OUT_OF_RESOURCES);
	assert_said("Quire cannot start: no memory for the boot pool, 2 pages "
		    "(EFI_OUT_OF_RESOURCES)");
	assert_int_equal(firmware.held_count, 0);
}

static void aligns_and_gives_the_rest_back(void **state)
{
	(void)state;
	assert_int_equal(memory_take(&loader, MEMORY_KERNEL, 9, true), EFI_SUCCESS);
	assert_int_equal(loader.memory[MEMORY_KERNEL].base % (2u << 20), 0);
	assert_int_equal(firmware.held_count, 1);
	assert_int_equal(firmware.held[0].base, loader.memory[MEMORY_KERNEL].base);
	assert_int_equal(firmware.held[0].pages, 9);
	assert_nothing_held();
}

static void does_without_alignment(void **state)
{
	(void)state;
	firmware.largest = 9;
	assert_int_equal(memory_take(&loader, MEMORY_KERNEL, 9, true), EFI_SUCCESS);
	assert_int_equal(firmware.held_count, 1);
	assert_int_equal(firmware.held[0].pages, 9);
	assert_nothing_held();
}

static void gives_back_in_any_state(void **state)
{
	(void)state;
	assert_int_equal(memory_take(&loader, MEMORY_POOL, 5, false), EFI_SUCCESS);
	assert_int_equal(memory_take(&loader, MEMORY_INFO, 2, false), EFI_SUCCESS);
	assert_int_equal(memory_give_back_all(&loader), 7);
	assert_int_equal(memory_give_back_all(&loader), 0);
	assert_nothing_held();
}

/* ---- the place of the array ---- */

/* The stride is the firmware's: 40, 48 and others give the same plan. */
static void strides_do_not_matter(void **state)
{
	static const UINTN strides[] = {40, 48, 56, 128};

	for (size_t i = 0; i < array_len(strides); i++) {
		start(state);
		firmware.stride = strides[i];
		firmware.tells_no_stride = i % 2;
		assert_int_equal(place_descriptors(&loader), EFI_SUCCESS);
		assert_int_equal(loader.memory[MEMORY_DESCRIPTORS].base, 0x100000);
		assert_int_equal(loader.memory[MEMORY_DESCRIPTORS].pages, 64);
		assert_true(loader.memory[MEMORY_POOL].pages > 0);
		assert_int_equal(loader.memory[MEMORY_SCRATCH].pages, 0);
		assert_said("Quire loader: descriptor array: 64 pages at 0x100000\r\n");
		assert_nothing_held();
	}
}

static void refuses_half_descriptors(void **state)
{
	(void)state;
	firmware.stride = 32;
	assert_int_equal(place_descriptors(&loader), EFI_INCOMPATIBLE_VERSION);
	assert_said(
		"the firmware's memory map has entries of 32 bytes, too short to be descriptors");
	assert_nothing_held();
}

static void goes_on_to_the_next_place(void **state)
{
	(void)state;
	firmware.refuse_places = 1;
	assert_int_equal(place_descriptors(&loader), EFI_SUCCESS);
	assert_true(loader.memory[MEMORY_DESCRIPTORS].base > 0x100000);
	assert_int_equal(loader.memory[MEMORY_DESCRIPTORS].pages, 64);
	assert_int_equal(loader.info.refused_places, 1);
	assert_said("the firmware refused 0x100000 for the descriptor array (EFI_NOT_FOUND); "
		    "trying the next place");
	assert_nothing_held();
}

static void tells_when_every_place_is_refused(void **state)
{
	(void)state;
	firmware.refuse_places = 1000;
	assert_int_equal(place_descriptors(&loader), EFI_NOT_FOUND);
	assert_said("places for the descriptor array, 64 pages (EFI_NOT_FOUND)");
	assert_int_equal(loader.info.refused_places, 1000 - firmware.refuse_places);
	assert_true(loader.info.refused_places > 8); /* not each is told */
	assert_int_equal(lines_said(), 8 + 1);
	assert_nothing_held();
}

static void tells_when_no_region_holds_it(void **state)
{
	/* 8 GiB of boot services, and 4 MiB free: the array wants 16 MiB. */
	static const struct boot_mem_desc full[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x100000, .pages = 1024},
		{.type = MEMMAP_BOOT_DATA, .phys = 0x100000000, .pages = 8ull << 18},
	};

	(void)state;
	firmware_start(&loader, full, array_len(full));
	assert_int_equal(place_descriptors(&loader), EFI_OUT_OF_RESOURCES);
	assert_said("no usable region holds the descriptor array, 40");
	assert_nothing_held();
}

static void tells_when_there_is_no_map(void **state)
{
	(void)state;
	firmware.map_status = EFI_DEVICE_ERROR;
	assert_int_equal(place_descriptors(&loader), EFI_DEVICE_ERROR);
	assert_said("the firmware does not tell the size of its memory map (EFI_DEVICE_ERROR)");
	assert_nothing_held();
}

/* ---- the hand-over ---- */

static const struct boot_info *handed_over(void)
{
	return (const struct boot_info *)(uintptr_t)firmware_jump.info;
}

/* Everything up to the jump; false when leave() came back. */
static bool hand_over(EFI_STATUS *status)
{
	strcpy(loader.config.cmdline, "log=debug");
	strcpy(loader.config.autorun, "mem; ps");
	loader.root = 0x5000;
	loader.kernel.entry = 0xffffffff80000010;
	assert_int_equal(place_descriptors(&loader), EFI_SUCCESS);
	assert_int_equal(memory_take(&loader, MEMORY_KERNEL, 3, false), EFI_SUCCESS);
	assert_int_equal(facts_collect(&loader), EFI_SUCCESS);
	assert_int_equal(info_make(&loader), EFI_SUCCESS);
	if (setjmp(firmware_jump.back))
		return true;
	*status = leave(&loader);
	return false;
}

static EFI_STATUS place_with(const char *way)
{
	firmware_start(&loader, small, array_len(small));
	strcpy(loader.config.map, way);
	return place_descriptors(&loader);
}

/* map=: as the guest tests boot with them. */
static void plans_for_spoiled_maps(void **state)
{
	static const char *const ways[] = {"shuffled", "overlapped", "strange",    "many",
					   "wide",     "all",        "no such one"};

	(void)state;
	for (size_t i = 0; i < array_len(ways); i++) {
		assert_int_equal(place_with(ways[i]), EFI_SUCCESS);
		assert_nothing_held();
	}
	assert_int_equal(place_with("all"), EFI_SUCCESS);
	assert_said("as map=all makes it: 4115 entries of 96 bytes");
	assert_nothing_held();
	assert_int_equal(place_with("wider"), EFI_SUCCESS);
	assert_said("quire.cfg: no map called 'wider': the firmware's is used");
	assert_nothing_held();
}

static void gives_up_on_maps_spoiled_too_much(void **state)
{
	static const struct boot_mem_desc busy[] = {
		{.type = MEMMAP_CONVENTIONAL, .phys = 0x100000, .pages = 0xf00},
		{.type = MEMMAP_BOOT_DATA, .phys = 0x1000000, .pages = 0x7000},
	};

	(void)state;
	assert_int_equal(place_with("none"), EFI_OUT_OF_RESOURCES);
	assert_said("the firmware's memory map has no usable page");
	assert_nothing_held();

	/* So that a page is too little: much to describe. */
	firmware_start(&loader, busy, array_len(busy));
	strcpy(loader.config.map, "crumbs");
	assert_int_equal(place_descriptors(&loader), EFI_OUT_OF_RESOURCES);
	assert_said("no usable region holds the descriptor array");
	assert_nothing_held();
}

static void hands_everything_over(void **state)
{
	EFI_STATUS status;
	const struct boot_info *bi;

	(void)state;
	firmware.system.FirmwareVendor = (CHAR16 *)u"W\u00fcrfel";
	firmware.system.FirmwareRevision = 0x20046;
	assert_true(hand_over(&status));
	assert_true(firmware.gone);
	assert_false(firmware.broke_rules);
	assert_true(firmware_jump.taken_over);
	assert_int_equal(firmware_jump.root, 0x5000);
	assert_int_equal(firmware_jump.entry, 0xffffffff80000010);

	bi = handed_over();
	assert_int_equal(bi->magic, BOOT_INFO_MAGIC);
	assert_int_equal(bi->version, BOOT_INFO_VERSION);
	assert_int_equal(bi->bytes, sizeof *bi);
	assert_ptr_equal(bi, loader.memory[MEMORY_INFO].base);
	assert_int_equal(bi->descriptors.base, 0x100000);
	assert_int_equal(bi->kernel.pages, 3);
	assert_int_equal(bi->pool.base, loader.memory[MEMORY_POOL].base);
	assert_string_equal((const char *)bi->cmdline, "log=debug");
	assert_string_equal((const char *)bi->autorun, "mem; ps");
	assert_string_equal((const char *)bi->firmware_vendor, "W\xc3\xbcrfel");
	assert_int_equal(bi->firmware_revision, 0x20046);
	assert_int_equal(bi->framebuffer.format, BOOT_PIXELS_NONE);
	assert_int_equal(bi->tsc_hz, 100000);
	assert_true(bi->tsc_exit > 0);
}

static void the_map_arrives_whole(void **state)
{
	EFI_STATUS status;
	const struct boot_info *bi;

	(void)state;
	assert_true(hand_over(&status));
	bi = handed_over();
	assert_int_equal(bi->map_stride, 48);
	assert_int_equal(bi->map_bytes, array_len(small) * 48);
	assert_true(bi->map >= bi->info.base);
	assert_true(bi->map + bi->map_bytes <= bi->info.base + bi->info.pages * PAGE_BYTES);
	for (size_t i = 0; i < array_len(small); i++)
		assert_memory_equal(boot_map_at((const void *)bi->map, 48, i), &small[i],
				    sizeof small[i]);
}

/* 64 descriptors more than at first, whether or not the firmware told its stride then. */
static void survives_a_growing_map(void **state)
{
	EFI_STATUS status;

	for (unsigned tells = 0; tells < 2; tells++) {
		start(state);
		firmware.tells_no_stride = !tells;
		firmware.exit_refusals = 16;
		firmware.map_grows = 4;
		assert_true(hand_over(&status));
		assert_int_equal(firmware.exits, 17);
		assert_false(firmware.broke_rules);
		assert_int_equal(handed_over()->map_bytes, (array_len(small) + 64) * 48);
	}
}

static void returns_when_the_firmware_never_lets_go(void **state)
{
	EFI_STATUS status = EFI_SUCCESS;

	(void)state;
	firmware.exit_refusals = 1000;
	assert_false(hand_over(&status));
	assert_int_equal(status, EFI_INVALID_PARAMETER);
	assert_true(firmware.exits >= 16);
	assert_false(firmware.broke_rules);
	assert_said("the firmware refuses to leave boot services (EFI_INVALID_PARAMETER)");
	assert_false(firmware_jump.taken_over);
}

static void prefers_the_newer_acpi_table(void **state)
{
	EFI_CONFIGURATION_TABLE tables[] = {
		{.VendorGuid = ACPI_TABLE_GUID, .VendorTable = (void *)0x1000},
		{.VendorGuid = ACPI_20_TABLE_GUID, .VendorTable = (void *)0x2000},
		{.VendorGuid = SMBIOS_TABLE_GUID, .VendorTable = (void *)0x3000},
	};

	(void)state;
	firmware.system.ConfigurationTable = tables;
	firmware.system.NumberOfTableEntries = 3;
	assert_int_equal(facts_collect(&loader), EFI_SUCCESS);
	assert_int_equal(loader.info.rsdp, 0x2000);
	firmware.system.NumberOfTableEntries = 1;
	assert_int_equal(facts_collect(&loader), EFI_SUCCESS);
	assert_int_equal(loader.info.rsdp, 0x1000);
	firmware.system.NumberOfTableEntries = 0;
	assert_int_equal(facts_collect(&loader), EFI_SUCCESS);
	assert_int_equal(loader.info.rsdp, 0);
}

static void does_without_a_console(void **state)
{
	(void)state;
	firmware.system.ConOut = NULL;
	assert_int_equal(place_descriptors(&loader), EFI_SUCCESS);
	assert_nothing_held();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(holds_low_answers_until_a_high_one, start),
		cmocka_unit_test_setup(gives_up_on_firmware_with_low_memory_only, start),
		cmocka_unit_test_setup(aligns_and_gives_the_rest_back, start),
		cmocka_unit_test_setup(does_without_alignment, start),
		cmocka_unit_test_setup(gives_back_in_any_state, start),
		cmocka_unit_test_setup(strides_do_not_matter, start),
		cmocka_unit_test_setup(refuses_half_descriptors, start),
		cmocka_unit_test_setup(goes_on_to_the_next_place, start),
		cmocka_unit_test_setup(tells_when_every_place_is_refused, start),
		cmocka_unit_test_setup(tells_when_no_region_holds_it, start),
		cmocka_unit_test_setup(tells_when_there_is_no_map, start),
		cmocka_unit_test_setup(plans_for_spoiled_maps, start),
		cmocka_unit_test_setup(gives_up_on_maps_spoiled_too_much, start),
		cmocka_unit_test_setup(hands_everything_over, start),
		cmocka_unit_test_setup(the_map_arrives_whole, start),
		cmocka_unit_test_setup(survives_a_growing_map, start),
		cmocka_unit_test_setup(returns_when_the_firmware_never_lets_go, start),
		cmocka_unit_test_setup(prefers_the_newer_acpi_table, start),
		cmocka_unit_test_setup(does_without_a_console, start),
	};

	return cmocka_run_group_tests(tests, NULL, firmware_end);
}
