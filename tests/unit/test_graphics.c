/* SPDX-License-Identifier: MIT */
/* Which framebuffer is taken, and which are left alone. */
#include "../host/firmware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* Two displays: [0] is the console's, [1] one more that LocateHandleBuffer finds. */
static struct display {
	EFI_GRAPHICS_OUTPUT_PROTOCOL gop;
	EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE mode;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION info;
	bool present;
} displays[2];

static struct loader loader;
static struct boot_framebuffer fb;

static void *protocol(EFI_HANDLE handle, const EFI_GUID *guid)
{
	static const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	struct display *d = handle;

	assert_memory_equal(guid, &gop, sizeof gop);
	return d->present ? &d->gop : NULL;
}

static int start(void **state)
{
	static const struct boot_mem_desc no_map[1];

	(void)state;
	firmware_start(&loader, no_map, 0);
	for (size_t i = 0; i < array_len(displays); i++) {
		struct display *d = &displays[i];

		memset(d, 0, sizeof *d);
		d->info.HorizontalResolution = 1366;
		d->info.VerticalResolution = 768;
		d->info.PixelsPerScanLine = 1376;
		d->info.PixelFormat = PixelBlueGreenRedReserved8BitPerColor;
		d->mode.Info = &d->info;
		d->mode.FrameBufferBase = 0xc0000000 + i * 0x10000000;
		d->gop.Mode = &d->mode;
	}
	displays[0].present = true;
	firmware.protocol = protocol;
	firmware.system.ConsoleOutHandle = &displays[0];
	return 0;
}

static void find(void)
{
	memset(&fb, 0xff, sizeof fb);
	graphics_find(&loader, &fb);
	assert_int_equal(firmware.pools, 0);
	assert_false(firmware.broke_rules);
}

static void assert_none(void)
{
	find();
	assert_int_equal(fb.format, BOOT_PIXELS_NONE);
	assert_int_equal(fb.base, 0);
	assert_int_equal(fb.bytes, 0);
}

static void takes_the_mode_as_it_is(void **state)
{
	(void)state;
	displays[0].mode.FrameBufferSize = 1; /* wrong, as on some boards */
	find();
	assert_int_equal(fb.base, 0xc0000000);
	assert_int_equal(fb.width, 1366);
	assert_int_equal(fb.height, 768);
	assert_int_equal(fb.stride, 1376);
	assert_int_equal(fb.bytes, 1376 * 768 * 4);
	assert_int_equal(fb.format, BOOT_PIXELS_BGRX);
	assert_int_equal(fb.red_mask, 0xff0000);
	assert_int_equal(fb.green_mask, 0xff00);
	assert_int_equal(fb.blue_mask, 0xff);
}

static void knows_the_other_formats(void **state)
{
	(void)state;
	displays[0].info.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
	find();
	assert_int_equal(fb.format, BOOT_PIXELS_RGBX);
	assert_int_equal(fb.red_mask, 0xff);
	assert_int_equal(fb.blue_mask, 0xff0000);

	displays[0].info.PixelFormat = PixelBitMask;
	displays[0].info.PixelInformation =
		(EFI_PIXEL_BITMASK){0x3ff00000, 0x000ffc00, 0x000003ff, 0xc0000000};
	find();
	assert_int_equal(fb.format, BOOT_PIXELS_MASKS);
	assert_int_equal(fb.red_mask, 0x3ff00000);
	assert_int_equal(fb.green_mask, 0xffc00);
	assert_int_equal(fb.blue_mask, 0x3ff);
}

static void leaves_odd_ones_alone(void **state)
{
	(void)state;
	displays[0].info.PixelFormat = PixelBltOnly;
	assert_none();
	displays[0].info.PixelFormat = PixelBitMask; /* 5-6-5: 16 bits a pixel */
	displays[0].info.PixelInformation = (EFI_PIXEL_BITMASK){0xf800, 0x07e0, 0x001f, 0};
	assert_none();
	displays[0].info.PixelInformation = (EFI_PIXEL_BITMASK){0, 0xff00, 0xff, 0xff000000};
	assert_none();
	start(state);
	displays[0].mode.FrameBufferBase = 0;
	assert_none();
	start(state);
	displays[0].info.PixelsPerScanLine = 1365;
	assert_none();
	start(state);
	displays[0].info.VerticalResolution = 0;
	assert_none();
	start(state);
	displays[0].gop.Mode = NULL;
	assert_none();
	start(state);
	displays[0].mode.Info = NULL;
	assert_none();
}

static void looks_beyond_the_console(void **state)
{
	(void)state;
	displays[0].info.PixelFormat = PixelBltOnly;
	displays[1].present = true;
	firmware.handles[0] = &displays[0];
	firmware.handles[1] = &displays[1];
	firmware.handle_count = 2;
	find();
	assert_int_equal(fb.base, 0xd0000000);
	displays[0].info.PixelFormat = PixelBlueGreenRedReserved8BitPerColor;
	find();
	assert_int_equal(fb.base, 0xc0000000);
}

static void does_without_any(void **state)
{
	(void)state;
	displays[0].present = false;
	assert_none();
	firmware.system.ConsoleOutHandle = NULL;
	assert_none();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_the_mode_as_it_is, start),
		cmocka_unit_test_setup(knows_the_other_formats, start),
		cmocka_unit_test_setup(leaves_odd_ones_alone, start),
		cmocka_unit_test_setup(looks_beyond_the_console, start),
		cmocka_unit_test_setup(does_without_any, start),
	};

	return cmocka_run_group_tests(tests, NULL, firmware_end);
}
