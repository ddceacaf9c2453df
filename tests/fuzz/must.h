/* SPDX-License-Identifier: MIT */
/* What a fuzzer does when something does not hold: say so, and stop, so that the input is kept. */
#ifndef QUIRE_FUZZ_MUST_H
#define QUIRE_FUZZ_MUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

#endif
