/* SPDX-License-Identifier: MIT */
/*
 * Which calls fail. Nothing here depends on time or address: the same calls and the same
 * plan give the same failures.
 *
 *   the call with number c of those that count fails  <=>
 *     every   c mod n = 0        nth   c = n        from   c >= n
 *     prob    mix(seed + c) mod 1,000,000 < n
 *
 * Lock: none; numbers are given out atomically.
 */
#include <quire/alloc_fail.h>
#include <quire/compiler.h>

#define MILLION 1000000u

/* The finalizer of splitmix64: numbers in a row come out scattered. */
static uint64_t mix(uint64_t z)
{
	z *= 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool plan_hits(const struct alloc_fail_plan *plan, uint64_t call)
{
	switch (plan->mode) {
	case ALLOC_FAIL_EVERY:
		return call % plan->n == 0;
	case ALLOC_FAIL_NTH:
		return call == plan->n;
	case ALLOC_FAIL_FROM:
		return call >= plan->n;
	case ALLOC_FAIL_PROB:
		return mix(plan->seed + call) % MILLION < plan->n;
	case ALLOC_FAIL_OFF:
		break;
	}
	return false;
}

bool alloc_fail_hits(struct alloc_fail *fail, uintptr_t caller)
{
	const struct alloc_fail_plan *plan = &fail->plan;
	uint64_t call;

	/* A return address may be that of the next function: what counts is the call before it. */
	if (plan->end && caller - 1 - plan->first >= plan->end - plan->first)
		return false;
	call = __atomic_add_fetch(&fail->calls, 1, __ATOMIC_RELAXED);
	if (!plan_hits(plan, call))
		return false;
	__atomic_add_fetch(&fail->failures, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&fail->last_caller, caller, __ATOMIC_RELAXED);
	return true;
}
