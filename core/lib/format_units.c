/* SPDX-License-Identifier: MIT */
/*
 * Figures for people. A value is shown rounded to the nearest; without a
 * fraction it is exact: "64 MiB" is 64 * 2^20 bytes, "64.0 MiB" is nearly that.
 */
#include <quire/format.h>

/* 10^0 .. 10^3 */
static const unsigned powers[] = {1, 10, 100, 1000};

/*
 * value / unit with `decimals` of fraction into text: "12", "12.3". Returns the whole part, so
 * that the caller sees a rounding up to the next unit.
 */
static uint64_t format_quotient(char *text, size_t size, uint64_t value, uint64_t unit,
				unsigned decimals)
{
	uint64_t whole = value / unit, rest = value % unit;
	/* rest < unit <= 2^60: scale both down first so that rest * power fits. */
	uint64_t scale = unit >> 50 ? 1024 : 1;
	uint64_t fraction = (rest / scale * powers[decimals] + unit / scale / 2) / (unit / scale);

	if (fraction == powers[decimals]) {
		whole++;
		fraction = 0;
	}
	if (rest && decimals)
		format_buffer(text, size, "%llu.%0*llu", (unsigned long long)whole, (int)decimals,
			      (unsigned long long)fraction);
	else
		format_buffer(text, size, "%llu", (unsigned long long)whole);
	return whole;
}

char *format_bytes(char buffer[static 12], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned u = 0;
	char text[12];

	while (u + 1 < sizeof units / sizeof units[0] && bytes >> (10 * (u + 1)))
		u++;
	for (;; u++) {
		uint64_t unit = 1ull << (10 * u);
		/* "999.9 KiB" is as wide as it gets: four digits leave no room for a fraction. */
		unsigned decimals = bytes / unit >= 999 ? 0 : 1;

		if (format_quotient(text, sizeof text, bytes, unit, decimals) < 1024 || u == 6)
			break;
	}
	format_buffer(buffer, 12, "%s %s", text, units[u]);
	return buffer;
}

char *format_ns(char buffer[static 16], uint64_t ns)
{
	static const struct {
		const char *name;
		uint64_t unit, below;
	} units[] = {
		{"ns", 1, 1000},
		{"us", 1000, 1000000},
		{"ms", 1000000, 1000000000},
		{"s", 1000000000, 1000000000000},
		{"s", 1000000000, 100000000000000},
		{"d", 86400000000000, UINT64_MAX},
	};
	unsigned u = 0;
	char text[16];

	while (ns >= units[u].below && u + 1 < sizeof units / sizeof units[0])
		u++;
	/* 999.9996 us rounds up to 1000 us; that is 1 ms's business. */
	if (u < 3 && format_quotient(text, sizeof text, ns, units[u].unit, u ? 3 : 0) == 1000)
		u++;
	format_quotient(text, sizeof text, ns, units[u].unit, u == 4 ? 0 : u ? 3 : 0);
	format_buffer(buffer, 16, "%s %s", text, units[u].name);
	return buffer;
}

char *format_count(char buffer[static 28], uint64_t count)
{
	char digits[24];
	size_t length = format_buffer(digits, sizeof digits, "%llu", (unsigned long long)count);
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			buffer[used++] = ',';
		buffer[used++] = digits[i];
	}
	buffer[used] = 0;
	return buffer;
}
