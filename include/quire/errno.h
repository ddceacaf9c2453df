/* SPDX-License-Identifier: MIT */
/* Error numbers: functions return 0 or one of these, negated. Values follow POSIX/Linux. */
#ifndef QUIRE_ERRNO_H
#define QUIRE_ERRNO_H

#ifdef QUIRE_HOSTED
#include <errno.h>
#else
#define ENOENT     2
#define ESRCH      3
#define EINTR      4
#define EIO        5
#define E2BIG      7
#define EAGAIN     11
#define ENOMEM     12
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define ENOSPC     28
#define EPIPE      32
#define ERANGE     34
#define EDEADLK    35
#define EOVERFLOW  75
#define EOPNOTSUPP 95
#define ETIMEDOUT  110
#endif

/* A short sentence for a (positive or negative) error number, never NULL. core/lib/errno.c */
const char *errno_text(int error);

#endif
