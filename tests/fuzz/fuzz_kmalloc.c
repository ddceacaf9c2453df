/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer over kmalloc: each three bytes are a call, on 256 slots that stay
 * small in memory, so that the fuzzer finds its way to full and empty slabs,
 * headers and out of memory. The validator runs at the end of each input.
 */
#include "../unit/kmalloc_fixture.h"
#include "must.h"

#define SLOTS 256

static unsigned char *slots[SLOTS];
static size_t sizes[SLOTS];

static void store(unsigned slot, void *object, size_t bytes)
{
	slots[slot] = object;
	sizes[slot] = object ? bytes : 0;
	if (object)
		memset(object, (int)slot, bytes);
}

static void release(unsigned slot)
{
	for (size_t i = 0; i < sizes[slot]; i += 1 + sizes[slot] / 16)
		must(slots[slot][i] == slot, "an object changed");
	kfree(slots[slot]);
	store(slot, NULL, 0);
}

static void grow(unsigned slot, size_t bytes)
{
	void *moved = krealloc(slots[slot], bytes);

	if (moved)
		store(slot, moved, bytes);
}

static void call(unsigned what, unsigned slot, uint8_t size)
{
	size_t bytes = (size_t)(size & 15) << (size >> 4); /* 0 .. 480 KiB */

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		if (!slots[slot])
			store(slot, kmalloc(bytes), bytes);
		else
			release(slot);
		break;
	case 3:
		grow(slot, bytes);
		break;
	case 4:
		if (!slots[slot])
			store(slot, kmalloc_aligned(bytes, (size_t)8 << (what / 8 % 12)), bytes);
		break;
	case 5: /* never the start of an object, unless of none */
		if (slots[slot] && sizes[slot] > 1) {
			kfree(slots[slot] + 1 + bytes % (sizes[slot] - 1));
			must(host_misuses == 1, "an interior free went through");
			host_misuse_reset();
		}
		break;
	case 6:
		kheap_trim(&kernel_heap);
		break;
	default: /* a rush of one size: full slabs */
		for (unsigned i = 0; i < 64; i++)
			if (!slots[(slot + i) % SLOTS])
				store((slot + i) % SLOTS, kmalloc(bytes & 511), bytes & 511);
	}
	must(host_misuses == 0, "a rightful call was reported");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static bool ready;
	const char *wrong;

	if (!ready) {
		heap_init(512);
		ready = true;
	}
	for (; length >= 3; data += 3, length -= 3)
		call(data[0], data[1], data[2]);
	wrong = kheap_check(&kernel_heap);
	must(!wrong, wrong);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		release(slot);
	kheap_trim(&kernel_heap);
	must(free_pages() == pages_free_at_start, "pages were lost");
	return 0;
}
