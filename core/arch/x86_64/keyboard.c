/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard behind an 8042 controller. Many PCs have none, and some
 * that have one take their time: presence is checked, and every wait is bounded.
 * A controller that answers but fails its self-test is used all the same: embedded
 * controllers of laptops pass it at the second try or never, and work. Input
 * comes with interrupts off on the boot CPU; no lock.
 */
#define LOG_TAG "keyboard"
#include "platform.h"
#include "scancode.h"
#include <quire/console.h>
#include <quire/log.h>
#include <quire/time.h>

#define PORT_DATA    0x60
#define PORT_STATUS  0x64
#define PORT_COMMAND 0x64

#define STATUS_OUTPUT 0x01 /* a byte for us */
#define STATUS_INPUT  0x02 /* it has not taken our last one */
#define STATUS_MOUSE  0x20 /* that byte is from the second port */

#define COMMAND_READ_CONFIG   0x20
#define COMMAND_WRITE_CONFIG  0x60
#define COMMAND_DISABLE_MOUSE 0xa7
#define COMMAND_SELF_TEST     0xaa
#define COMMAND_DISABLE       0xad
#define COMMAND_ENABLE        0xae
#define SELF_TEST_PASSED      0x55

#define CONFIG_INTERRUPT       0x01
#define CONFIG_MOUSE_INTERRUPT 0x02
#define CONFIG_CLOCK_OFF       0x10
#define CONFIG_TRANSLATE       0x40 /* set 2 from the keyboard to set 1 for us */

#define DEVICE_ENABLE_SCANNING 0xf4

#define KEYBOARD_IRQ 1
#define WAIT_NS      50000000ull  /* for an answer */
#define TEST_WAIT_NS 300000000ull /* a self-test may take this long */
#define TEST_TRIES   3

static bool present;
static struct scancode_state state;

static bool wait_for(uint8_t mask, uint8_t value, uint64_t ns)
{
	uint64_t waited = 0;

	while ((inb(PORT_STATUS) & mask) != value) {
		if (waited >= ns)
			return false;
		time_delay_ns(10000);
		waited += 10000;
	}
	return true;
}

static bool send(uint16_t to, uint8_t byte)
{
	if (!wait_for(STATUS_INPUT, 0, WAIT_NS))
		return false;
	outb(to, byte);
	return true;
}

static int receive(uint64_t ns)
{
	if (!wait_for(STATUS_OUTPUT, STATUS_OUTPUT, ns))
		return -1;
	return inb(PORT_DATA);
}

static void drain(void)
{
	for (unsigned i = 0; i < 64 && (inb(PORT_STATUS) & STATUS_OUTPUT); i++)
		(void)inb(PORT_DATA);
}

static bool write_config(uint8_t config)
{
	return send(PORT_COMMAND, COMMAND_WRITE_CONFIG) && send(PORT_DATA, config);
}

static bool self_test(void)
{
	for (unsigned i = 0; i < TEST_TRIES; i++)
		if (send(PORT_COMMAND, COMMAND_SELF_TEST) &&
		    receive(TEST_WAIT_NS) == SELF_TEST_PASSED)
			return true;
	return false;
}

/* The self-test may reset the configuration, so that is written after it. */
static const char *start_controller(void)
{
	int config;

	if (!send(PORT_COMMAND, COMMAND_DISABLE) || !send(PORT_COMMAND, COMMAND_DISABLE_MOUSE))
		return "the controller takes no commands";
	drain();
	if (!send(PORT_COMMAND, COMMAND_READ_CONFIG) || (config = receive(WAIT_NS)) < 0)
		return "the controller does not answer";
	if (!self_test())
		log_warn("the PS/2 controller fails its self-test; using it all the same");
	config &= ~(CONFIG_CLOCK_OFF | CONFIG_MOUSE_INTERRUPT);
	config |= CONFIG_TRANSLATE | CONFIG_INTERRUPT;
	if (!write_config((uint8_t)config) || !send(PORT_COMMAND, COMMAND_ENABLE))
		return "the controller takes no configuration";
	return NULL;
}

static void keyboard_interrupt(void)
{
	keyboard_poll();
	apic_end_of_interrupt();
}

void keyboard_init(void)
{
	const char *problem;

	if (platform()->no_i8042) {
		log_info("no PS/2 controller (the ACPI tables say so)");
		return;
	}
	if (inb(PORT_STATUS) == 0xff) {
		log_info("no PS/2 controller");
		return;
	}
	problem = start_controller();
	if (problem) {
		log_warn("no PS/2 keyboard: %s", problem);
		return;
	}
	/* A keyboard that is not there does not acknowledge; it may be plugged in later. */
	if (send(PORT_DATA, DEVICE_ENABLE_SCANNING) && receive(WAIT_NS) < 0)
		log_info("PS/2 controller, but no keyboard answers yet");
	drain();
	present = true;
	interrupt_set_handler(VECTOR_ISA + KEYBOARD_IRQ, keyboard_interrupt);
	log_info("PS/2 keyboard, %s",
		 ioapic_enable_isa(KEYBOARD_IRQ) ? "interrupt 1" : "polled by the tick");
}

void keyboard_poll(void)
{
	if (!present)
		return;
	for (unsigned i = 0; i < 32; i++) {
		uint8_t status = inb(PORT_STATUS), byte;
		uint32_t key;

		if (!(status & STATUS_OUTPUT) || status == 0xff)
			return;
		byte = inb(PORT_DATA);
		if (status & STATUS_MOUSE)
			continue;
		key = scancode_decode(&state, byte);
		if (key != KEY_NONE)
			console_key(key);
	}
}
