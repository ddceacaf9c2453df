/* SPDX-License-Identifier: MIT */
/*
 * What the user asked for: quire.cfg beside the loader, or at the top of its
 * volume, and the load options of the boot entry. Nothing here is needed to
 * boot, so nothing here fails: what cannot be read is said and left out.
 */
#include "loader.h"
#include "text.h"

#define CONFIG_NAME u"quire.cfg"
#define PATH_MAX    256 /* units */

static EFI_LOADED_IMAGE *loaded_image(struct loader *l)
{
	static EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
	EFI_LOADED_IMAGE *image = NULL;

	if (EFI_ERROR(l->boot->HandleProtocol(l->handle, &guid, (void **)&image)))
		return NULL;
	return image;
}

/* The volume the loader came from; NULL when it came over a network or out of a ROM. */
static EFI_FILE_HANDLE volume_open(struct loader *l, const EFI_LOADED_IMAGE *image)
{
	static EFI_GUID guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_FILE_IO_INTERFACE *volume = NULL;
	EFI_FILE_HANDLE root = NULL;

	if (!image->DeviceHandle ||
	    EFI_ERROR(l->boot->HandleProtocol(image->DeviceHandle, &guid, (void **)&volume)) ||
	    EFI_ERROR(volume->OpenVolume(volume, &root)))
		return NULL;
	return root;
}

static size_t node_bytes(const EFI_DEVICE_PATH *node)
{
	return (size_t)(node->Length[0] | node->Length[1] << 8);
}

/* Append a UCS-2 text of at most `units`. False when it does not fit. */
static bool append(CHAR16 *path, size_t *used, const CHAR16 *text, size_t units)
{
	for (size_t i = 0; i < units && text[i]; i++) {
		if (*used + 1 >= PATH_MAX)
			return false;
		path[(*used)++] = text[i];
	}
	path[*used] = 0;
	return true;
}

/*
 * "\EFI\BOOT\BOOTX64.EFI" -> "\EFI\BOOT\quire.cfg". The path may come in several
 * nodes (UEFI 2.10 section 10.3.5.4). False when there is none.
 */
static bool config_path(const EFI_LOADED_IMAGE *image, CHAR16 *path)
{
	const EFI_DEVICE_PATH *node = image->FilePath;
	size_t used = 0;

	path[0] = 0;
	while (node && node->Type == MEDIA_DEVICE_PATH && node->SubType == MEDIA_FILEPATH_DP &&
	       node_bytes(node) > sizeof *node) {
		size_t bytes = node_bytes(node) - sizeof *node;

		if (used && path[used - 1] != u'\\' && !append(path, &used, u"\\", 1))
			return false;
		if (!append(path, &used, (const CHAR16 *)(const void *)(node + 1),
			    bytes / sizeof(CHAR16)))
			return false;
		node = (const void *)((const char *)node + node_bytes(node));
	}
	while (used && path[used - 1] != u'\\')
		used--;
	return used && append(path, &used, CONFIG_NAME, array_len(CONFIG_NAME));
}

static void warn_line(void *context, unsigned line, const char *what)
{
	(void)context;
	say("quire.cfg line %u ignored: %s", line, what);
}

/* All of the file, at most `size`; firmware may deliver it in pieces. */
static EFI_STATUS read_all(EFI_FILE_HANDLE file, char *buffer, size_t size, size_t *bytes)
{
	for (*bytes = 0; *bytes < size;) {
		UINTN piece = size - *bytes;
		EFI_STATUS status = file->Read(file, &piece, buffer + *bytes);

		if (EFI_ERROR(status))
			return status;
		if (piece == 0)
			break;
		*bytes += piece;
	}
	return EFI_SUCCESS;
}

static void config_read(struct loader *l, EFI_FILE_HANDLE file)
{
	static char buffer[CONFIG_FILE_MAX + 1];
	size_t bytes;
	EFI_STATUS status = read_all(file, buffer, sizeof buffer, &bytes);

	if (EFI_ERROR(status))
		say("quire.cfg cannot be read (%s); going on without", status_name(status));
	else if (bytes > CONFIG_FILE_MAX)
		say("quire.cfg is larger than %u bytes; going on without", CONFIG_FILE_MAX);
	else
		config_parse(&l->config, buffer, bytes, warn_line, NULL);
}

static EFI_FILE_HANDLE config_open(EFI_FILE_HANDLE root, const EFI_LOADED_IMAGE *image)
{
	CHAR16 path[PATH_MAX];
	EFI_FILE_HANDLE file = NULL;

	if (config_path(image, path) &&
	    !EFI_ERROR(root->Open(root, &file, path, EFI_FILE_MODE_READ, 0)))
		return file;
	if (!EFI_ERROR(root->Open(root, &file, u"\\" CONFIG_NAME, EFI_FILE_MODE_READ, 0)))
		return file;
	return NULL;
}

EFI_STATUS options_read(struct loader *l)
{
	EFI_LOADED_IMAGE *image = loaded_image(l);
	EFI_FILE_HANDLE root, file;

	if (!image)
		return EFI_SUCCESS;
	root = volume_open(l, image);
	if (root) {
		file = config_open(root, image);
		if (file) {
			config_read(l, file);
			file->Close(file);
		}
		root->Close(root);
	}
	if (!l->config.has_cmdline && image->LoadOptions)
		text_from_load_options(l->config.cmdline, sizeof l->config.cmdline,
				       image->LoadOptions, image->LoadOptionsSize);
	return EFI_SUCCESS;
}
