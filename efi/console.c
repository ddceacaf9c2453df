/* SPDX-License-Identifier: MIT */
/*
 * The firmware's text console: one short line a stage, one sentence a failure.
 * May be absent (a headless board); then nothing is printed and nothing fails.
 * Not to be used once ExitBootServices has been called.
 */
#include "loader.h"
#include "text.h"

static EFI_SYSTEM_TABLE *firmware;

void console_init(EFI_SYSTEM_TABLE *system)
{
	firmware = system;
}

/* ASCII in; the firmware wants UCS-2. What is not ASCII it may lack a glyph for. */
static void print(const char *text)
{
	CHAR16 piece[64];

	if (!firmware || !firmware->ConOut)
		return;
	while (*text) {
		size_t n = 0;

		for (; *text && n < array_len(piece) - 1; text++)
			piece[n++] = (unsigned char)*text < 0x80 ? (CHAR16)*text : u'?';
		piece[n] = 0;
		firmware->ConOut->OutputString(firmware->ConOut, piece);
	}
}

void say(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	text_format(line, sizeof line, format, args);
	va_end(args);
	print("Quire loader: ");
	print(line);
	print("\r\n");
}

EFI_STATUS loader_fail(EFI_STATUS status, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	text_format(line, sizeof line, format, args);
	va_end(args);
	print("Quire cannot start: ");
	print(line);
	print(" (");
	print(status_name(status));
	print(")\r\n");
	return status;
}

const char *status_name(EFI_STATUS status)
{
	/* UEFI 2.10 appendix D: the high bit, and these numbers. */
	static const char *const errors[] = {
		[1] = "EFI_LOAD_ERROR",       [2] = "EFI_INVALID_PARAMETER",
		[3] = "EFI_UNSUPPORTED",      [4] = "EFI_BAD_BUFFER_SIZE",
		[5] = "EFI_BUFFER_TOO_SMALL", [6] = "EFI_NOT_READY",
		[7] = "EFI_DEVICE_ERROR",     [8] = "EFI_WRITE_PROTECTED",
		[9] = "EFI_OUT_OF_RESOURCES", [10] = "EFI_VOLUME_CORRUPTED",
		[11] = "EFI_VOLUME_FULL",     [12] = "EFI_NO_MEDIA",
		[13] = "EFI_MEDIA_CHANGED",   [14] = "EFI_NOT_FOUND",
		[15] = "EFI_ACCESS_DENIED",   [16] = "EFI_NO_RESPONSE",
		[17] = "EFI_NO_MAPPING",      [18] = "EFI_TIMEOUT",
		[19] = "EFI_NOT_STARTED",     [20] = "EFI_ALREADY_STARTED",
		[21] = "EFI_ABORTED",         [26] = "EFI_SECURITY_VIOLATION",
	};
	UINTN number = status & ~EFI_ERROR_MASK;

	if (status == EFI_SUCCESS)
		return "EFI_SUCCESS";
	if (!EFI_ERROR(status) || number >= array_len(errors) || !errors[number])
		return "an unknown status";
	return errors[number];
}
