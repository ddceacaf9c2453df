/* SPDX-License-Identifier: MIT */
#include "fake_kmalloc.h"
#include <quire/kmalloc.h>
#include <stdlib.h>

int fake_kmalloc_left = -1;
unsigned fake_kmalloc_live;

void *kmalloc_array(size_t count, size_t bytes)
{
	void *p = fake_kmalloc_left == 0 ? NULL : calloc(count, bytes);

	if (fake_kmalloc_left > 0)
		fake_kmalloc_left--;
	fake_kmalloc_live += p != NULL;
	return p;
}

void kfree(void *object)
{
	fake_kmalloc_live -= object != NULL;
	free(object);
}
