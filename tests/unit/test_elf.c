/* SPDX-License-Identifier: MIT */
/* The kernel ELF's reader: one good image, and every way of being a bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../efi/elf.h"
#include <quire/compiler.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The image, built anew for each test, by offset:
 *
 *   0     ELF header     64   3 program headers    512  section headers (none, symtab, strtab)
 *   1024  symbols (48)  1088  names (16)          4096  text   8192  rodata   12288  data
 */
enum {
	FILE_BYTES = 16384,
	PH = 64,
	SH = 512
};
#define BASE 0xffffffff80000000ull

static unsigned char file[FILE_BYTES];

static void put16(size_t at, uint16_t v)
{
	memcpy(file + at, &v, sizeof v);
}

static void put32(size_t at, uint32_t v)
{
	memcpy(file + at, &v, sizeof v);
}

static void put64(size_t at, uint64_t v)
{
	memcpy(file + at, &v, sizeof v);
}

static void put_segment(unsigned i, uint32_t flags, uint64_t offset, uint64_t virt,
			uint64_t file_bytes, uint64_t memory_bytes)
{
	size_t at = PH + i * 56;

	put32(at, 1);
	put32(at + 4, flags);
	put64(at + 8, offset);
	put64(at + 16, virt);
	put64(at + 32, file_bytes);
	put64(at + 40, memory_bytes);
}

static void put_section(unsigned i, uint32_t type, uint64_t offset, uint64_t bytes, uint32_t link)
{
	size_t at = SH + i * 64;

	put32(at + 4, type);
	put64(at + 24, offset);
	put64(at + 32, bytes);
	put32(at + 40, link);
}

static int build(void **state)
{
	(void)state;
	memset(file, 0, sizeof file);
	memcpy(file, "\177ELF\2\1\1", 7);
	put16(16, 2);
	put16(18, 62);
	put64(24, BASE + 0x10);
	put64(32, PH);
	put64(40, SH);
	put16(54, 56);
	put16(56, 3);
	put16(58, 64);
	put16(60, 3);
	put_segment(0, 5, 4096, BASE, 0x800, 0x800);
	put_segment(1, 4, 8192, BASE + 0x1000, 0x1000, 0x1000);
	put_segment(2, 6, 12288, BASE + 0x2000, 0x100, 0x2001);
	put_section(1, 2, 1024, 48, 2);
	put_section(2, 3, 1088, 16, 0);
	return 0;
}

static const char *parse(struct elf_image *image)
{
	/* An exact copy, so that the sanitizer sees a read past the end. */
	unsigned char *copy = malloc(sizeof file);
	const char *wrong;

	assert_non_null(copy);
	memcpy(copy, file, sizeof file);
	wrong = elf_parse(copy, sizeof file, image);
	free(copy);
	return wrong;
}

static void assert_wrong(const char *expected)
{
	struct elf_image image;
	const char *wrong = parse(&image);

	assert_non_null(wrong);
	assert_string_equal(wrong, expected);
}

static void reads_a_good_image(void **state)
{
	struct elf_image image;

	(void)state;
	assert_null(parse(&image));
	assert_int_equal(image.entry, BASE + 0x10);
	assert_int_equal(image.virt, BASE);
	assert_int_equal(image.pages, 5);
	assert_int_equal(image.segment_count, 3);
	assert_int_equal(image.segments[0].flags, BOOT_SEGMENT_EXECUTE);
	assert_int_equal(image.segments[1].flags, 0);
	assert_int_equal(image.segments[2].flags, BOOT_SEGMENT_WRITE);
	assert_int_equal(image.segments[2].virt, BASE + 0x2000);
	assert_int_equal(image.segments[2].offset, 12288);
	assert_int_equal(image.segments[2].file_bytes, 0x100);
	assert_int_equal(image.segments[2].pages, 3);
	assert_int_equal(image.symtab_offset, 1024);
	assert_int_equal(image.symtab_bytes, 48);
	assert_int_equal(image.strtab_offset, 1088);
	assert_int_equal(image.strtab_bytes, 16);
}

static void ignores_other_segments(void **state)
{
	struct elf_image image;

	(void)state;
	put32(PH + 56, 4); /* a note */
	assert_null(parse(&image));
	assert_int_equal(image.segment_count, 2);
	assert_int_equal(image.pages, 5);
	build(NULL);
	put_segment(1, 4, 8192, 0, 0, 0); /* empty */
	assert_null(parse(&image));
	assert_int_equal(image.segment_count, 2);
}

