/* SPDX-License-Identifier: MIT */
/*
 * assert(): a check that is O(1) and stays on in every build. For conditions
 * that only a bug in Quire itself can break; a caller's misuse is reported
 * through port_misuse() instead, and refused.
 */
#ifndef QUIRE_ASSERT_H
#define QUIRE_ASSERT_H

#include <quire/compiler.h>

noreturn_fn cold_fn void port_assert_failed(const char *expression, const char *file, int line);

#undef assert
#define assert(x) ((void)(likely(x) || (port_assert_failed(#x, __FILE__, __LINE__), 0)))

#endif
