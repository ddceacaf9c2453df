/* SPDX-License-Identifier: MIT */
/*
 * memplan: what Quire would do with a machine's firmware map, on a host.
 *
 *   file --memmap_file_parse--> entries --region_build--> regions
 *        --desc_plan_make--> the descriptor array's size and place
 *
 * The middle and last step are the loader's own code. Output is a table with
 * the reason for every region, or one JSON object on one line.
 */
#include "memmap_file.h"
#include <errno.h>
#include <inttypes.h>
#include <quire/desc_plan.h>
#include <quire/memmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_OK,
	EXIT_NO_PLAN,
	EXIT_USAGE
};

static const char usage[] =
	"usage: memplan [--json] FILE.map    ('-' reads standard input)\n"
	"Shows what Quire would do with the memory of a machine: its regions, and where the\n"
	"page descriptors go. A map has one firmware descriptor a line, '#' starts a comment:\n"
	"    TYPE START_HEX PAGES ATTRIBUTES_HEX_OR_-        Conventional 0x100000 39423 0xf\n"
	"Exit status: 0, 1 when the file is malformed or no plan is possible, 2 for wrong usage.\n";

struct plan {
	const char *name; /* of the file, for messages */
	struct memmap_file file;
	struct region_input *inputs; /* file.count of them */
	struct region *regions;
	size_t region_count;
	struct desc_plan descs;
	uint64_t usable, reclaimable, pool;
};

/* --- Reading ------------------------------------------------------------- */

/* All of a stream, malloc'd; NULL with errno set. */
static char *read_all(FILE *stream, size_t *length)
{
	size_t capacity = 1 << 16, used = 0;
	char *text = malloc(capacity);

	while (text) {
		char *larger;

		used += fread(text + used, 1, capacity - used, stream);
		if (ferror(stream))
			break;
		if (used < capacity) {
			*length = used;
			return text;
		}
		larger = reallocarray(text, 2, capacity);
		if (!larger)
			break;
		text = larger;
		capacity *= 2;
	}
	free(text);
	return NULL;
}

static char *read_file(const char *path, size_t *length)
{
	FILE *stream;
	char *text;
	int error;

	if (strcmp(path, "-") == 0)
		return read_all(stdin, length);
	stream = fopen(path, "rb");
	if (!stream)
		return NULL;
	text = read_all(stream, length);
	error = errno;
	fclose(stream);
	errno = error;
	return text;
}

static int load(struct plan *p)
{
	size_t length = 0;
	char *text = read_file(p->name, &length);
	int error;

	if (!text) {
		fprintf(stderr, "memplan: %s: %s\n", p->name, strerror(errno));
		return EXIT_NO_PLAN;
	}
	error = memmap_file_parse(&p->file, text, length);
	free(text);
	if (!error)
		return EXIT_OK;
	if (p->file.error_line)
		fprintf(stderr, "memplan: %s:%zu: %s\n", p->name, p->file.error_line,
			p->file.error);
	else
		fprintf(stderr, "memplan: %s: %s\n", p->name, p->file.error);
	return EXIT_NO_PLAN;
}

/* --- Planning ------------------------------------------------------------ */

static uint64_t largest_usable(const struct plan *p)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < p->region_count; i++) {
		if (p->regions[i].kind == REGION_USABLE && p->regions[i].pages > largest)
			largest = p->regions[i].pages;
	}
	return largest;
}

