/* SPDX-License-Identifier: MIT */
/* cmocka with the headers it wants before it. */
#ifndef QUIRE_CM_H
#define QUIRE_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
