/* SPDX-License-Identifier: MIT */
/*
 * Guarded objects in this kernel: how often, from the command line and the shell.
 *
 *   kfence=MS      one sample on each CPU every MS milliseconds (100)
 *   kfence=every   every object of up to a page, while there are slots
 *   kfence=off     none; no pool at boot either
 */
#define LOG_TAG "kfence"
#include <quire/arch.h>
#include <quire/cmdline.h>
#include <quire/errno.h>
#include <quire/kheap_guard.h>
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/shell.h>
#include <quire/string.h>

#define DEFAULT_MS  "100"
#define MS_MAX      3600000u
#define EVERY_SLOTS 2047 /* where all are guarded 255 are soon used up */

#ifdef QUIRE_MEMORY_DEBUG
#define DEFAULT_RATE "every"
#elif defined(QUIRE_KASAN) /* all of them are checked, and these would not be */
#define DEFAULT_RATE "off"
#else
#define DEFAULT_RATE DEFAULT_MS
#endif

static int rate_of(const char *text, uint32_t *ticks)
{
	uint64_t ms;

	if (!strcmp(text, "on"))
		text = DEFAULT_MS;
	*ticks = KHEAP_GUARD_EVERY;
	if (!strcmp(text, "every"))
		return 0;
	*ticks = 0;
	if (!strcmp(text, "off"))
		return 0;
	if (shell_parse_u64(text, &ms) || ms > MS_MAX)
		return -EINVAL;
	*ticks = (uint32_t)(ms * TICK_HZ / 1000);
	if (ms && !*ticks)
		*ticks = 1;
	return 0;
}

int guard_set_rate(const char *text)
{
	uint32_t ticks;

	if (rate_of(text, &ticks))
		return -EINVAL;
	if (!kernel_heap.guard)
		return -ENOMEM;
	kheap_guard_rate(&kernel_heap, ticks);
	return 0;
}

uint64_t guard_rate_ms(uint32_t ticks)
{
	return (uint64_t)ticks * 1000 / TICK_HZ;
}

void guard_init(void)
{
	char text[16] = DEFAULT_RATE;
	uint32_t ticks;

	(void)cmdline_get("kfence", text, sizeof text);
	if (rate_of(text, &ticks)) {
		log_warn("kfence=%s: expected milliseconds, every or off", text);
		(void)rate_of(DEFAULT_RATE, &ticks);
	}
	if (!ticks)
		return;
	if (kheap_guard_init(&kernel_heap,
			     ticks == KHEAP_GUARD_EVERY ? EVERY_SLOTS : KHEAP_GUARD_SLOTS)) {
		log_warn("no memory for guarded objects");
		return;
	}
	kheap_guard_rate(&kernel_heap, ticks);
}
