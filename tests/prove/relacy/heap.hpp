/* SPDX-License-Identifier: MIT */
/*
 * What the models of kmalloc ask of every object and of the books.
 *
 *   while it runs   an object that take() gave is nobody else's until it is given back; what its
 *                   owners do with it is ordered (else a data race)
 *   in the end      the validator of the kernel agrees; live objects are those not given back; when
 *                   all are, and the CPUs are drained, no page is missing
 */
#include "real_kmalloc.h"
#include "x86.hpp"

namespace heap
{

inline struct {
	bool live[PROVE_OBJECTS];
	uint64_t contents[PROVE_OBJECTS]; /* plain */
} objects;

inline void use(void *object)
{
	unsigned i = real_index(object);

	if (i < PROVE_OBJECTS)
		prove::touch(objects.contents[i], true);
}

inline void *take()
{
	void *object = real_alloc();
	unsigned i = real_index(object);

	if (!object || i == PROVE_OBJECTS)
		return object;
	prove::require(!objects.live[i], "an object is handed out twice");
	objects.live[i] = true;
	use(object);
	return object;
}

inline void give(void *object)
{
	unsigned i = real_index(object);

	if (!object)
		return;
	use(object);
	if (i < PROVE_OBJECTS)
		objects.live[i] = false;
	real_free(object);
}

inline void as(unsigned cpu, void (*f)())
{
	prove::acting = cpu;
	f();
	prove::acting = 0;
}

/* Beginning and end of a scenario; its set_up() runs once. */
template <typename derived> struct scene {
	void *held[10]; /* objects in the model's hands */

	static inline char *saved;
	static inline decltype(objects) saved_objects;
	static inline derived *saved_self;

	void begin()
	{
		derived &self = static_cast<derived &>(*this);

		if (!saved) {
			real_heap_reset();
			objects = {};
			self = {};
			self.set_up();
			saved = (char *)malloc(real_heap_bytes());
			real_heap_save(saved);
			saved_objects = objects;
			saved_self = (derived *)malloc(sizeof self);
			memcpy((void *)saved_self, (void *)&self, sizeof self);
		} else {
			real_heap_restore(saved);
			objects = saved_objects;
			memcpy((void *)&self, (void *)saved_self, sizeof self);
		}
		self.ready();
		real_heap_share();
	}
	void ready()
	{
	}
	void end()
	{
		uint64_t live = 0;

		books();
		for (bool one : objects.live)
			live += one;
		prove::require(real_live() == live, "live objects are not those in use");
		all_back();
	}
	static void books()
	{
		const char *wrong = real_check();

		prove::require(!wrong, wrong ? wrong : "");
	}
	/* All objects go back, all CPUs are drained: nothing is held. */
	void give_held(unsigned i)
	{
		give(held[i]);
		held[i] = nullptr;
	}
	void all_back()
	{
		for (void *object : held)
			give(object);
		for (unsigned cpu = 0; cpu < PROVE_HEAP_CPUS; cpu++)
			as(cpu, real_drain);
		real_trim();
		books();
		prove::require(real_held() == 0, "pages are held for nothing");
	}
};

} // namespace heap
