/* SPDX-License-Identifier: MIT */
/* Where quire.cfg is looked for, how it is read, and when the load options count. */
#include "../host/firmware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* A volume with one file. */
static struct {
	EFI_LOADED_IMAGE image;
	EFI_FILE_IO_INTERFACE volume;
	EFI_FILE root, file;
	const char *path; /* of the file; NULL: there is none */
	const char *text;
	size_t bytes, at, piece; /* Read() delivers so much at a time */
	EFI_STATUS read_status;
	unsigned open;
	bool has_volume;
	char tried[4][64];
	unsigned tries;
} disk;

static struct loader loader;

static EFI_STATUS EFIAPI file_open(EFI_FILE *root, EFI_FILE **out, CHAR16 *name, UINT64 mode,
				   UINT64 attributes)
{
	char *tried = disk.tried[disk.tries++ % 4];
	size_t n = 0;

	assert_ptr_equal(root, &disk.root);
	assert_int_equal(mode, EFI_FILE_MODE_READ);
	assert_int_equal(attributes, 0);
	for (; name[n] && n < 63; n++)
		tried[n] = (char)name[n];
	tried[n] = '\0';
	if (!disk.path || strcmp(tried, disk.path))
		return EFI_NOT_FOUND;
	disk.open++;
	*out = &disk.file;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_read(EFI_FILE *file, UINTN *bytes, VOID *buffer)
{
	size_t left = disk.bytes - disk.at;

	assert_ptr_equal(file, &disk.file);
	if (disk.read_status)
		return disk.read_status;
	if (*bytes > left)
		*bytes = left;
	if (*bytes > disk.piece)
		*bytes = disk.piece;
	memcpy(buffer, disk.text + disk.at, *bytes);
	disk.at += *bytes;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_close(EFI_FILE *file)
{
	assert_true(file == &disk.root || file == &disk.file);
	disk.open--;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI volume_open(EFI_FILE_IO_INTERFACE *volume, EFI_FILE **root)
{
	assert_ptr_equal(volume, &disk.volume);
	disk.open++;
	*root = &disk.root;
	return EFI_SUCCESS;
}

static void *protocol(EFI_HANDLE handle, const EFI_GUID *guid)
{
	static const EFI_GUID image = LOADED_IMAGE_PROTOCOL, volume = SIMPLE_FILE_SYSTEM_PROTOCOL;

	if (memcmp(guid, &image, sizeof image) == 0) {
		assert_ptr_equal(handle, &firmware);
		return &disk.image;
	}
	assert_memory_equal(guid, &volume, sizeof volume);
	assert_ptr_equal(handle, &disk);
	return disk.has_volume ? &disk.volume : NULL;
}

/* Nodes of a device path: each a header of 4 bytes and its text. */
static char path_nodes[256];
static size_t path_bytes;

static void add_node(uint8_t type, uint8_t subtype, const void *text, size_t bytes)
{
	path_nodes[path_bytes] = (char)type;
	path_nodes[path_bytes + 1] = (char)subtype;
	path_nodes[path_bytes + 2] = (char)(bytes + 4);
	path_nodes[path_bytes + 3] = 0;
	memcpy(path_nodes + path_bytes + 4, text, bytes);
	path_bytes += bytes + 4;
}

#define ADD_FILE(text) add_node(MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, text, sizeof(text))
#define END_PATH()     add_node(0x7f, 0xff, "", 0)

static int start(void **state)
{
	static const struct boot_mem_desc no_map[1];

	(void)state;
	firmware_start(&loader, no_map, 0);
	firmware.protocol = protocol;
	memset(&disk, 0, sizeof disk);
	disk.has_volume = true;
	disk.piece = ~(size_t)0;
	disk.volume.OpenVolume = volume_open;
	disk.root.Open = file_open;
	disk.root.Close = disk.file.Close = file_close;
	disk.file.Read = file_read;
	disk.image.DeviceHandle = &disk;
	disk.image.FilePath = (EFI_DEVICE_PATH *)(void *)path_nodes;
	path_bytes = 0;
	ADD_FILE(u"\\EFI\\BOOT\\BOOTX64.EFI");
	END_PATH();
	return 0;
}

static void put_file(const char *path, const char *text)
{
	disk.path = path;
	disk.text = text;
	disk.bytes = strlen(text);
}

static void read_options(void)
{
	disk.at = 0;
	assert_int_equal(options_read(&loader), EFI_SUCCESS);
	assert_int_equal(disk.open, 0);
}

static void reads_the_file_beside_the_loader(void **state)
{
	(void)state;
	put_file("\\EFI\\BOOT\\quire.cfg", "cmdline=a=1\nautorun=mem\n");
	disk.piece = 5; /* a few bytes at a time, as firmware may */
	read_options();
	assert_string_equal(loader.config.cmdline, "a=1");
	assert_string_equal(loader.config.autorun, "mem");
	assert_string_equal(firmware.said, "");
}

static void reads_the_file_at_the_top(void **state)
{
	(void)state;
	put_file("\\quire.cfg", "cmdline=top");
	read_options();
	assert_string_equal(disk.tried[0], "\\EFI\\BOOT\\quire.cfg");
	assert_string_equal(loader.config.cmdline, "top");
}

/* Firmware may cut a path into nodes, with or without the separators. */
static void joins_path_nodes(void **state)
{
	(void)state;
	path_bytes = 0;
	ADD_FILE(u"\\EFI");
	ADD_FILE(u"quire\\");
	ADD_FILE(u"boot.efi");
	END_PATH();
	put_file("\\EFI\\quire\\quire.cfg", "cmdline=joined");
	read_options();
	assert_string_equal(loader.config.cmdline, "joined");
}

static void survives_odd_paths(void **state)
{
	static uint16_t endless[40];

	(void)state;
	put_file("\\quire.cfg", "cmdline=top");
	for (size_t i = 0; i < array_len(endless); i++)
		endless[i] = 'x'; /* no NUL, no separator */
	path_bytes = 0;
	add_node(MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, endless, sizeof endless);
	END_PATH();
	read_options();
	assert_string_equal(loader.config.cmdline, "top");

	start(NULL);
	put_file("\\quire.cfg", "cmdline=top");
	disk.image.FilePath = NULL;
	read_options();
	assert_string_equal(loader.config.cmdline, "top");
}

static void tells_what_it_cannot_read(void **state)
{
	static char huge[CONFIG_FILE_MAX + 2];

	(void)state;
	put_file("\\quire.cfg", "cmdline=a");
	disk.read_status = EFI_DEVICE_ERROR;
	read_options();
	assert_string_equal(
		firmware.said,
		"Quire loader: quire.cfg cannot be read (EFI_DEVICE_ERROR); going on without\r\n");

	start(NULL);
	memset(huge, '#', sizeof huge - 1);
	put_file("\\quire.cfg", huge);
	read_options();
	assert_string_equal(
		firmware.said,
		"Quire loader: quire.cfg is larger than 16384 bytes; going on without\r\n");

	start(NULL);
	put_file("\\quire.cfg", "cmdline=a\nwhat\n");
	read_options();
	assert_string_equal(firmware.said, "Quire loader: quire.cfg line 2 ignored: no '='\r\n");
	assert_string_equal(loader.config.cmdline, "a");
}

static void takes_load_options_without_a_cmdline(void **state)
{
	static uint16_t options[] = u"log=debug";

	(void)state;
	disk.image.LoadOptions = options;
	disk.image.LoadOptionsSize = sizeof options;
	put_file("\\quire.cfg", "autorun=mem");
	read_options();
	assert_string_equal(loader.config.cmdline, "log=debug");
	assert_string_equal(loader.config.autorun, "mem");

	start(NULL);
	disk.image.LoadOptions = options;
	disk.image.LoadOptionsSize = sizeof options;
	put_file("\\quire.cfg", "cmdline=");
	read_options();
	assert_string_equal(loader.config.cmdline, "");
}

static void does_without_a_volume(void **state)
{
	(void)state;
	disk.has_volume = false;
	read_options();
	disk.image.DeviceHandle = NULL;
	read_options();
	assert_string_equal(loader.config.cmdline, "");
	assert_string_equal(firmware.said, "");
	assert_int_equal(disk.tries, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_the_file_beside_the_loader, start),
		cmocka_unit_test_setup(reads_the_file_at_the_top, start),
		cmocka_unit_test_setup(joins_path_nodes, start),
		cmocka_unit_test_setup(survives_odd_paths, start),
		cmocka_unit_test_setup(tells_what_it_cannot_read, start),
		cmocka_unit_test_setup(takes_load_options_without_a_cmdline, start),
		cmocka_unit_test_setup(does_without_a_volume, start),
	};

	return cmocka_run_group_tests(tests, NULL, firmware_end);
}
