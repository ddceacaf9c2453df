/* SPDX-License-Identifier: MIT */
/* Between the model of waking and the scheduler's files (real_wake.c). */
#ifndef QUIRE_PROVE_REAL_WAKE_H
#define QUIRE_PROVE_REAL_WAKE_H

#include "real_tlb.h"

#define PROVE_THREADS      8
#define PROVE_STACK_BYTES  131072
#define PROVE_QUEUES       3
#define PROVE_PRIORITY     16 /* the boot thread's */
#define PROVE_MEMORY_BYTES 65536

#ifdef __cplusplus
extern "C" {
#endif

/* As at boot: CPU 0 runs the boot thread, the caller; CPU 1 is listed and about to start. */
void real_sched_reset(void);
/* Of all that is atomic, or is read without the lock. */
void real_sched_share(void);
/* A detached thread; cpu_plus_one and priority as in struct thread_options. */
void real_thread(void (*entry)(void *), unsigned cpu_plus_one, unsigned priority);
/* Wait until *flag; set it and wake one who waits. Up to PROVE_QUEUES queues. */
void real_wait(unsigned queue, uint32_t *flag);
void real_wake(unsigned queue, uint32_t *flag);
void real_wait_for_ever(void);
/* The boot thread goes on there, on a stack that may go to another CPU. Does not return. */
void real_go_on(void (*entry)(void *));
/* NULL, or what is wrong when all CPUs have halted. */
const char *real_sched_check(void);

void sched_cpu_run(void);
void sched_preempt(void);
void thread_pin(unsigned cpu_plus_one);

/* The model's part. */
bool prove_blind(const char *function); /* does it see zero in what it looks at? */
void prove_idle_work(void);

#ifdef __cplusplus
}
#endif

#endif
