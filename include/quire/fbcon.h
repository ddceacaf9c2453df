/* SPDX-License-Identifier: MIT */
/* Text on a linear framebuffer, as a console sink. */
#ifndef QUIRE_FBCON_H
#define QUIRE_FBCON_H

#include <quire/boot_info.h>
#include <quire/compiler.h>

/*
 * Show the console on `fb`, whose pixels the kernel sees (and keeps) at `mapped`;
 * write-combining is best, nothing is ever read from there. Takes kmalloc memory
 * in proportion to the screen's text, adds the sink, replays the log. Once.
 *
 * 0; -ENODEV: no linear framebuffer, or not even one character fits; -EINVAL: the
 * description contradicts itself (stride, size, masks); -ENOMEM.
 */
must_check int fbcon_init(const struct boot_framebuffer *fb, void *mapped);

/* The same in `memory` (16-byte aligned, kept) instead of kmalloc's: for a panic before there is
 * an allocator. -ENOMEM when that is too small. */
must_check int fbcon_init_in(const struct boot_framebuffer *fb, void *mapped, void *memory,
			     size_t bytes);

#endif