static int make(struct plan *p)
{
	size_t count = p->file.count, capacity = 2 * count + 1;
	const char *fault;

	p->inputs = calloc(count, sizeof *p->inputs);
	p->regions = calloc(capacity, sizeof *p->regions);
	if (!p->inputs || !p->regions) {
		fprintf(stderr, "memplan: %s: not enough memory\n", p->name);
		return EXIT_NO_PLAN;
	}
	for (size_t i = 0; i < count; i++) {
		const struct memmap_entry *e = &p->file.entries[i];

		p->inputs[i] = (struct region_input){e->base, e->pages, memmap_kind(e->type)};
	}
	if (region_build(p->inputs, count, p->regions, capacity, &p->region_count))
		abort(); /* 2 * count + 1 always suffices */
	fault = region_check(p->regions, p->region_count);
	if (fault) {
		fprintf(stderr, "memplan: a bug: %s\n", fault);
		abort();
	}
	p->usable = region_pages(p->regions, p->region_count, REGION_USABLE);
	p->reclaimable = region_pages(p->regions, p->region_count, REGION_RECLAIMABLE);
	p->pool = boot_pool_pages(p->regions, p->region_count, count);

	switch (desc_plan_make(p->regions, p->region_count, &p->descs)) {
	case 0:
		return EXIT_OK;
	case -ENOENT:
		fprintf(stderr, "memplan: %s: no plan is possible: the map has no usable page\n",
			p->name);
		return EXIT_NO_PLAN;
	default:
		fprintf(stderr,
			"memplan: %s: no plan is possible: the page descriptors take %" PRIu64
			" pages, and no usable region from 1 MiB up holds them whole (the largest "
			"region has %" PRIu64 ")\n",
			p->name, p->descs.pages, largest_usable(p));
		return EXIT_NO_PLAN;
	}
}

/* --- JSON ---------------------------------------------------------------- */

static void print_json(const struct plan *p)
{
	fputs("{\"regions\":[", stdout);
	for (size_t i = 0; i < p->region_count; i++) {
		const struct region *r = &p->regions[i];

		printf("%s{\"base\":\"0x%" PRIx64 "\",\"pages\":%" PRIu64 ",\"kind\":\"%s\"}",
		       i ? "," : "", pfn_to_paddr(r->start).a, r->pages, region_kind_name(r->kind));
	}
	printf("],\"usable_pages\":%" PRIu64 ",\"reclaimable_pages\":%" PRIu64, p->usable,
	       p->reclaimable);
	printf(",\"descriptor_pages\":%" PRIu64 ",\"descriptor_base\":\"0x%" PRIx64 "\"",
	       p->descs.pages, pfn_to_paddr(p->descs.start).a);
	printf(",\"undescribed_pages\":%" PRIu64 ",\"pool_pages\":%" PRIu64 ",\"entries\":%zu}\n",
	       p->descs.undescribed, p->pool, p->file.count);
}

/* --- For people ---------------------------------------------------------- */

struct size_text {
	char text[16];
};

static struct size_text size_of_pages(uint64_t pages)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)pages * 4;
	struct size_text s;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < array_len(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(s.text, sizeof s.text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return s;
}

/* Which firmware types became this region: one bit a type. An entry may reach over several
 * regions, and lost to a more restrictive one where the kind differs. */
static uint32_t *types_of_regions(const struct plan *p)
{
	uint32_t *types = calloc(p->region_count + 1, sizeof *types);

	for (size_t i = 0; types && i < p->file.count; i++) {
		const struct memmap_entry *e = &p->file.entries[i];
		struct region_input in = {e->base, e->pages, memmap_kind(e->type)};
		struct region pieces[3];
		size_t count;

		/* The entry alone, rounded as the whole map was. */
		if (region_build(&in, 1, pieces, array_len(pieces), &count) || count == 0)
			continue;
		const struct region *last = &pieces[count - 1];
		const struct region *r = region_find(p->regions, p->region_count, pieces[0].start);

		while (r && r < p->regions + p->region_count && r->start.n < region_end(last)) {
			if (r->kind == in.kind)
				types[r - p->regions] |= 1u << e->type;
			r++;
		}
	}
	return types;
}

static void print_why(uint32_t types)
{
	const char *reason = NULL;

	if (types == 0) {
		puts("page 0: never handed out");
		return;
	}
	for (uint32_t type = 0; type < MEMMAP_TYPES; type++) {
		if (!(types >> type & 1))
			continue;
		printf("%s%s", reason ? ", " : "", memmap_type_name(type));
		reason = memmap_reason(type);
	}
	printf(": %s\n", reason);
}

static void print_regions(const struct plan *p, const uint32_t *types)
{
	const struct region *top = &p->regions[p->region_count - 1];
	int width = snprintf(NULL, 0, "%" PRIx64, (region_end(top) << PAGE_SHIFT) - 1);

	printf("%*s  %*s  %12s  %10s  %-11s  %s\n", width + 2, "first byte", width + 2, "last byte",
	       "pages", "size", "kind", "from: why");
	for (size_t i = 0; i < p->region_count; i++) {
		const struct region *r = &p->regions[i];

		printf("0x%0*" PRIx64 "  0x%0*" PRIx64 "  %12" PRIu64 "  %10s  %-11s  ", width,
		       pfn_to_paddr(r->start).a, width, (region_end(r) << PAGE_SHIFT) - 1, r->pages,
		       size_of_pages(r->pages).text, region_kind_name(r->kind));
		print_why(types[i]);
	}
}

static void print_sums(const struct plan *p)
{
	puts("\nin all");
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		uint64_t pages = region_pages(p->regions, p->region_count, (enum region_kind)kind);

		if (pages)
			printf("  %-11s  %12" PRIu64 " pages  %10s\n",
			       region_kind_name((enum region_kind)kind), pages,
			       size_of_pages(pages).text);
	}
}

