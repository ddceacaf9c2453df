/* SPDX-License-Identifier: MIT */
/*
 * quire.cfg: what a user may ask of the loader.
 *
 *   # a comment
 *   cmdline=reclaim=off log=debug      the kernel's command line
 *   autorun=mem; poweroff              shell commands for the first prompt
 *
 * And four debugging aids, so that paths a healthy firmware never takes can be tested:
 *
 *   refuse=2       pretend the firmware refused the first two places for the descriptor array
 *   stale=3        pretend the memory map changed under the first three attempts to exit
 *   fail=pool      pretend that stage failed (docs/boot.md lists the names)
 *   map=shuffled   pretend the memory map is as bad as that (efi/spoil.c)
 *
 * One setting a line; blanks around key and value are dropped; the last of
 * equal keys counts. UTF-8, with or without a byte order mark; LF or CRLF.
 * Pure code: no firmware types, no memory of its own. Any context.
 */
#ifndef QUIRE_EFI_CONFIG_H
#define QUIRE_EFI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_MAX 16384 /* bytes; a larger file is not read */
#define CONFIG_TEXT_MAX 4096  /* bytes of one value, with its NUL */
#define CONFIG_NAME_MAX 16

struct config {
	bool has_cmdline;
	char cmdline[CONFIG_TEXT_MAX];
	char autorun[CONFIG_TEXT_MAX];
	char fail[CONFIG_NAME_MAX];
	char map[CONFIG_NAME_MAX];
	uint32_t refuse;
	uint32_t stale;
};

/* Told once for each line that is ignored; lines count from 1. */
typedef void config_warn(void *context, unsigned line, const char *what);

/* Parse `bytes` of `text` over what `out` holds (zero it first). Never fails: bad lines are told
 * and ignored. */
void config_parse(struct config *out, const char *text, size_t bytes, config_warn *warn,
		  void *context);

#endif
