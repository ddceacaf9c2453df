/* SPDX-License-Identifier: MIT */
/*
 * The port's part for proc/ on a host.
 *
 * A context is a ucontext_t on the stack it belongs to: port_context_switch()
 * keeps it in its own frame while it is switched away. AddressSanitizer must be
 * told of every change of stacks, hence the fiber calls.
 */
#define _GNU_SOURCE
#include "host.h"
#include "sched_host.h"
#include <pthread.h>
#include <quire/assert.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Below each stack, for the sanitizers' larger frames and for printf in a failing test. */
#define STACK_SLACK 65536

#define IDLE_ROUNDS_MAX 1000000

struct host_context {
	ucontext_t registers;
	const void *stack; /* what the sanitizer must know about it */
	size_t stack_bytes;
	void (*entry)(void *); /* of a context that has not run */
	void *argument;
};

uint64_t host_clock_ns;
uint64_t host_idle_rounds;
unsigned host_tick_every;

static struct host_context *arriving; /* the context being switched to */
static const void *current_stack;
static size_t current_stack_bytes;

/* ---- stacks ---- */

void *port_stack_alloc(size_t bytes)
{
	char *memory;

	assert(bytes % PAGE_BYTES == 0);
	if (host_allocation_fails())
		return NULL;
	memory = malloc(STACK_SLACK + bytes);
	assert(memory);
	memory += STACK_SLACK;
	for (size_t i = 0; i < bytes; i += sizeof(uint64_t))
		*(uint64_t *)(void *)(memory + i) = THREAD_STACK_PATTERN;
	host_live.stacks++;
	return memory;
}

void port_stack_free(void *stack, size_t bytes)
{
	char *memory = (char *)stack - STACK_SLACK;

	/* Freeing the stack one stands on is the bug the reaper exists to prevent. */
	assert(current_stack != memory);
	/* Frames that never returned have left it poisoned. */
	__asan_unpoison_memory_region(memory, STACK_SLACK + bytes);
	free(memory);
	host_live.stacks--;
}

/* ---- contexts ---- */

static void context_main(void)
{
	struct host_context *self = arriving;

	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
	current_stack = self->stack;
	current_stack_bytes = self->stack_bytes;
	assert(!host_irq_on);
	self->entry(self->argument);
	port_panic("a thread's entry returned");
}

void *port_context_init(void *stack, size_t bytes, void (*entry)(void *), void *argument)
{
	struct host_context *c = (void *)((char *)stack + bytes - sizeof *c);

	c = (void *)align_down((uint64_t)(uintptr_t)c, 64);
	getcontext(&c->registers);
	c->stack = (char *)stack - STACK_SLACK;
	c->stack_bytes = STACK_SLACK + bytes;
	c->entry = entry;
	c->argument = argument;
	c->registers.uc_stack.ss_sp = (char *)stack - STACK_SLACK;
	c->registers.uc_stack.ss_size = (size_t)((char *)c - (char *)stack) + STACK_SLACK;
	c->registers.uc_link = NULL;
	makecontext(&c->registers, context_main, 0);
	return c;
}

void port_context_switch(void **save, void *load)
{
	struct host_context self = {.stack = current_stack, .stack_bytes = current_stack_bytes};
	void *fake_stack;

	assert(!host_irq_on);
	*save = &self;
	arriving = load;
	__sanitizer_start_switch_fiber(&fake_stack, arriving->stack, arriving->stack_bytes);
	swapcontext(&self.registers, &arriving->registers);
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
	current_stack = self.stack;
	current_stack_bytes = self.stack_bytes;
	assert(!host_irq_on);
}

void port_irq_enable(void)
{
	host_irq_on = true;
}

/* ---- time ---- */

uint64_t port_now_ns(void)
{
	static unsigned looks;

	if (host_tick_every && host_irq_on && ++looks % host_tick_every == 0)
		host_tick();
	return host_clock_ns;
}

void host_tick(void)
{
	host_clock_ns += HOST_TICK_NS;
	if (!host_irq_on)
		return;
	host_irq_on = false;
	sched_tick();
	sched_preempt();
	host_irq_on = true;
}

void host_ticks(unsigned n)
{
	while (n--)
		host_tick();
}

void port_idle(void)
{
	assert(!host_irq_on);
	if (++host_idle_rounds > IDLE_ROUNDS_MAX)
		port_panic("idle for ever: nobody will wake");
	host_irq_on = true;
	host_tick();
	host_irq_on = false;
}

void port_idle_end(void)
{
	assert(!host_irq_on);
}

void port_cpu_kick(unsigned cpu)
{
	port_panic("there is no CPU %u", cpu);
}

void port_idle_work(void)
{
	assert(host_irq_on);
}

/* ---- begin and end of a test ---- */

static void find_own_stack(void)
{
	pthread_attr_t attributes;
	void *stack;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &current_stack_bytes);
	current_stack = stack;
	pthread_attr_destroy(&attributes);
}

void host_sched_begin(void)
{
	find_own_stack();
	host_clock_ns = 0;
	host_idle_rounds = 0;
	host_tick_every = 0;
	host_irq_on = true;
	host_fail_after = -1;
	if (sched_init())
		port_panic("no memory for the scheduler");
}

void host_sched_end(void)
{
	const char *wrong = sched_check();

	if (wrong)
		port_panic("%s", wrong);
	/* idle, reaper and the CPU's run queue */
	if (host_live.objects != 3 || host_live.stacks != 2 || host_live.blocks != 0)
		port_panic("left behind: %ld objects, %ld stacks, %ld blocks of pages",
			   host_live.objects - 3, host_live.stacks - 2, host_live.blocks);
	for (struct thread_info t[8], *at = t + thread_list(UINT32_MAX, t, 8); at-- > t;)
		if (at->stack)
			port_stack_free((void *)(uintptr_t)at->stack, at->stack_bytes);
	host_heap_reset();
}
