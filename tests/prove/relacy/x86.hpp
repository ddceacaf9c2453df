/* SPDX-License-Identifier: MIT */
/*
 * As much of an x86-64 CPU as kmalloc's pop and push need: it takes the instructions that the
 * compiler made of quire_fast.h from the program itself, one after the other, hands each access to
 * memory to Relacy, and lets an interrupt come before each of them. What is run is thus what
 * the kernel runs. An instruction it does not know ends the test.
 *
 * Memory: each access is a relaxed one, which is weaker than what x86 promises, so nothing rests on
 * that. An addition to memory is one step for its CPU, but weakened it is two.
 */
#include "real_fast.h"
#include "runtime.hpp"

namespace x86
{

enum {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI
};

inline uintptr_t (*gs_base)();        /* of the CPU that runs */
inline bool (*interrupt_comes)();     /* before the next instruction? NULL: never */
inline void (*handle)();              /* it */
inline unsigned long long interrupts; /* that came in the middle of a run */

struct machine {
	uint64_t r[16];
	uint64_t rip;
	bool zero, carry;
};

inline uint64_t read(uint64_t address, unsigned bytes)
{
	uint64_t v = 0;

	prove::plain(address, bytes, false);
	memcpy(&v, (void *)address, bytes);
	prove::settle();
	return v;
}

inline void write(uint64_t address, uint64_t v, unsigned bytes)
{
	prove::plain(address, bytes, true);
	memcpy((void *)address, &v, bytes);
	prove::settle();
}

/* What else the models take away, to see that it is missed. */
enum breakage {
	WHOLE,
	NO_REWIND,
	NO_UNDO,
	SHORT_RANGE
};
inline const char *const breakages[] = {"runs are not started over", "the state is not put back",
					"the commit is not part of the run"};

inline void interrupt(machine &m)
{
	uint64_t rip = m.rip, nowhere = 0;

	if (prove::broken != NO_REWIND)
		real_rewind(&m.rip, prove::broken == NO_UNDO ? (uint64_t)&nowhere : m.r[RDX],
			    prove::broken == SHORT_RANGE);
	interrupts += m.rip != rip;
	handle();
}

/* One instruction being decoded. */
struct decoder {
	machine &m;
	uint8_t rex = 0;
	bool has_rex = false, narrow = false, gs = false;
	/* The operands: a register, and a register or an address. */
	unsigned reg = 0, rm = 0;
	bool memory = false;
	uint64_t address = 0;

