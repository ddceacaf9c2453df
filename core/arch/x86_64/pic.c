/* SPDX-License-Identifier: MIT */
/*
 * The two 8259 interrupt controllers: moved off the exception vectors, then
 * masked for good. Even masked they may raise their spurious interrupts (7 of each).
 */
#include "platform.h"

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1

static void count_spurious(void)
{
	this_cpu()->spurious++;
}

void pic_disable(void)
{
	/* ICW1: edge, cascade, ICW4 follows; ICW2: vectors; ICW3: cascade on 2; ICW4: 8086 mode. */
	static const struct {
		uint16_t port;
		uint8_t value;
	} sequence[] = {
		{PIC1_COMMAND, 0x11},        {PIC2_COMMAND, 0x11}, {PIC1_DATA, VECTOR_PIC},
		{PIC2_DATA, VECTOR_PIC + 8}, {PIC1_DATA, 0x04},    {PIC2_DATA, 0x02},
		{PIC1_DATA, 0x01},           {PIC2_DATA, 0x01},    {PIC1_DATA, 0xff},
		{PIC2_DATA, 0xff},
	};

	for (size_t i = 0; i < array_len(sequence); i++) {
		outb(sequence[i].port, sequence[i].value);
		io_wait();
	}
	/* Spurious ones need no acknowledgement: no in-service bit is set. */
	interrupt_set_handler(VECTOR_PIC + 7, count_spurious);
	interrupt_set_handler(VECTOR_PIC + 15, count_spurious);
}