static void refuses_other_files(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *what;
	} cases[] = {
		{0, 0, "not an ELF file"},
		{3, 'f', "not an ELF file"},
		{4, 1, "not an x86-64 executable"},    /* 32 bits */
		{5, 2, "not an x86-64 executable"},    /* big endian */
		{16, 3, "not an x86-64 executable"},   /* shared object */
		{18, 183, "not an x86-64 executable"}, /* AArch64 */
		{54, 32, "segment table outside the file"},
		{33, 0xff, "segment table outside the file"},
		{39, 0xff, "segment table outside the file"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		build(NULL);
		file[cases[i].at] = cases[i].value;
		assert_wrong(cases[i].what);
	}
}

static void refuses_bad_segments(void **state)
{
	(void)state;
	put_segment(1, 4, 8192, BASE + 0x1008, 8, 8);
	assert_wrong("segment at a wrong address"); /* unaligned */
	build(NULL);
	put_segment(1, 4, 8192, BASE, 8, 8);
	assert_wrong("segment at a wrong address"); /* overlaps the first */
	build(NULL);
	put_segment(0, 5, 4096, 0x400000, 8, 8);
	assert_wrong("segment at a wrong address"); /* not in the top 2 GiB */
	build(NULL);
	put_segment(2, 6, 12288, 0xfffffffffffff000, 8, 0x1001);
	assert_wrong("segment at a wrong address"); /* wraps */
	build(NULL);
	put_segment(2, 6, 12288, BASE + 0x2000, 0x2000, 0x1000);
	assert_wrong("segment outside the file"); /* more to copy than room */
	build(NULL);
	put_segment(2, 6, FILE_BYTES - 8, BASE + 0x2000, 9, 0x1000);
	assert_wrong("segment outside the file");
	build(NULL);
	put_segment(2, 6, ~(uint64_t)0, BASE + 0x2000, 9, 0x1000);
	assert_wrong("segment outside the file");
	build(NULL);
	put_segment(2, 7, 12288, BASE + 0x2000, 8, 8);
	assert_wrong("segment both writable and executable");
}

static void refuses_too_many_segments(void **state)
{
	(void)state;
	put16(56, BOOT_SEGMENTS_MAX + 1);
	put64(40, 2048); /* section headers out of the way */
	put16(60, 0);
	for (unsigned i = 0; i <= BOOT_SEGMENTS_MAX; i++)
		put_segment(i, 5, 4096, BASE + i * 0x1000, 0x100, 0x1000);
	assert_wrong("too many segments");
}

static void refuses_a_bad_entry(void **state)
{
	(void)state;
	put64(24, BASE + 0x800); /* behind the text */
	assert_wrong("entry point outside its code");
	put64(24, BASE + 0x1000); /* read-only data */
	assert_wrong("entry point outside its code");
	put64(24, 0);
	assert_wrong("entry point outside its code");
}

/* No symbols, or bad ones, are no reason not to boot. */
static void does_without_symbols(void **state)
{
	struct elf_image image;

	(void)state;
	for (unsigned way = 0; way < 6; way++) {
		build(NULL);
		switch (way) {
		case 0:
			put16(60, 0);
			break;
		case 1:
			put_section(1, 2, FILE_BYTES - 8, 48, 2);
			break;
		case 2:
			put_section(1, 2, 1024, 48, 3);
			break;
		case 3:
			put_section(2, 1, 1088, 16, 0);
			break;
		case 4:
			put_section(2, 3, 1088, ~(uint64_t)0, 0);
			break;
		case 5:
			put64(40, FILE_BYTES - 64);
			break;
		}
		assert_null(parse(&image));
		assert_int_equal(image.symtab_bytes, 0);
		assert_int_equal(image.strtab_bytes, 0);
	}
}

/* Cut anywhere, it is refused or read within its bounds (the sanitizer watches). */
static void survives_every_cut(void **state)
{
	struct elf_image image;

	(void)state;
	for (size_t bytes = 0; bytes < 1200; bytes++) {
		unsigned char *copy = malloc(bytes ? bytes : 1);

		assert_non_null(copy);
		memcpy(copy, file, bytes);
		assert_non_null(elf_parse(copy, bytes, &image));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_a_good_image, build),
		cmocka_unit_test_setup(ignores_other_segments, build),
		cmocka_unit_test_setup(refuses_other_files, build),
		cmocka_unit_test_setup(refuses_bad_segments, build),
		cmocka_unit_test_setup(refuses_too_many_segments, build),
		cmocka_unit_test_setup(refuses_a_bad_entry, build),
		cmocka_unit_test_setup(does_without_symbols, build),
		cmocka_unit_test_setup(survives_every_cut, build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
