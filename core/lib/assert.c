/* SPDX-License-Identifier: MIT */
/* The end of a failed assertion where nobody supplies a better one: stop. */
#include <quire/assert.h>

__attribute__((weak)) void port_assert_failed(const char *expression, const char *file, int line)
{
	(void)expression, (void)file, (void)line;
	__builtin_trap();
}
