/* SPDX-License-Identifier: MIT */
/*
 * The framebuffer, as the firmware left it: the mode is kept, nothing is drawn.
 * UEFI 2.10 section 12.9, EFI_GRAPHICS_OUTPUT_PROTOCOL. Absent, BltOnly or odd
 * (not 32 bits a pixel) hardware leaves BOOT_PIXELS_NONE: the kernel has a serial port.
 */
#include "loader.h"

static bool masks_are_32_bit(const EFI_PIXEL_BITMASK *m)
{
	uint32_t all = m->RedMask | m->GreenMask | m->BlueMask | m->ReservedMask;

	/* "The size of a pixel is the position of the highest bit set in any mask." */
	return m->RedMask && m->GreenMask && m->BlueMask && all >> 24 != 0;
}

static bool set_format(struct boot_framebuffer *out,
		       const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info)
{
	switch (info->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		out->format = BOOT_PIXELS_RGBX;
		out->red_mask = 0x0000ff;
		out->green_mask = 0x00ff00;
		out->blue_mask = 0xff0000;
		return true;
	case PixelBlueGreenRedReserved8BitPerColor:
		out->format = BOOT_PIXELS_BGRX;
		out->red_mask = 0xff0000;
		out->green_mask = 0x00ff00;
		out->blue_mask = 0x0000ff;
		return true;
	case PixelBitMask:
		out->format = BOOT_PIXELS_MASKS;
		out->red_mask = info->PixelInformation.RedMask;
		out->green_mask = info->PixelInformation.GreenMask;
		out->blue_mask = info->PixelInformation.BlueMask;
		return masks_are_32_bit(&info->PixelInformation);
	default:
		return false; /* BltOnly */
	}
}

/* Describe what that handle shows. False when it has no linear framebuffer. */
static bool describe(struct loader *l, EFI_HANDLE handle, struct boot_framebuffer *out)
{
	static EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info;
	struct boot_framebuffer fb = {.base = 0};

	if (EFI_ERROR(l->boot->HandleProtocol(handle, &guid, (void **)&gop)) || !gop ||
	    !gop->Mode || !gop->Mode->Info || !gop->Mode->FrameBufferBase)
		return false;
	info = gop->Mode->Info;
	if (!set_format(&fb, info))
		return false;
	fb.base = gop->Mode->FrameBufferBase;
	fb.width = info->HorizontalResolution;
	fb.height = info->VerticalResolution;
	fb.stride = info->PixelsPerScanLine;
	/* FrameBufferSize is the whole aperture on some firmware, too small on other. */
	fb.bytes = (uint64_t)fb.stride * fb.height * 4;
	if (fb.width == 0 || fb.height == 0 || fb.stride < fb.width)
		return false;
	*out = fb;
	return true;
}

/* The console's own device first: it is the one a person looks at. */
void graphics_find(struct loader *l, struct boot_framebuffer *out)
{
	static EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_HANDLE *handles = NULL;
	UINTN count = 0;
	bool found;

	*out = (struct boot_framebuffer){.format = BOOT_PIXELS_NONE};
	found = l->system->ConsoleOutHandle && describe(l, l->system->ConsoleOutHandle, out);
	if (found ||
	    EFI_ERROR(l->boot->LocateHandleBuffer(ByProtocol, &guid, NULL, &count, &handles)))
		return;
	for (UINTN i = 0; i < count && !found; i++)
		found = describe(l, handles[i], out);
	l->boot->FreePool(handles);
}
