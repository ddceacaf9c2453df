/* SPDX-License-Identifier: MIT */
/* Any bytes as quire.cfg: no crash, every text terminated, never more warnings than lines. */
#include "../../efi/config.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_warning(void *context, unsigned line, const char *what)
{
	unsigned *last = context;

	/* Once a line, in order. */
	if (line <= *last || !what)
		abort();
	*last = line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	unsigned last = 0;
	size_t lines = 1;

	memset(&config, 0, sizeof config);
	config_parse(&config, (const char *)data, size, on_warning, &last);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (last > lines || !memchr(config.cmdline, 0, sizeof config.cmdline) ||
	    !memchr(config.autorun, 0, sizeof config.autorun) ||
	    !memchr(config.fail, 0, sizeof config.fail))
		abort();
	return 0;
}
