/* SPDX-License-Identifier: MIT */
/* Between the models of many CPUs and the kernel's files about them (real_tlb.c). */
#ifndef QUIRE_PROVE_REAL_TLB_H
#define QUIRE_PROVE_REAL_TLB_H

#include "prove.h"

#define PROVE_CPUS 3

#ifdef __cplusplus
extern "C" {
#endif

/* As at boot, `online` CPUs counted. Shares what is atomic. */
void real_reset(unsigned online);
/* CPU 1's, or 2's, part of the start, up to where the scheduler takes over. */
void real_begin(unsigned cpu);
void real_release(void);
/* Where GS points on a CPU. */
uintptr_t real_gs(unsigned cpu);
/* So many are asked from now on; outside the run. */
void real_online(unsigned count);
/* What trap_dispatch() calls first, and the handler of VECTOR_TLB. */
void idle_interrupted(void);
void real_tlb_interrupt(void);
/* Where the handler of VECTOR_KICK is set, and it. */
void real_kick_init(void);
void real_kicked(void);

void tlb_shootdown(void);
void port_cpus_sync(void);
void port_idle(void);
void tlb_answer(void);
unsigned port_cpus(void);

/* The model's part. */
void prove_forget(void);       /* CR3 was written */
void prove_send(unsigned cpu); /* an interrupt for it */
void prove_first_thread(void); /* sched_cpu_run(): must not return */

#ifdef __cplusplus
}
#endif

#endif
