/* SPDX-License-Identifier: MIT */
/*
 * Under test: proc/sched.c, and as they are balance.c, wait_queue.c, thread.c, …; with idle.c and the
 * kick of smp.c from real_tlb.c. Threads stand on stacks of their own, and switch as in context.S.
 */
#include "real_wake.h"
#include "sched_internal.h"
#include <quire/kmalloc.h>
#include <quire/string.h>

/* A builtin of the compiler's; blind, it is as if the look was not there. */
#define __atomic_load_n(where, order)                                                              \
	(prove_blind(__func__) ? (__typeof__(*(where)))0 : __atomic_load_n(where, order))
#include "../../../proc/sched.c"
#undef __atomic_load_n

static char stacks[PROVE_THREADS][PROVE_STACK_BYTES] __attribute__((aligned(64)));
static unsigned stacks_used;
static char memory[PROVE_MEMORY_BYTES] __attribute__((aligned(64)));
static size_t memory_used;
static struct wait_queue queues[PROVE_QUEUES], never;

void *kzalloc(size_t bytes)
{
	void *p = memory + memory_used;

	memory_used += align_up(bytes, 64);
	if (memory_used > sizeof memory)
		__builtin_trap();
	memset(p, 0, bytes);
	return p;
}

void kfree(void *p)
{
	(void)p;
}

void *port_stack_alloc(size_t bytes)
{
	(void)bytes;
	if (stacks_used == PROVE_THREADS)
		__builtin_trap();
	return stacks[stacks_used++];
}

void port_stack_free(void *stack, size_t bytes)
{
	(void)stack;
	(void)bytes;
}

/* As context.S, but for the canary: GS is not ours here. */
__asm__("	.text\n"
	"	.globl port_context_switch\n"
	"port_context_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	"real_context_start:\n"
	"	movq %r13, %rdi\n"
	"	pushq $0\n"
	"	jmpq *%r12\n");

extern char real_context_start[];

void *port_context_init(void *stack, size_t bytes, void (*entry)(void *), void *argument)
{
	uint64_t *c = (uint64_t *)((char *)stack + PROVE_STACK_BYTES - 16) - 7;

	(void)bytes; /* Relacy stands on it, too */
	memset(c, 0, 7 * sizeof *c);
	c[1] = 0;
	c[2] = (uintptr_t)argument; /* r13 */
	c[3] = (uintptr_t)entry;    /* r12 */
	c[6] = (uintptr_t)real_context_start;
	return c;
}

void port_irq_enable(void)
{
	prove_irq_restore(true);
}

uint64_t port_now_ns(void)
{
	return 0;
}

void port_idle_work(void)
{
	prove_idle_work();
}

/* ---- for the model ---- */

void real_sched_reset(void)
{
	void *top;

	stacks_used = 0;
	memory_used = 0;
	memset(&sched, 0, sizeof sched);
	sched.lock = SPINLOCK_INIT(LOCK_RANK_SCHED);
	list_init(&sched.wait_queues);
	for (unsigned i = 0; i < PROVE_QUEUES; i++)
		wait_queue_init_hidden(&queues[i], "queue");
	wait_queue_init_hidden(&never, "never");
	if (sched_init() || sched_cpu_prepare(1, &top))
		__builtin_trap();
	sched_cpu_online(1);
}

void real_sched_share(void)
{
	prove_share(&sched.lock.held, sizeof sched.lock.held);
	prove_share(&sched.next_wake_ns, sizeof sched.next_wake_ns);
	for (unsigned i = 0; i < 2; i++)
		prove_share(&sched.cpus[i]->need_resched, sizeof sched.cpus[i]->need_resched);
}

void real_thread(void (*entry)(void *), unsigned cpu_plus_one, unsigned priority)
{
	struct thread_options o = {
		.priority = (uint8_t)priority, .detached = true, .cpu_plus_one = cpu_plus_one};

	(void)thread_create("thread", entry, NULL, &o);
}

static bool is_set(void *flag)
{
	return __atomic_load_n((uint32_t *)flag, __ATOMIC_RELAXED);
}

static bool is_never(void *unused)
{
	(void)unused;
	return false;
}

void real_wait(unsigned queue, uint32_t *flag)
{
	(void)wait_queue_wait(&queues[queue], is_set, flag, 0);
}

void real_wake(unsigned queue, uint32_t *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELAXED);
	(void)wait_queue_wake(&queues[queue], 1);
}

void real_wait_for_ever(void)
{
	(void)wait_queue_wait(&never, is_never, NULL, 0);
}

void real_go_on(void (*entry)(void *))
{
	static char stack[PROVE_STACK_BYTES] __attribute__((aligned(64)));
	void *left;

	port_context_switch(&left, port_context_init(stack, sizeof stack, entry, NULL));
}

const char *real_sched_check(void)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct cpu_sched *c = sched.cpus[i];

		if (run_queue_best(&c->ready) < THREAD_PRIORITY_IDLE)
			return "all CPUs halt, and a thread is ready";
		if (c->current != c->idle)
			return "a CPU halts in a thread";
		if (c->need_resched)
			return "all CPUs halt, and one was asked to switch";
	}
	return sched_check();
}
