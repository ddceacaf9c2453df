/* SPDX-License-Identifier: MIT */
/* What the code under test and a model of it share. C and C++. */
#ifndef QUIRE_PROVE_H
#define QUIRE_PROVE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which of the model's threads runs: it plays the CPU of that number. */
unsigned prove_cpu(void);

/* Interrupts of a CPU; the model delivers what is pending when they are turned on. */
bool prove_irq_save(void);
void prove_irq_restore(bool on);
bool prove_irq_enabled(void);

/* In every loop that waits for another CPU. */
void prove_relax(void);

/* A location that several threads use at once; see runtime.hpp. Only before they run. */
void prove_share(void *location, unsigned bytes);
/* The same, where plain reads are of a pointer: what is read through it comes after. */
void prove_share_pointer(void *location, unsigned bytes);

/* An instruction that C has no words for: "pause", "sti\n\thlt\n\tcli", … */
void prove_instruction(const char *text);

#ifdef __cplusplus
}
#endif

#endif
