/* SPDX-License-Identifier: MIT */
/* Restartable runs of instructions: quire_fast.h has them, restart.c starts them over. */
#ifndef QUIRE_X86_RESTART_H
#define QUIRE_X86_RESTART_H

#include "trap.h"

/* As RESTARTABLE of quire_fast.h writes it. */
struct restartable {
	uint64_t start;  /* first instruction */
	uint64_t commit; /* last one: the whole effect, but for the state RDX points at */
	uint64_t undo;   /* what that state was */
};

/* Before the first interrupt. */
void restart_init(void);

/* Interrupted in the middle of one: as if it had not begun. */
void restart_rewind(struct trap_frame *f);

/* The one an address lies in behind its start, or NULL. */
const struct restartable *restartable_at(uint64_t rip);

extern const struct restartable __start_restartable[], __stop_restartable[];

#endif
