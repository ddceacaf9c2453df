/* SPDX-License-Identifier: MIT */
/*
 * The console's input side: keys from every source into one queue.
 *
 *	keys in the queue = keys_put - keys_taken   (free-running), at most KEYS_MAX
 *
 * Drivers put in interrupt context, one thread takes. Typed ahead input is kept up to
 * KEYS_MAX; past that a key is refused with a bell, except that Ctrl-C
 * is always noted.
 *
 * Lock: keys_lock, innermost. The wait queue has the scheduler's; its condition
 * reads the two counters without a lock.
 */
#include "serial_decode.h"
#include <quire/console.h>
#include <quire/spinlock.h>
#include <quire/thread.h>

#define KEYS_MAX 4096 /* a power of two */

static struct spinlock keys_lock = SPINLOCK_INIT(LOCK_RANK_LOG);
static uint32_t keys[KEYS_MAX];
static uint32_t keys_put, keys_taken;
static bool interrupted;
static struct serial_decoder decoder;

static struct wait_queue waiters;
static bool waiters_ready;

void console_input_init(void)
{
	wait_queue_init(&waiters, "console keys");
	__atomic_store_n(&waiters_ready, true, __ATOMIC_RELEASE);
}

static bool put_key(uint32_t key)
{
	port_irq_t irq = spin_lock(&keys_lock);
	bool room = keys_put - keys_taken < KEYS_MAX;

	if (room) {
		keys[keys_put % KEYS_MAX] = key;
		__atomic_store_n(&keys_put, keys_put + 1, __ATOMIC_RELAXED);
	}
	if (key == KEY_INTERRUPT)
		interrupted = true;
	spin_unlock(&keys_lock, irq);
	return room;
}

static uint32_t take_key(void)
{
	port_irq_t irq = spin_lock(&keys_lock);
	uint32_t key = KEY_NONE;

	if (keys_put != keys_taken) {
		key = keys[keys_taken % KEYS_MAX];
		__atomic_store_n(&keys_taken, keys_taken + 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&keys_lock, irq);
	return key;
}

void console_key(uint32_t key)
{
	if (key == KEY_NONE)
		return;
	if (!put_key(key))
		console_write("\a", 1);
	if (__atomic_load_n(&waiters_ready, __ATOMIC_ACQUIRE))
		wait_queue_wake(&waiters, 1);
}

void console_serial_byte(uint8_t byte)
{
	uint32_t decoded[2];
	unsigned count = serial_decode(&decoder, byte, decoded);

	for (unsigned i = 0; i < count; i++)
		console_key(decoded[i]);
}

static bool have_key(void *unused)
{
	(void)unused;
	return __atomic_load_n(&keys_put, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&keys_taken, __ATOMIC_RELAXED);
}

uint32_t console_read_key(uint64_t timeout_ns)
{
	for (;;) {
		uint32_t key = take_key();

		if (key != KEY_NONE)
			return key;
		if (wait_queue_wait(&waiters, have_key, NULL, timeout_ns))
			return KEY_NONE;
	}
}

void console_flush_interrupt(void)
{
	port_irq_t irq = spin_lock(&keys_lock);

	for (uint32_t k = keys_put; k != keys_taken; k--) {
		if (keys[(k - 1) % KEYS_MAX] == KEY_INTERRUPT) {
			__atomic_store_n(&keys_taken, k, __ATOMIC_RELAXED);
			break;
		}
	}
	interrupted = false;
	spin_unlock(&keys_lock, irq);
}

bool console_interrupted(void)
{
	return __atomic_exchange_n(&interrupted, false, __ATOMIC_RELAXED);
}
