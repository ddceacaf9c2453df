/* SPDX-License-Identifier: MIT */
/*
 * Stack canaries of the loader. For PE targets the compiler keeps one for all frames in
 * __security_cookie and hands what it finds in a frame to __security_check_cookie() before the
 * function returns. A loader whose return address may be wrong does not return: to the firmware
 * by Exit(), or nowhere once the firmware is gone.
 */
#include "arch.h"
#include "lib.h"
#include "loader.h"

#define GOLDEN_RATIO  0x9e3779b97f4a7c15ull
#define SMASHED_BYTES 40
#define COOKIE_SHIFT  16 /* the compiler mixes in the frame's address: keep the top bits free */

uint64_t __security_cookie = GOLDEN_RATIO >> COOKIE_SHIFT;
void __security_check_cookie(uint64_t cookie);

/* Out of line: inlined, clang 14 would have its caller look at a canary. */
static __attribute__((noinline)) uint64_t firmware_random(const struct loader *l)
{
	EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
	EFI_RNG_PROTOCOL *rng;
	uint64_t random = 0;

	if (EFI_ERROR(l->boot->LocateProtocol(&guid, NULL, (void **)&rng)) ||
	    EFI_ERROR(rng->GetRNG(rng, NULL, sizeof random, (UINT8 *)&random)))
		return 0;
	return random;
}

/* Its own canary is the old one; so it does not look at it. */
__attribute__((no_stack_protector)) void guard_init(const struct loader *l)
{
	uint64_t random = firmware_random(l) ^ arch_counter() * GOLDEN_RATIO;

	__security_cookie = (random ^ random << 31) >> COOKIE_SHIFT;
}

void __security_check_cookie(uint64_t cookie)
{
	if (cookie == __security_cookie)
		return;
	loader_give_up("a local array was written past its end");
}

/* fail=stack: do it. */
void guard_provoke(void)
{
	char text[16], *volatile at = text;

	memset(at, 'A', SMASHED_BYTES);
}
