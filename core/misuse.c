/* SPDX-License-Identifier: MIT */
/*
 * Wrong use of an allocator: the report. The allocator has refused the
 * operation already and holds no lock.
 */
#define LOG_TAG "misuse"
#include <quire/log.h>
#include <quire/memory.h>
#include <quire/panic.h>
#include <quire/port.h>
#include <quire/string.h>
#include <quire/symbols.h>

typedef unsigned long long ull; /* what %llu wants */

bool panic_on_corruption;

static void report_site(const char *label, uintptr_t address)
{
	char name[64];

	if (address)
		log_error("  %-12s %s", label, symbol_format(name, address));
}

/* Pages: the address is physical, and its frame is how people and `peek` know it. */
static void report_page(const struct misuse *m)
{
	pfn_t frame = paddr_to_pfn(paddr(m->address));
	const char *reserved = memory_reserved_for(frame);

	if (frame.n < PFN_LIMIT)
		log_error("  %-12s pfn 0x%llx%s%s", "page", (ull)frame.n,
			  reserved ? ", in the " : "", reserved ? reserved : "");
	if (m->bytes)
		log_error("  %-12s 0x%llx, %s: %llu pages from pfn 0x%llx", "object",
			  (ull)m->object, m->cache ? m->cache : "?", (ull)bytes_to_pages(m->bytes),
			  (ull)paddr_to_pfn(paddr(m->object)).n);
	if (m->freed_to)
		log_error("  %-12s %s", "freed as", m->freed_to);
	if (m->expected)
		log_error("  %-12s 0x%016llx instead of 0x%016llx", "found", (ull)m->found,
			  (ull)m->expected);
}

/* The frame of an object; that of a guarded one must be told, its address says nothing. */
static uint64_t frame_of(const struct misuse *m)
{
	if (m->pfn.n)
		return m->pfn.n;
	return paddr_to_pfn(port_virt_to_phys((void *)(uintptr_t)m->object)).n;
}

/* Where the address lies, seen from the object. */
static void report_place(const struct misuse *m)
{
	uint64_t end = m->object + m->bytes;

	if (m->address == m->object)
		return;
	if (m->address < m->object)
		log_error("  %-12s %llu bytes before its start", "place",
			  (ull)(m->object - m->address));
	else if (m->address >= end)
		log_error("  %-12s %llu bytes behind its end", "place",
			  (ull)(m->address - end + 1));
	else
		log_error("  %-12s byte %llu of it", "place", (ull)(m->address - m->object));
}

/* What a cache that was to be destroyed still holds. */
static void report_live(const struct misuse *m)
{
	char name[64];

	log_error("  %-12s %s: %llu objects of %llu bytes are live", "cache", m->cache,
		  (ull)m->live, (ull)m->bytes);
	for (unsigned i = 0; i < MISUSE_LEAKS && m->left[i].object; i++)
		log_error("  %-12s 0x%llx, allocated by %s", "live", (ull)m->left[i].object,
			  m->left[i].allocated_by ? symbol_format(name, m->left[i].allocated_by)
						  : "? (track=1 tells)");
}

static void report_object(const struct misuse *m)
{
	if (m->live)
		report_live(m);
	if (m->object) {
		log_error("  %-12s 0x%llx, %llu bytes%s%s, pfn 0x%llx", "object", (ull)m->object,
			  (ull)m->bytes, m->cache ? ", class " : "", m->cache ? m->cache : "",
			  (ull)frame_of(m));
		report_place(m);
	}
	if (m->freed_to)
		log_error("  %-12s %s", "given to", m->freed_to);
}

void port_misuse(const struct misuse *m)
{
	port_irq_t irq = port_irq_save();
	unsigned cpu = port_cpu();

	port_irq_restore(irq);
	log_error("%s: %s: 0x%llx%s", m->allocator, m->what, (ull)m->address,
		  m->when == MISUSE_REFUSED ? " (refused)" : "");
	if (!strcmp(m->allocator, "page"))
		report_page(m);
	else
		report_object(m);
	report_site(m->when == MISUSE_FOUND ? "found by" : "caller", m->caller);
	log_error("  %-12s %u", "on CPU", cpu);
	report_site("allocated by", m->allocated_by);
	report_site("freed by", m->freed_by);
	if (panic_on_corruption)
		port_panic("%s: %s: 0x%llx (panic_on_corruption=1)", m->allocator, m->what,
			   (ull)m->address);
}
