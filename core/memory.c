/* SPDX-License-Identifier: MIT */
/*
 * From the hand-over to a working page allocator.
 *
 *   firmware map --memmap_kind--> region inputs --region_build--> regions
 *   ACPI tables --numa_init--> nodes
 *   regions + place of the array --desc_plan_fit--> which pageblocks are described
 *   boot pool --boot_alloc--> region tables, page tables, superblocks, bitmaps
 *   regions --page_add--> free frames
 *
 * At first the boot pool still counts as reclaimable, because page tables and
 * superblocks are carved from it and its unused end comes back. When nothing
 * more is taken, the used part is laid over the regions as metadata. From then on the equation in quire/memory.h holds.
 *
 * All of this happens once, on one CPU, with interrupts off: no lock. Afterwards
 * everything here is read-only.
 */
#define LOG_TAG "memory"
#include "watch.h"
#include <quire/arch.h>
#include <quire/assert.h>
#include <quire/cmdline.h>
#include <quire/kmalloc.h>
#include <quire/log.h>
#include <quire/memmap.h>
#include <quire/memory.h>
#include <quire/numa.h>
#include <quire/port.h>
#include <quire/shell.h>
#include <quire/string.h>
#include <quire/thread.h>
#include <quire/time.h>

/* debug=1: redzones, poison and quarantine. */
#ifdef QUIRE_MEMORY_DEBUG
#define DEBUG_DEFAULT true
#else
#define DEBUG_DEFAULT false
#endif

#define TRIM_PERIOD_NS  1000000000ull
#define DRAIN_PERIOD_NS 100000000ull
#define SAMPLE_MS       100u
#define SAMPLE_MS_MAX   3600000u

struct page_allocator kernel_pages;
struct kheap kernel_heap;

/* Where boot_alloc() takes from: [next, end) is still free. */
static struct {
	paddr_t next;
	paddr_t end;
} pool;

static struct {
	const struct boot_info *info;
	const void *map;
	size_t map_entries;
	struct region *regions; /* normal form, with the kernel's own laid over */
	size_t region_count;
	struct region *ram; /* every frame with RAM behind it, whatever its kind */
	size_t ram_count;
	size_t capacity; /* of each of the two tables */
	struct desc_plan plan;
	struct boot_range pool_used; /* the rest of the pool is loader memory like any other */
	struct boot_range shadow;    /* of memory, in a build that checks every access */
	uint64_t handed_over;        /* pages given to the page allocator */
	bool reclaimed;
} memory;

void *boot_alloc_raw(size_t bytes)
{
	uint64_t size = align_up(bytes, 64);
	void *p;

	if (bytes == 0 || size < bytes || size > pool.end.a - pool.next.a)
		return NULL;
	/* Page-sized requests are page tables and the like: aligned. */
	if (size >= PAGE_BYTES) {
		uint64_t aligned = align_up(pool.next.a, PAGE_BYTES);

		if (aligned > pool.end.a || size > pool.end.a - aligned)
			return NULL;
		pool.next.a = aligned;
	}
	p = port_phys_to_virt(pool.next);
	pool.next.a += size;
	return p;
}

