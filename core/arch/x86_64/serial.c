/* SPDX-License-Identifier: MIT */
/*
 * A 16550 serial port as a console, found and not assumed: the scratch
 * register must keep what is written and the loopback must return a byte, or
 * there is no port. 115200 baud, 8 bits, no parity, 1 stop bit.
 *
 * Output waits for the transmitter, but never for ever: a port that does not
 * drain is stuck, gets nothing, and costs one look a write until it drains
 * again. Output is serialised by the console's lock; input comes with interrupts
 * off on the boot CPU.
 */
#define LOG_TAG "serial"
#include "platform.h"
#include <quire/arch.h>
#include <quire/console.h>
#include <quire/log.h>

#define REG_DATA        0 /* divisor low with LCR_DIVISOR */
#define REG_INTERRUPT   1 /* divisor high with LCR_DIVISOR */
#define REG_FIFO        2 /* write; read: which interrupt */
#define REG_LINE        3
#define REG_MODEM       4
#define REG_LINE_STATUS 5
#define REG_SCRATCH     7

#define LCR_8N1      0x03
#define LCR_DIVISOR  0x80
#define FIFO_ON      0xc7 /* enable, clear both, interrupt at 14 bytes */
#define MODEM_READY  0x0b /* DTR, RTS, and OUT2, which lets interrupts out */
#define MODEM_LOOP   0x1e
#define STATUS_DATA  0x01
#define STATUS_EMPTY 0x20
#define INTERRUPT_RX 0x01

#define FIFO_BYTES 16
/*
 * At 115200 baud the FIFO drains in 1.4 ms; a port read takes about a microsecond. A virtual
 * port drains when somebody reads it, which on a busy host takes a good part of a second.
 */
#define WAIT_READS_MAX     2000000u
#define LOOPBACK_READS_MAX 100000u

static uint16_t port; /* 0 = none */
static unsigned irq;
static bool stuck;

static uint8_t get(unsigned reg)
{
	return inb((uint16_t)(port + reg));
}

static void put(unsigned reg, uint8_t value)
{
	outb((uint16_t)(port + reg), value);
}

static bool wait_status(uint8_t bit, unsigned reads)
{
	while (reads--)
		if (get(REG_LINE_STATUS) & bit)
			return true;
	return false;
}

/* `room` is what the FIFO surely still takes. */
static bool write_byte(uint8_t byte, unsigned *room)
{
	if (!*room) {
		stuck = !wait_status(STATUS_EMPTY, stuck ? 1 : WAIT_READS_MAX);
		if (stuck)
			return false;
		*room = FIFO_BYTES;
	}
	put(REG_DATA, byte);
	--*room;
	return true;
}

static void serial_write(struct console_sink *to, const char *text, size_t length)
{
	unsigned room = 0;

	(void)to;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n' && !write_byte('\r', &room))
			return;
		if (!write_byte((uint8_t)text[i], &room))
			return;
	}
}

static struct console_sink sink = {.write = serial_write};

static bool keeps_scratch(uint8_t value)
{
	put(REG_SCRATCH, value);
	io_wait(); /* so that the bus does not just echo the last value */
	return get(REG_SCRATCH) == value;
}

/* A byte sent round inside the chip must come back. */
static bool loops_back(void)
{
	bool same;

	put(REG_MODEM, MODEM_LOOP);
	put(REG_DATA, 0xae);
	same = wait_status(STATUS_DATA, LOOPBACK_READS_MAX) && get(REG_DATA) == 0xae;
	put(REG_MODEM, MODEM_READY);
	return same;
}

static bool probe(uint16_t base)
{
	port = base;
	if (!keeps_scratch(0x55) || !keeps_scratch(0xaa))
		return false;
	put(REG_INTERRUPT, 0);
	put(REG_LINE, LCR_DIVISOR);
	put(REG_DATA, 1); /* 115200 / 1 */
	put(REG_INTERRUPT, 0);
	put(REG_LINE, LCR_8N1);
	put(REG_FIFO, FIFO_ON);
	return loops_back();
}

void serial_init(void)
{
	static const struct {
		uint16_t base;
		unsigned irq;
	} usual[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

	for (size_t i = 0; i < array_len(usual); i++)
		if (probe(usual[i].base)) {
			irq = usual[i].irq;
			console_add_sink(&sink);
			log_info("16550 at port 0x%x", port);
			return;
		}
	port = 0;
}

/* Interrupts off. The count bounds a port that claims data for ever. */
void serial_poll(void)
{
	if (!port)
		return;
	for (unsigned i = 0; i < 4 * FIFO_BYTES; i++) {
		uint8_t status = get(REG_LINE_STATUS);

		if (!(status & STATUS_DATA) || status == 0xff)
			return;
		console_serial_byte(get(REG_DATA));
	}
}

static void serial_interrupt(void)
{
	serial_poll();
	(void)get(REG_FIFO); /* reading the cause clears it */
	apic_end_of_interrupt();
}

void serial_enable_interrupt(void)
{
	if (!port)
		return;
	interrupt_set_handler(VECTOR_ISA + irq, serial_interrupt);
	if (ioapic_enable_isa(irq))
		put(REG_INTERRUPT, INTERRUPT_RX);
	else
		log_warn("no route for interrupt %u: polled by the tick", irq);
}