	template <typename T> T fetch()
	{
		T v;

		memcpy(&v, (void *)m.rip, sizeof v);
		m.rip += sizeof v;
		return v;
	}
	[[noreturn]] void unknown(unsigned opcode)
	{
		prove::die("an instruction the model does not know, opcode", opcode);
	}
	unsigned bytes()
	{
		return rex & 8 ? 8 : narrow ? 2 : 4;
	}
	uint8_t prefixes()
	{
		for (;;) {
			uint8_t b = fetch<uint8_t>();

			if (b == 0x66) {
				narrow = true;
			} else if (b == 0x65) {
				gs = true;
			} else if ((b & 0xf0) == 0x40) {
				has_rex = true;
				rex = b;
			} else {
				return b;
			}
		}
	}
	void operands()
	{
		uint8_t modrm = fetch<uint8_t>();
		unsigned mode = modrm >> 6, base;

		reg = (modrm >> 3 & 7) | (rex & 4) << 1;
		rm = (modrm & 7) | (rex & 1) << 3;
		if (mode == 3)
			return;
		memory = true;
		address = gs ? gs_base() : 0;
		if ((modrm & 7) == 4) {
			uint8_t sib = fetch<uint8_t>();
			unsigned index = (sib >> 3 & 7) | (rex & 2) << 2;

			base = (sib & 7) | (rex & 1) << 3;
			if (index != RSP)
				address += m.r[index] << (sib >> 6);
			if ((sib & 7) == RBP && mode == 0)
				address += (uint64_t)(int64_t)fetch<int32_t>();
			else
				address += m.r[base];
		} else if ((modrm & 7) == RBP && mode == 0) {
			int32_t offset = fetch<int32_t>();

			address += m.rip + (uint64_t)(int64_t)offset; /* no immediate may follow */
		} else {
			address += m.r[rm];
		}
		if (mode == 1)
			address += (uint64_t)(int64_t)fetch<int8_t>();
		if (mode == 2)
			address += (uint64_t)(int64_t)fetch<int32_t>();
	}
	static uint64_t cut(uint64_t v, unsigned n)
	{
		return n == 8 ? v : v & (((uint64_t)1 << 8 * n) - 1);
	}
	uint64_t get(unsigned r, unsigned n)
	{
		if (n == 1 && !has_rex && r >= 4)
			unknown(0x88); /* AH and the like */
		return cut(m.r[r], n);
	}
	void set(unsigned r, uint64_t v, unsigned n)
	{
		if (n == 1 && !has_rex && r >= 4)
			unknown(0x88);
		m.r[r] = n >= 4 ? cut(v, n) : (m.r[r] & ~cut(~(uint64_t)0, n)) | cut(v, n);
	}
	uint64_t get_rm(unsigned n)
	{
		return memory ? read(address, n) : get(rm, n);
	}
	void set_rm(uint64_t v, unsigned n)
	{
		if (memory)
			write(address, cut(v, n), n);
		else
			set(rm, v, n);
	}
	uint64_t subtract(uint64_t a, uint64_t b, unsigned n)
	{
		m.carry = a < b;
		m.zero = a == b;
		return cut(a - b, n);
	}
	uint64_t logic(uint64_t v)
	{
		m.carry = false;
		m.zero = v == 0;
		return v;
	}
	/* /0 add, /5 sub, /7 cmp with an immediate. */
	void with_immediate(uint64_t v, unsigned n)
	{
		uint64_t was;

		v = cut(v, n);
		if ((reg & 7) == 0 && memory) {
			bool split =
				prove::order_at((void *)m.rip, "add", __ATOMIC_RELAXED) == SPLIT;

			was = read(address, n);
			if (split && interrupt_comes && interrupt_comes())
				handle();
			write(address, cut(was + v, n), n);
			return;
		}
		was = get_rm(n);
		switch (reg & 7) {
		case 0:
			logic(cut(was + v, n));
			return set_rm(was + v, n);
		case 5:
			return set_rm(subtract(was, v, n), n);
		case 7:
			subtract(was, v, n);
			return;
		default:
			unknown(0x81);
		}
	}
	void jump(bool taken, int64_t distance)
	{
		if (taken)
			m.rip += (uint64_t)distance;
	}
	bool holds(unsigned condition)
	{
		bool v = (condition & 0xe) == 2   ? m.carry
			 : (condition & 0xe) == 4 ? m.zero
			 : (condition & 0xe) == 6 ? m.carry || m.zero
						  : (unknown(condition), false);

		return condition & 1 ? !v : v;
	}
	/* True: it returned. */
	bool step();
};

inline bool decoder::step()
{
	unsigned opcode = prefixes(), n = bytes();
	unsigned __int128 product;

	if ((opcode & 0xf8) == 0xb0) { /* mov to a register */
		set((opcode & 7) | (rex & 1) << 3, fetch<uint8_t>(), 1);
		return false;
	}
	if ((opcode & 0xf8) == 0xb8 && n == 4) {
		set((opcode & 7) | (rex & 1) << 3, fetch<uint32_t>(), 4);
		return false;
	}
	if ((opcode & 0xf0) == 0x70) {
		int8_t distance = fetch<int8_t>();

		jump(holds(opcode & 15), distance);
		return false;
	}
	switch (opcode) {
	case 0xc3:
		return true;
	case 0xeb: {
		int8_t distance = fetch<int8_t>();

		jump(true, distance);
		return false;
	}
	case 0x0f:
		opcode = fetch<uint8_t>();
		if ((opcode & 0xf0) == 0x80) {
			int32_t distance = fetch<int32_t>();

			jump(holds(opcode & 15), distance);
			return false;
		}
		operands();
		if (opcode == 0xb7)
			set(reg, get_rm(2), n);
		else if (opcode == 0xb6)
			set(reg, get_rm(1), n);
		else if (opcode != 0x1f) /* nop */
			unknown(opcode);
		return false;
	case 0x90:
		return false;
	}
	operands();
	switch (opcode) {
	case 0x89:
		set_rm(get(reg, n), n);
		break;
	case 0x8b:
		set(reg, get_rm(n), n);
		break;
	case 0x8d:
		set(reg, address, n);
		break;
	case 0x31:
		set_rm(logic(get_rm(n) ^ get(reg, n)), n);
		break;
	case 0x85:
		logic(get_rm(n) & get(reg, n));
		break;
	case 0x2b:
		set(reg, subtract(get(reg, n), get_rm(n), n), n);
		break;
	case 0x3b:
		subtract(get(reg, n), get_rm(n), n);
		break;
	case 0x39:
		subtract(get_rm(n), get(reg, n), n);
		break;
	case 0x80:
		with_immediate(fetch<uint8_t>(), 1);
		break;
	case 0x81:
		if (narrow)
			unknown(opcode);
		with_immediate((uint64_t)(int64_t)fetch<int32_t>(), n);
		break;
	case 0x83:
		with_immediate((uint64_t)(int64_t)fetch<int8_t>(), n);
		break;
	case 0xc6:
		set_rm(fetch<uint8_t>(), 1);
		break;
	case 0xf7:
		if ((reg & 7) != 4 || n != 8)
			unknown(opcode);
		product = (unsigned __int128)m.r[RAX] * get_rm(8);
		m.r[RAX] = (uint64_t)product;
		m.r[RDX] = (uint64_t)(product >> 64);
		break;
	default:
		unknown(opcode);
	}
	return false;
}

/* A function of up to two arguments, from its first instruction to the one that returns. */
inline uint64_t run(const void *function, uint64_t first, uint64_t second)
{
	machine m = {};

	m.r[RDI] = first;
	m.r[RSI] = second;
	m.rip = (uint64_t)function;
	for (;;) {
		if (prove::active && interrupt_comes && interrupt_comes())
			interrupt(m);
		decoder d{m};
		if (d.step())
			return m.r[RAX];
	}
}

} // namespace x86

extern "C" {

void *prove_pop(uint64_t index)
{
	return (void *)x86::run((const void *)real_pop, index, 0);
}

bool prove_push(slab *s, void *object)
{
	return (uint8_t)x86::run((const void *)real_push, (uint64_t)s, (uint64_t)object);
}

} // extern "C"
