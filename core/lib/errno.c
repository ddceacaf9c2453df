/* SPDX-License-Identifier: MIT */
/* Error numbers as words. */
#include <quire/errno.h>

const char *errno_text(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return "success";
	case ENOENT:
		return "not found";
	case ESRCH:
		return "no such thread";
	case EINTR:
		return "interrupted";
	case EIO:
		return "device error";
	case E2BIG:
		return "too long";
	case EAGAIN:
		return "try again";
	case ENOMEM:
		return "out of memory";
	case EFAULT:
		return "bad address";
	case EBUSY:
		return "in use";
	case EEXIST:
		return "exists already";
	case ENODEV:
		return "no such device";
	case EINVAL:
		return "invalid argument";
	case ENOSPC:
		return "no space left";
	case ERANGE:
		return "out of range";
	case EDEADLK:
		return "would wait for itself";
	case EOVERFLOW:
		return "too large to represent";
	case EOPNOTSUPP:
		return "not supported here";
	case ETIMEDOUT:
		return "timed out";
	default:
		return "unknown error";
	}
}