/* Entries that are not what a firmware should write, with their lines in the file. */
static void print_oddities(const struct memmap_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		const struct memmap_entry *e = &file->entries[i];
		const char *oddity = NULL;

		if (e->pages == 0)
			oddity = "has no pages: dropped";
		else if (e->pages > (UINT64_MAX - e->base) >> PAGE_SHIFT)
			oddity = "wraps past the end of the address space: dropped";
		else if ((e->base >> PAGE_SHIFT) + e->pages > PFN_LIMIT)
			oddity = "reaches past the highest physical address: dropped or cut";
		else if (e->base & PAGE_MASK)
			oddity = memmap_kind(e->type) == REGION_USABLE
					 ? "is not page aligned: shrunk to whole pages"
					 : "is not page aligned: grown to whole pages";
		if (oddity)
			printf("line %zu: %s at 0x%" PRIx64 " %s\n", e->line,
			       memmap_type_name(e->type), e->base, oddity);
	}
}

static void print_plan(const struct plan *p)
{
	const struct desc_plan *d = &p->descs;

	printf("\nThe page descriptors take %" PRIu64
	       " pages (%s): %.2f bytes for each of the %" PRIu64
	       " usable and\nreclaimable pages. They go to 0x%" PRIx64
	       ", the lowest place from 1 MiB up where one usable region holds\nthem whole.\n",
	       d->pages, size_of_pages(d->pages).text,
	       (double)d->pages * (double)PAGE_BYTES / (double)d->page_count, d->page_count,
	       pfn_to_paddr(d->start).a);
	if (d->undescribed)
		printf("%" PRIu64 " pages (%s) are scattered too thinly to be worth describing; "
		       "they stay unused.\n",
		       d->undescribed, size_of_pages(d->undescribed).text);
	printf("The boot pool (superblocks, bitmaps, page tables) is %" PRIu64 " pages (%s).\n",
	       p->pool, size_of_pages(p->pool).text);
}

static int print_text(const struct plan *p)
{
	uint32_t *types = types_of_regions(p);

	if (!types) {
		fprintf(stderr, "memplan: %s: not enough memory\n", p->name);
		return EXIT_NO_PLAN;
	}
	printf("%s: %zu firmware entries make %zu regions\n\n", p->name, p->file.count,
	       p->region_count);
	print_regions(p, types);
	print_sums(p);
	print_oddities(&p->file);
	print_plan(p);
	free(types);
	return EXIT_OK;
}

struct options {
	const char *file;
	bool json, help;
};

/* False for anything but [--json] [--help] and exactly one file (none with --help). */
static bool parse_options(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "--help") == 0)
			o->help = true;
		else if (strcmp(arg, "--json") == 0)
			o->json = true;
		else if (o->file || (arg[0] == '-' && arg[1] != '\0'))
			return false;
		else
			o->file = arg;
	}
	return o->help || o->file;
}

static int run(struct plan *p, bool json)
{
	int status = load(p);

	if (status == EXIT_OK)
		status = make(p);
	if (status != EXIT_OK)
		return status;
	if (!json)
		return print_text(p);
	print_json(p);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct plan p = {0};
	int status = EXIT_OK;

	if (!parse_options(argc, argv, &options)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	p.name = options.file;
	if (options.help)
		fputs(usage, stdout);
	else
		status = run(&p, options.json);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("memplan: standard output");
		status = EXIT_NO_PLAN;
	}
	memmap_file_free(&p.file);
	free(p.inputs);
	free(p.regions);
	return status;
}