void *boot_alloc(size_t bytes)
{
	void *p = boot_alloc_raw(bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

static void *boot_alloc_or_panic(size_t bytes, const char *what)
{
	void *p = boot_alloc(bytes);

	if (!p)
		port_panic("boot pool exhausted while making the %s (%zu bytes wanted)", what,
			   bytes);
	return p;
}

static const struct boot_mem_desc *firmware_entry(size_t i)
{
	return boot_map_at(memory.map, memory.info->map_stride, i);
}

struct input_list {
	struct region_input *entries;
	size_t count, capacity;
};

static void add_input(struct input_list *list, uint64_t base, uint64_t pages, enum region_kind kind)
{
	assert(list->count < list->capacity);
	list->entries[list->count++] = (struct region_input){base, pages, kind};
}

/*
 * Normal form grows every kind but usable to whole pages, reclaimable too. A
 * page of which boot services had only a part is not ours to give out: keep it.
 */
static void withhold_partial_pages(struct input_list *list, const struct boot_mem_desc *d)
{
	uint64_t end = d->phys + d->pages * PAGE_BYTES;

	if (d->phys & PAGE_MASK) {
		add_input(list, align_down(d->phys, PAGE_BYTES), 1, REGION_RESERVED);
		add_input(list, align_down(end, PAGE_BYTES), 1, REGION_RESERVED);
	}
}

/* What the direct map cannot show, or the CPU not reach, cannot be used. */
static void withhold_out_of_reach(struct input_list *list, const struct boot_mem_desc *d)
{
	uint64_t end = d->phys + d->pages * PAGE_BYTES;
	uint64_t reach = arch_physical_bytes(), start;

	if (reach > DIRECT_MAP_BYTES)
		reach = DIRECT_MAP_BYTES;
	start = d->phys > reach ? d->phys : reach;

	if (end > start)
		add_input(list, start, bytes_to_pages(end - start), REGION_RESERVED);
}

static void gather_firmware_map(struct input_list *list)
{
	for (size_t i = 0; i < memory.map_entries; i++) {
		const struct boot_mem_desc *d = firmware_entry(i);
		enum region_kind kind = memmap_kind(d->type);

		add_input(list, d->phys, d->pages, kind);
		if (kind != REGION_USABLE && kind != REGION_RECLAIMABLE)
			continue;
		if (d->pages == 0 || d->pages > (~(uint64_t)0 - d->phys) >> PAGE_SHIFT)
			continue; /* dropped by region_build() as well */
		if (kind == REGION_RECLAIMABLE)
			withhold_partial_pages(list, d);
		withhold_out_of_reach(list, d);
	}
}

static void gather_range(struct input_list *list, const struct boot_range *range,
			 enum region_kind kind)
{
	add_input(list, range->base, range->pages, kind);
}

/*
 * The framebuffer is mostly in no entry, sometimes in reserved RAM; firmware that lists it as boot
 * services' memory would have us draw over what we hand out.
 */
static void gather_framebuffer(struct input_list *list)
{
	const struct boot_framebuffer *fb = &memory.info->framebuffer;

	if (fb->format != BOOT_PIXELS_NONE)
		add_input(list, fb->base, bytes_to_pages(fb->bytes), REGION_MMIO);
}

static void build_regions(struct input_list *list, const struct boot_range *pool_used)
{
	const struct boot_info *bi = memory.info;

	list->count = 0;
	gather_firmware_map(list);
	gather_framebuffer(list);
	gather_range(list, &bi->kernel, REGION_KERNEL);
	gather_range(list, &bi->info, REGION_KERNEL);
	gather_range(list, &bi->descriptors, REGION_METADATA);
	gather_range(list, pool_used, REGION_METADATA);
	if (region_build(list->entries, list->count, memory.regions, memory.capacity,
			 &memory.region_count))
		port_panic("the region table has no room for the firmware map");
}

/* Of the RAM table keep what is RAM, as one kind. */
static void keep_ram(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < memory.ram_count; i++) {
		struct region r = memory.ram[i];

		if (r.kind == REGION_PERSISTENT || r.kind == REGION_MMIO)
			continue;
		r.kind = REGION_RESERVED;
		if (kept && region_end(&memory.ram[kept - 1]) == r.start.n)
			memory.ram[kept - 1].pages += r.pages;
		else
			memory.ram[kept++] = r;
	}
	memory.ram_count = kept;
}

/*
 * Where a device's registers or persistent memory lie over RAM, by the same order of kinds as in
 * the regions, it is no RAM: the direct map must not show it as cacheable memory. Reserved address
 * space without RAM takes nothing away: what another entry has RAM in stays RAM.
 */
static void build_ram(struct input_list *list)
{
	list->count = 0;
	for (size_t i = 0; i < memory.map_entries; i++) {
		const struct boot_mem_desc *d = firmware_entry(i);
		enum region_kind kind = memmap_kind(d->type);

		if (kind == REGION_PERSISTENT || kind == REGION_MMIO ||
		    memmap_is_ram(d->type, d->attributes))
			add_input(list, d->phys, d->pages, kind);
	}
	if (region_build(list->entries, list->count, memory.ram, memory.capacity,
			 &memory.ram_count))
		port_panic("the RAM table has no room for the firmware map");
	keep_ram();
}

#ifdef QUIRE_KASAN
/* Off the end of the largest usable region, before anybody else has it. */
static void make_shadow(void)
{
	uint64_t pages = arch_shadow_pages(memory.ram, memory.ram_count);
	const struct region *best = NULL;
	pfn_t first;

	for (size_t i = 0; i < memory.region_count; i++) {
		const struct region *r = &memory.regions[i];

		if (r->kind == REGION_USABLE && (!best || r->pages > best->pages))
			best = r;
	}
	if (!best || best->pages <= pages)
		port_panic(
			"this build checks every access, and needs %llu MiB in one piece for it: "
			"give the machine an eighth more memory and 16 MiB",
			(unsigned long long)(pages / 256 + 1));
	first = pfn_add(best->start, best->pages - pages);
	if (!region_carve(memory.regions, &memory.region_count, memory.capacity, first, pages,
			  REGION_METADATA))
		port_panic("the region table has no room for the shadow");
	memory.shadow.base = pfn_to_paddr(first).a;
	memory.shadow.pages = pages;
	arch_shadow_init(memory.ram, memory.ram_count, first, pages);
	log_info("every access is checked: %llu pages of shadow", (unsigned long long)pages);
}

/* What is poisoned passes through the slow functions; reports name who allocated and freed. */
static void watch_always(void)
{
	page_watch(&kernel_pages, WATCH_SHADOW, 0);
	kheap_watch(&kernel_heap, WATCH_SHADOW | WATCH_TRACK, 0);
}
#else
static void make_shadow(void)
{
}

static void watch_always(void)
{
}
#endif

static void add_regions(enum region_kind kind)
{
	for (size_t i = 0; i < memory.region_count; i++) {
		const struct region *r = &memory.regions[i];

		if (r->kind != kind)
			continue;
		port_poison(port_phys_to_virt(pfn_to_paddr(r->start)), r->pages * PAGE_BYTES,
			    POISON_PAGE);
		memory.handed_over += page_add(&kernel_pages, r->start, r->pages);
	}
}

/* Once the pool's end is known, what is left of it can be used like other loader memory. */
static void close_pool(void)
{
	uint64_t used_end = align_up(pool.next.a, PAGE_BYTES);

	pool.end.a = pool.next.a;
	memory.pool_used = (struct boot_range){
		memory.info->pool.base,
		(used_end - memory.info->pool.base) >> PAGE_SHIFT,
	};
}

/* page_sample=MS or off: how often each CPU fills a page it frees with a pattern. */
static void set_sample_rate(void)
{
	uint64_t ms = SAMPLE_MS, ticks;
	char text[16];

	if (cmdline_get("page_sample", text, sizeof text)) {
		if (!strcmp(text, "off"))
			ms = 0;
		else if (shell_parse_u64(text, &ms) || ms > SAMPLE_MS_MAX)
			log_warn("page_sample=%s: expected milliseconds or off", text);
	}
	if (ms > SAMPLE_MS_MAX)
		ms = SAMPLE_MS;
	ticks = ms * TICK_HZ / 1000;
	page_sample_rate(&kernel_pages, ms && !ticks ? 1 : (uint32_t)ticks);
}

void memory_init(const struct boot_info *bi)
{
	struct boot_range nothing = {0, 0};
	struct input_list list = {0};
	struct page_config config;

	memory.info = bi;
	memory.map = port_phys_to_virt(paddr(bi->map));
	memory.map_entries = bi->map_bytes / bi->map_stride;
	pool.next = paddr(bi->pool.base);
	pool.end = paddr(bi->pool.base + bi->pool.pages * PAGE_BYTES);

	/* An entry gives at most four inputs (itself and three withheld pieces); four ranges are
	 * ours, and the framebuffer. */
	list.capacity = 4 * memory.map_entries + 5;
	memory.capacity = 2 * list.capacity + 1;
	list.entries = boot_alloc_or_panic(list.capacity * sizeof *list.entries, "region inputs");
	memory.regions =
		boot_alloc_or_panic(memory.capacity * sizeof *memory.regions, "region table");
	memory.ram = boot_alloc_or_panic(memory.capacity * sizeof *memory.ram, "RAM table");

	build_ram(&list);
	build_regions(&list, &nothing);
	arch_paging_init(bi, memory.ram, memory.ram_count, memory.regions, memory.region_count);

	desc_plan_fit(memory.regions, memory.region_count, bi->descriptors.pages, &memory.plan);
	memory.plan.start = paddr_to_pfn(paddr(bi->descriptors.base));
	config = (struct page_config){
		.descs = (struct page *)DESC_WINDOW_BASE,
		.pfn_limit = DIRECT_MAP_BYTES >> PAGE_SHIFT,
		.regions = memory.regions,
		.region_count = memory.region_count,
		.plan = memory.plan,
		.nodes = numa_init(paddr(bi->rsdp)),
		.boot_alloc = boot_alloc,
		.boot_alloc_raw = boot_alloc_raw,
	};
	if (page_init(&kernel_pages, &config))
		port_panic("boot pool exhausted while making the superblocks");
	numa_cpu_online(0, arch_cpu_id());

	close_pool();
	/* Where the map overlaps there, everything is built anew. */
	if (!region_carve(memory.regions, &memory.region_count, memory.capacity,
			  paddr_to_pfn(paddr(memory.pool_used.base)), memory.pool_used.pages,
			  REGION_METADATA))
		build_regions(&list, &memory.pool_used);
	make_shadow();
	add_regions(REGION_USABLE);
	kheap_init(&kernel_heap, &kernel_pages);
	watch_always();
	if (cmdline_bool("track", false))
		kheap_watch(&kernel_heap, WATCH_TRACK, 0);
	set_sample_rate();
	watch_boot();
	/* A build that checks every access has redzones of its own, but wants the quarantine. */
	if (PORT_REDZONE || cmdline_bool("debug", DEBUG_DEFAULT)) {
		if (kheap_debug_init(&kernel_heap))
			log_warn("debug=1: no memory for redzones and quarantine: left out");
		else
			page_watch(&kernel_pages, WATCH_DEBUG, 0);
	}
}

void memory_reclaim(void)
{
	uint64_t before = memory.handed_over;

	if (!cmdline_bool("reclaim", true)) {
		log_info("reclaim=off: boot services' memory stays unused (%llu pages)",
			 (unsigned long long)region_pages(memory.regions, memory.region_count,
							  REGION_RECLAIMABLE));
		return;
	}
	add_regions(REGION_RECLAIMABLE);
	memory.reclaimed = true;
	log_info("reclaimed %llu pages of boot services and loader",
		 (unsigned long long)(memory.handed_over - before));
}

/* RAM the firmware keeps: any region of its own kinds, and scraps in no region at all. */
static uint64_t firmware_ram_pages(void)
{
	uint64_t in_regions = 0, firmware = 0;
	uint64_t ram = region_pages(memory.ram, memory.ram_count, REGION_RESERVED);

	for (size_t i = 0; i < memory.region_count; i++) {
		const struct region *r = &memory.regions[i];
		uint64_t pages =
			region_overlap_pages(memory.ram, memory.ram_count, r->start, r->pages);

		in_regions += pages;
		if (r->kind > REGION_KERNEL)
			firmware += pages;
	}
	return firmware + (ram - in_regions);
}

void memory_stats(struct memory_stats *out)
{
	const struct boot_info *bi = memory.info;
	uint64_t usable = region_pages(memory.regions, memory.region_count, REGION_USABLE);
	uint64_t reclaimable =
		region_pages(memory.regions, memory.region_count, REGION_RECLAIMABLE);
	struct page_stats pages;

	page_stats(&kernel_pages, &pages);
	*out = (struct memory_stats){
		.ram_pages = region_pages(memory.ram, memory.ram_count, REGION_RESERVED),
		.free_pages = pages.free,
		.used_pages = pages.used,
		.kernel_pages = region_pages(memory.regions, memory.region_count, REGION_KERNEL),
		.metadata_pages =
			region_pages(memory.regions, memory.region_count, REGION_METADATA),
		.handover_pages = bi->info.pages,
		.descriptor_pages = bi->descriptors.pages,
		.symbol_pages = bytes_to_pages(bi->symtab_bytes + bi->strtab_bytes),
		.unreclaimed_pages = memory.reclaimed ? 0 : reclaimable,
	};
	out->kernel_image_pages = bi->kernel.pages - out->symbol_pages;
	out->pool_pages = out->metadata_pages - out->descriptor_pages;
	out->undescribed_pages = usable + reclaimable - out->unreclaimed_pages - memory.handed_over;
	out->firmware_pages =
		firmware_ram_pages() + out->undescribed_pages + out->unreclaimed_pages;
}

const char *memory_check(void)
{
	const char *error = page_check(&kernel_pages);
	struct memory_stats m;

	if (!error)
		error = kheap_check(&kernel_heap);
	if (!error)
		error = region_check(memory.regions, memory.region_count);
	if (error)
		return error;
	memory_stats(&m);
	if (m.ram_pages !=
	    m.free_pages + m.used_pages + m.kernel_pages + m.metadata_pages + m.firmware_pages)
		return "RAM is not free + used + kernel + metadata + firmware";
	if (m.free_pages + m.used_pages != memory.handed_over)
		return "the page allocator does not manage the pages it was given";
	return NULL;
}

/* What this CPU keeps for itself: objects, then pages. */
static void drain_own_caches(void)
{
	port_irq_t irq = port_irq_save();

	kheap_cpu_drain(&kernel_heap, port_cpu());
	page_cpu_drain(&kernel_pages, port_cpu());
	port_irq_restore(irq);
}

static void settle_here(void)
{
	(void)kheap_trim(&kernel_heap);
	drain_own_caches();
}

/* Caches are drained on their own CPU, so go to each. */
void memory_settle(void)
{
	const struct thread *t = thread_current();
	unsigned home = t && t->pinned ? t->cpu + 1 : 0;

	for (unsigned cpu = 0; cpu < port_cpus() && port_cpus() > 1; cpu++) {
		thread_pin(cpu + 1);
		drain_own_caches();
	}
	if (port_cpus() > 1)
		thread_pin(home);
	settle_here();
}

/* Objects allocated and freed so far: unchanged, nobody has used kmalloc in between. */
static uint64_t kmalloc_activity(void)
{
	struct kmem_cache_stats c;
	uint64_t sum = 0;

	for (size_t i = 0; kheap_cache_stats(&kernel_heap, i, &c); i++)
		sum += c.allocs + c.frees;
	return sum;
}

/* Each idle CPU, for itself; before it has idled so long that its tick ends. */
static void drain_when_due(uint64_t now)
{
	static uint64_t next_ns[PORT_CPUS_MAX];
	port_irq_t irq = port_irq_save();
	uint64_t *next = &next_ns[port_cpu()];

	if (now >= *next) {
		*next = now + DRAIN_PERIOD_NS;
		drain_own_caches();
	}
	port_irq_restore(irq);
}

/*
 * The idle thread's housekeeping: slabs kept against ping-pong go back when
 * kmalloc has been left alone for a while. Not at once: a second free of an
 * object is reported with its class only while its slab is there.
 */
void port_idle_work(void)
{
	static uint64_t next_ns, activity;
	uint64_t now = time_ns(), due = __atomic_load_n(&next_ns, __ATOMIC_RELAXED), before;

	drain_when_due(now);
	/* Whichever idle CPU comes first does it, for all. */
	if (now < due || !__atomic_compare_exchange_n(&next_ns, &due, now + TRIM_PERIOD_NS, false,
						      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	before = activity;
	activity = kmalloc_activity();
	if (activity == before)
		settle_here();
}

bool memory_firmware_entry(size_t i, struct boot_mem_desc *out)
{
	if (i >= memory.map_entries)
		return false;
	*out = *firmware_entry(i);
	return true;
}

const struct region *memory_regions(size_t *count)
{
	*count = memory.region_count;
	return memory.regions;
}

const char *memory_reserved_for(pfn_t frame)
{
	const struct boot_info *bi = memory.info;
	const struct {
		const struct boot_range *range;
		const char *name;
	} owners[] = {
		{&bi->kernel, "kernel image and symbols"},
		{&bi->info, "hand-over data"},
		{&bi->descriptors, "page descriptor array"},
		{&memory.pool_used, "boot pool: page tables, superblocks"},
		{&memory.shadow, "shadow of memory"},
	};
	uint64_t address = pfn_to_paddr(frame).a;

	for (size_t i = 0; i < array_len(owners); i++)
		if (address >= owners[i].range->base &&
		    address - owners[i].range->base < owners[i].range->pages * PAGE_BYTES)
			return owners[i].name;
	return NULL;
}
