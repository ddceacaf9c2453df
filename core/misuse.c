/* SPDX-License-Identifier: MIT */
/*
 * Wrong use of an allocator: the report. The allocator has refused the
 * operation already and holds no lock.
 */
#define LOG_TAG "misuse"
#include <quire/log.h>
#include <quire/panic.h>
#include <quire/port.h>
#include <quire/symbols.h>

bool panic_on_corruption;

static void report_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		log_error("  %-12s %s", label, symbol_format(name, address));
}

void port_misuse(const struct misuse *m)
{
	log_error("%s: %s: 0x%llx (refused)", m->allocator, m->what,
		  (unsigned long long)m->address);
	if (m->object)
		log_error("  %-12s 0x%llx, %llu bytes%s%s", "object", (unsigned long long)m->object,
			  (unsigned long long)m->bytes, m->cache ? ", class " : "",
			  m->cache ? m->cache : "");
	if (m->freed_to)
		log_error("  %-12s %s", "given to", m->freed_to);
	report_site("caller", m->caller);
	report_site("allocated by", m->allocated_by);
	report_site("freed by", m->freed_by);
	if (panic_on_corruption)
		port_panic("%s: %s: 0x%llx (panic_on_corruption=1)", m->allocator, m->what,
			   (unsigned long long)m->address);
}
