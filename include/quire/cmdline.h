/* SPDX-License-Identifier: MIT */
/* The kernel command line: words "key=value" or "key", separated by blanks. */
#ifndef QUIRE_CMDLINE_H
#define QUIRE_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/* Keep a copy of `text`. */
void cmdline_init(const char *text);
const char *cmdline_text(void);
/* The value of the last `key=value`, copied to `out` (cut to fit); false when absent. */
bool cmdline_get(const char *key, char *out, size_t size);
/* key=1/on/yes/true (or bare) and 0/off/no/false; otherwise `fallback`. */
bool cmdline_bool(const char *key, bool fallback);

#endif
