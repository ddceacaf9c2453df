/* SPDX-License-Identifier: MIT */
/* What every file needs from the compiler, under one name each. */
#ifndef QUIRE_COMPILER_H
#define QUIRE_COMPILER_H

#include <stddef.h>

#define must_check                      __attribute__((warn_unused_result))
#define noreturn_fn                     __attribute__((noreturn))
#define cold_fn                         __attribute__((cold, noinline))
#define printf_like(fmt, args)          __attribute__((format(printf, fmt, args)))
#define likely(x)                       __builtin_expect(!!(x), 1)
#define unlikely(x)                     __builtin_expect(!!(x), 0)
#define array_len(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * Reads figures that their owner changes without a lock, one aligned word at a time: whatever it
 * finds was true a moment ago. The race is meant, so ThreadSanitizer does not look.
 */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define racy_read_fn __attribute__((no_sanitize("thread"), noinline))
#endif
#endif
#ifndef racy_read_fn
#define racy_read_fn
#endif

/* The address the current function returns to: who called the allocator. */
#define caller_address() ((uintptr_t)__builtin_return_address(0))

#endif
