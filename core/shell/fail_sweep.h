/* SPDX-License-Identifier: MIT */
/* One command, again and again, each time with another call of the allocators made to fail. */
#ifndef QUIRE_SHELL_FAIL_SWEEP_H
#define QUIRE_SHELL_FAIL_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * `stays`: from that call on all fail, not that one alone. At most `most` runs an allocator.
 * 0 when everything came back each time, -EIO when not, -EINTR.
 */
int fail_sweep(const char *line, bool stays, uint64_t most, bool as_json);

#endif
