/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own sources under Relacy.
 *
 * The code under test is compiled with -fsanitize=thread, which makes the compiler call a function
 * before every access to memory and instead of every atomic operation. The functions are not
 * ThreadSanitizer's but these, and hand the accesses to Relacy: it runs the threads in every
 * interleaving, lets atomic loads return every value C11 allows, and finds unordered plain accesses.
 * So what is checked is the text of the kernel, not a copy of it.
 *
 *   location            atomic operation               plain read, write
 *   ------------------  -----------------------------  -----------------------------------------
 *   share()d            rl::atomic, the order as given rl::atomic, relaxed
 *   any other           as a plain one                 must be ordered with all others, else a race
 *
 * A relaxed load or store of more than one location, eight states of a slab, is one of each of them.
 *
 * The memory itself holds the newest value. A plain read of a shared location may see an older one:
 * it is put there just before the compiled instruction reads, and taken away afterwards.
 *
 * Weakening: a run first notes every place with an order stronger than relaxed, and every operation
 * that reads and writes at once; then each is made relaxed (a seq_cst one first acquire or release),
 * and falls apart into a load and a store, and the model must fail. What it does not notice has to be
 * on the model's list, with the reason.
 */
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <relacy/relacy.hpp>
#pragma clang diagnostic pop
#undef new
#undef delete
#undef malloc
#undef free
#undef assert

#include "prove.h"

namespace prove
{

/* Relacy takes operator new for the tested program's own: what must outlive a run is malloc's. */
template <typename T> struct plain_allocator {
	typedef T value_type;
	plain_allocator() = default;
	template <typename U> plain_allocator(const plain_allocator<U> &)
	{
	}
	T *allocate(size_t n)
	{
		return (T *)malloc(n * sizeof(T));
	}
	void deallocate(T *p, size_t)
	{
		free(p);
	}
	bool operator==(const plain_allocator &) const
	{
		return true;
	}
	bool operator!=(const plain_allocator &) const
	{
		return false;
	}
};

/* ---- places in the code, and what to weaken ---- */

struct place {
	uintptr_t address;
	const char *operation;
	int order;
	bool operator<(const place &o) const
	{
		return address != o.address ? address < o.address : order < o.order;
	}
};

inline std::set<place, std::less<place>, plain_allocator<place>> places;
inline uintptr_t weakened; /* an address in the code, 0 for none */
inline int weakened_to;
inline int broken; /* what a model takes away beside orders; 0: nothing */

inline bool active; /* the model's threads run */

#define SPLIT (-1) /* weaker than any order: a load and a store in place of one operation */

inline bool is_rmw(const char *operation)
{
	return strcmp(operation, "load") && strcmp(operation, "store") &&
	       strcmp(operation, "fence");
}

inline int order_at(void *site, const char *operation, int order)
{
	if (active && (order != __ATOMIC_RELAXED || is_rmw(operation)))
		places.insert({(uintptr_t)site, operation, order});
	return (uintptr_t)site == weakened ? weakened_to : order;
}

/* ---- memory ---- */

typedef rl::atomic<uint64_t> cell_atomic;
struct cell {
	uintptr_t address;
	unsigned bytes;
	rl::memory_order plain_read;
	cell_atomic *atomic; /* in `room` */
	alignas(cell_atomic) char room[sizeof(cell_atomic)];
};
#define CELLS_MAX      96
#define CELLS_HASHED   4096
#define EXECUTIONS_MAX 20000000ull
inline unsigned acting; /* who does what happens while they do not */
inline cell cells[CELLS_MAX];
inline unsigned cell_count;
inline bool maybe_shared[CELLS_HASHED]; /* by the address's eights: else there is no cell */
/* Every byte of plain memory: who was there. A hash table of eights, from one execution to the next. */
#define EIGHTS_HASHED 16384
struct eight {
	uintptr_t address; /* 0: none */
	rl::var_data *byte[8];
};
inline eight eights[EIGHTS_HASHED];
inline unsigned eights_used[EIGHTS_HASHED], eights_count;

inline rl::var_data *&byte_seen(uintptr_t address)
{
	uintptr_t first = address & ~(uintptr_t)7;
	unsigned i = (unsigned)(first / 8 * 0x9e3779b1u) / 8 % EIGHTS_HASHED;

	while (eights[i].address != first && eights[i].address)
		i = (i + 1) % EIGHTS_HASHED;
	if (!eights[i].address) {
		if (eights_count == EIGHTS_HASHED / 2)
			exit(2);
		eights[i].address = first;
		eights_used[eights_count++] = i;
	}
	return eights[i].byte[address % 8];
}

inline void forget_bytes(bool end_them)
{
	while (eights_count) {
		eight &e = eights[eights_used[--eights_count]];

		for (rl::var_data *data : e.byte)
			if (data && end_them)
				rl::ctx().var_dtor(data);
		e = {};
	}
}

inline struct {
	cell *at[CELLS_MAX];
	unsigned count;
	bool write;
} pending;

inline uint64_t peek(const cell &c)
{
	uint64_t v = 0;

	memcpy(&v, (void *)c.address, c.bytes);
	return v;
}

inline void poke(const cell &c, uint64_t v)
{
	memcpy((void *)c.address, &v, c.bytes);
}

/* The plain access that was announced has happened by now. */
inline void settle()
{
	unsigned count = pending.count;
	uint64_t written[CELLS_MAX];

	pending.count = 0;
	for (unsigned i = 0; i < count; i++)
		if (pending.write)
			written[i] = peek(*pending.at[i]);
		else
			poke(*pending.at[i], pending.at[i]->atomic->debug_value());
	if (!count || !pending.write)
		return;
	cell *at[CELLS_MAX];
	memcpy(at, pending.at, count * sizeof *at);
	for (unsigned i = 0; i < count; i++) /* others run in between */
		poke(*at[i], at[i]->atomic->debug_value());
	for (unsigned i = 0; i < count; i++) {
		at[i]->atomic->store(written[i], rl::mo_relaxed, $);
		poke(*at[i], at[i]->atomic->debug_value());
	}
}

inline bool &maybe_shared_at(uintptr_t address)
{
	return maybe_shared[address / 8 % CELLS_HASHED];
}

inline bool overlap(const cell &c, uintptr_t address, size_t bytes)
{
	return address < c.address + c.bytes && c.address < address + bytes;
}

/* Any cell in there? */
inline bool any_shared(uintptr_t address, size_t bytes)
{
	if (bytes <= 64) {
		bool maybe = false;

		for (uintptr_t at = address & ~(uintptr_t)7; at < address + bytes; at += 8)
			maybe = maybe || maybe_shared_at(at);
		if (!maybe)
			return false;
	}
	for (unsigned i = 0; i < cell_count; i++)
		if (overlap(cells[i], address, bytes))
			return true;
	return false;
}

[[noreturn]] inline void die(const char *what, uintptr_t address)
{
	fprintf(stderr, "prove: %s %#lx\n", what, (unsigned long)address);
	exit(2);
}

/* The cell that is exactly there, or NULL. */
inline cell *cell_there(const volatile void *address, unsigned bytes)
{
	if (!active || !maybe_shared_at((uintptr_t)address))
		return nullptr;
	for (unsigned i = 0; i < cell_count; i++)
		if (cells[i].address == (uintptr_t)address && cells[i].bytes == bytes)
			return &cells[i];
	return nullptr;
}

inline cell &cell_at(const volatile void *address, unsigned bytes)
{
	cell *c = cell_there(address, bytes);

	if (!c)
		die("the model's own atomic operation on what was not share()d:",
		    (uintptr_t)address);
	return *c;
}

/* In begin(): a location that several threads use at once, with the value it has at the end of that. */
inline void share(void *location, unsigned bytes, rl::memory_order plain_read = rl::mo_relaxed)
{
	if (cell_count == CELLS_MAX)
		die("too many shared locations:", cell_count);
	cell &c = cells[cell_count++];

	c.address = (uintptr_t)location;
	c.bytes = bytes;
	c.plain_read = plain_read;
	for (uintptr_t at = c.address & ~(uintptr_t)7; at < c.address + bytes; at += 8)
		maybe_shared_at(at) = true;
}

inline void unshare_all()
{
	cell_count = 0;
	memset(maybe_shared, 0, sizeof maybe_shared);
}

template <typename T> inline void share(T &location)
{
	share(&location, sizeof location);
}

inline void plain_byte(uintptr_t address, bool write)
{
	rl::context &c = rl::ctx();
	rl::var_data *&data = byte_seen(address);

	if (!data)
		data = c.var_ctor();
	if (!(write ? data->store(*c.threadx_) : data->load(*c.threadx_)))
		c.fail_test("data race on plain memory", rl::test_result_data_race, $);
}

/* What is neither shared nor ordered is a race; what is shared is read and written piece by piece. */
inline void plain_some_shared(uintptr_t address, size_t bytes, bool write)
{
	cell *at[CELLS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < cell_count; i++)
		if (overlap(cells[i], address, bytes))
			at[count++] = &cells[i];
	for (size_t i = 0; i < bytes; i++) {
		bool shared = false;

		for (unsigned k = 0; k < count; k++)
			shared = shared || overlap(*at[k], address + i, 1);
		if (!shared)
			plain_byte(address + i, write);
	}
	uint64_t seen[CELLS_MAX];
	for (unsigned i = 0; i < count; i++) {
		bool part =
			at[i]->address < address || at[i]->address + at[i]->bytes > address + bytes;

		/* A part of it is written: the rest must be right. */
		seen[i] = !write || part ? at[i]->atomic->load(at[i]->plain_read, $) : 0;
	}
	for (unsigned i = 0; i < count; i++) {
		poke(*at[i], seen[i]);
		pending.at[i] = at[i];
	}
	pending.count = count;
	pending.write = write;
}

inline void plain(uintptr_t address, size_t bytes, bool write)
{
	if (!active)
		return;
	settle();
	if (any_shared(address, bytes)) {
		plain_some_shared(address, bytes, write);
		return;
	}
	for (size_t i = 0; i < bytes; i++)
		plain_byte(address + i, write);
}

/* A plain variable of the model itself. */
template <typename T> inline void touch(T &location, bool write)
{
	plain((uintptr_t)&location, sizeof location, write);
}

/* The model's own words for atomic operations on shared locations. */
template <typename T> inline T load(T &location, rl::memory_order order)
{
	settle();
	return (T)cell_at(&location, sizeof location).atomic->load(order, $);
}

template <typename T> inline T exchange(T &location, T v, rl::memory_order order)
{
	settle();
	cell &c = cell_at(&location, sizeof location);
	T was = (T)c.atomic->exchange((uint64_t)v, order, $);

	poke(c, c.atomic->debug_value());
	return was;
}

template <typename T> inline T add(T &location, T v, rl::memory_order order)
{
	settle();
	cell &c = cell_at(&location, sizeof location);
	T was = (T)c.atomic->fetch_add((uint64_t)v, order, $);

	poke(c, c.atomic->debug_value());
	return was;
}

template <typename T> inline void store(T &location, T v, rl::memory_order order)
{
	settle();
	cell &c = cell_at(&location, sizeof location);

	c.atomic->store((uint64_t)v, order, $);
	poke(c, c.atomic->debug_value());
}

inline uint64_t perform(const char *operation, uint64_t was, uint64_t v)
{
	return !strcmp(operation, "fetch_add")   ? was + v
	       : !strcmp(operation, "fetch_sub") ? was - v
	       : !strcmp(operation, "fetch_or")  ? was | v
	       : !strcmp(operation, "fetch_and") ? was & v
						 : v;
}

/* What is not share()d must be one CPU's at a time. */
inline void alone(const volatile void *address, unsigned bytes, bool write)
{
	if (!active)
		return;
	if (any_shared((uintptr_t)address, bytes))
		die("an operation that reads and writes a part of what is share()d:",
		    (uintptr_t)address);
	plain((uintptr_t)address, bytes, write);
}

/* The same, or a relaxed access to several shared locations. */
inline void piecewise(const volatile void *address, unsigned bytes, int order, bool write)
{
	if (active && order != __ATOMIC_RELAXED && any_shared((uintptr_t)address, bytes))
		die("an ordered access to a part of what is share()d:", (uintptr_t)address);
	plain((uintptr_t)address, bytes, write);
}

inline const char *said; /* by the last require() that failed */

inline void require(bool holds, const char *what)
{
	if (holds)
		return;
	said = what;
	rl::ctx().fail_test(what, rl::test_result_user_assert_failed, $);
}

/* ---- a model ---- */

/*
 * A model has: void begin() {fill the memory; share(…)}, void cpu(unsigned), and may have
 * void end() (all threads are done).
 */
template <typename derived, unsigned threads>
struct model : rl::test_suite<model<derived, threads>, threads> {
	derived d;

	void before()
	{
		active = false;
		unshare_all();
		forget_bytes(false);
		pending.count = 0;
		d.begin();
		for (unsigned i = 0; i < cell_count; i++)
			cells[i].atomic = ::new ((void *)cells[i].room) cell_atomic(peek(cells[i]));
		active = true;
	}
	void thread(unsigned i)
	{
		d.cpu(i);
		settle();
	}
	void after()
	{
		active = false;
		d.end();
		forget_bytes(true);
		while (cell_count)
			cells[--cell_count].atomic->~cell_atomic();
		unshare_all();
	}
};

struct result {
	bool passed;
	std::string why;
	unsigned long long executions;
};

template <typename suite>
inline result run(rl::scheduler_type_e search, unsigned bound, unsigned long long most)
{
	std::ostringstream out;
	rl::test_params params;

	params.search_type = search;
	params.context_bound = bound;
	params.iteration_count = (rl::iteration_t)most;
	params.execution_depth_limit = 4000;
	params.output_stream = &out;
	params.progress_stream = &out;
	active = false;
	unshare_all(); /* what a failed run left belongs to a context that is gone */
	forget_bytes(false);
	said = nullptr;
	(void)rl::simulate<suite>(params);
	if (getenv("PROVE_HISTORY"))
		puts(out.str().c_str());
	active = false;
	return {params.test_result == rl::test_result_success,
		std::string(rl::test_result_str(params.test_result)) +
			(said ? std::string(": ") + said : ""),
		(unsigned long long)params.stop_iteration};
}

inline std::string line_of(FILE *f)
{
	char line[512] = "?";

	if (f && fgets(line, sizeof line, f))
		line[strcspn(line, "\n")] = 0;
	return line;
}

/* "tlb.c: tlb_answer load seq_cst" */
inline std::string name_of(const place &p)
{
	static const char *const orders[] = {"relaxed", "consume", "acquire",
					     "release", "acq_rel", "seq_cst"};
	char command[256];
	FILE *f;

	snprintf(command, sizeof command,
		 "llvm-symbolizer -e /proc/%d/exe --no-inlines -f=linkage --basenames %#lx",
		 (int)getpid(), (unsigned long)p.address - 1);
	f = popen(command, "r");
	std::string function = line_of(f), at = line_of(f);

	if (f)
		pclose(f);
	return at.substr(0, at.find(':')) + ": " + function + " " + p.operation + " " +
	       orders[p.order];
}

/* A scenario: its name, and how to run it. */
struct scenario {
	const char *name;
	result (*run)(rl::scheduler_type_e, unsigned, unsigned long long);
	unsigned bound; /* preemptions; 0: every interleaving */
};

#define SCENARIO(type, cpus, bound)                                                                \
	{                                                                                          \
#type, prove::run < prove::model < type, cpus>>, bound                             \
	}

inline result run(const scenario &s)
{
	return s.run(s.bound ? rl::fair_context_bound_scheduler_type
			     : rl::fair_full_search_scheduler_type,
		     s.bound, EXECUTIONS_MAX);
}

inline bool all_hold(const std::vector<scenario> &scenarios)
{
	bool all = true;

	for (const scenario &s : scenarios) {
		result r = run(s);

		if (r.passed && r.executions >= EXECUTIONS_MAX)
			r = {false, "not searched to the end", r.executions};
		printf("%-28s %s, %llu executions", s.name, r.passed ? "holds" : r.why.c_str(),
		       r.executions);
		if (s.bound)
			printf(" (all of up to %u preemptions)\n", s.bound);
		else
			printf(" (all)\n");
		fflush(stdout);
		all = all && r.passed;
	}
	return all;
}

/* Which scenario notices that this place has order `to`; NULL when none does. */
inline const scenario *who_notices(const std::vector<scenario> &scenarios, const place &p, int to,
				   result *how)
{
	const scenario *found = nullptr;

	weakened = p.address;
	weakened_to = to;
	for (const scenario &s : scenarios) {
		*how = run(s);
		if (!how->passed) {
			found = &s;
			break;
		}
	}
	weakened = 0;
	return found;
}

inline std::vector<std::pair<int, const char *>> weaker(const place &p)
{
	std::vector<std::pair<int, const char *>> to;

	if (p.order == __ATOMIC_SEQ_CST && !strcmp(p.operation, "load"))
		to.push_back({__ATOMIC_ACQUIRE, "acquire"});
	else if (p.order == __ATOMIC_SEQ_CST && !strcmp(p.operation, "store"))
		to.push_back({__ATOMIC_RELEASE, "release"});
	else if (p.order == __ATOMIC_SEQ_CST)
		to.push_back({__ATOMIC_ACQ_REL, "acq_rel"});
	if (p.order != __ATOMIC_RELAXED)
		to.push_back({__ATOMIC_RELAXED, "relaxed"});
	if (is_rmw(p.operation))
		to.push_back({SPLIT, "load, store"});
	return to;
}

/* Weakenings that change nothing: "file: function operation order -> order" and why. */
typedef std::map<std::string, const char *> excuses;

inline unsigned weaken_all(const std::vector<scenario> &scenarios, const excuses &allowed,
			   const std::vector<std::string> &files)
{
	unsigned missed = 0, noticed = 0;

	for (const place &p : decltype(places)(places))
		for (auto &to : weaker(p)) {
			result how;
			std::string name = name_of(p), key = name + " -> " + to.second;
			bool ours = files.empty();

			for (const std::string &f : files)
				ours = ours || name.compare(0, f.size(), f) == 0;
			if (!ours)
				continue;
			const scenario *s = who_notices(scenarios, p, to.first, &how);
			auto excuse = allowed.find(key);

			printf("  %-66s ", key.c_str());
			if (s)
				printf("noticed: %s in %s\n", how.why.c_str(), s->name);
			else if (excuse != allowed.end())
				printf("changes nothing: %s\n", excuse->second);
			else
				printf("NOT NOTICED\n");
			fflush(stdout);
			noticed += s != nullptr;
			missed += !s && excuse == allowed.end();
		}
	printf("%u weakenings noticed, %u not\n", noticed, missed);
	return missed;
}

/* Each breakage, from 1 on, must be noticed. */
inline unsigned break_all(const std::vector<scenario> &scenarios,
			  const std::vector<const char *> &breakages)
{
	unsigned missed = 0;

	for (unsigned i = 0; i < breakages.size(); i++) {
		result how;

		broken = (int)i + 1;
		const scenario *s = who_notices(scenarios, {}, 0, &how);
		broken = 0;
		if (s)
			printf("  %-66s noticed: %s in %s\n", breakages[i], how.why.c_str(),
			       s->name);
		else
			printf("  %-66s NOT NOTICED\n", breakages[i]);
		missed += !s;
	}
	return missed;
}

/* As it is, then with each order weakened, in those files or all, and with each breakage. The exit
 * status of the test. */
inline int check(const std::vector<scenario> &scenarios, const excuses &allowed,
		 const std::vector<std::string> &files = {},
		 const std::vector<const char *> &breakages = {})
{
	return !all_hold(scenarios) || weaken_all(scenarios, allowed, files) ||
	       break_all(scenarios, breakages);
}

} // namespace prove

/* ---- what the compiler calls ---- */

extern "C" {

unsigned prove_cpu(void)
{
	return prove::active ? rl::thread_index() : prove::acting;
}

void prove_share(void *location, unsigned bytes)
{
	prove::share(location, bytes);
}

void prove_share_pointer(void *location, unsigned bytes)
{
	prove::share(location, bytes, rl::mo_consume);
}

#define PLAIN(n)                                                                                   \
	void __tsan_read##n(void *a)                                                               \
	{                                                                                          \
		prove::plain((uintptr_t)a, n, false);                                              \
	}                                                                                          \
	void __tsan_write##n(void *a)                                                              \
	{                                                                                          \
		prove::plain((uintptr_t)a, n, true);                                               \
	}                                                                                          \
	void __tsan_unaligned_read##n(void *a)                                                     \
	{                                                                                          \
		prove::plain((uintptr_t)a, n, false);                                              \
	}                                                                                          \
	void __tsan_unaligned_write##n(void *a)                                                    \
	{                                                                                          \
		prove::plain((uintptr_t)a, n, true);                                               \
	}                                                                                          \
	void __tsan_read_write##n(void *a)                                                         \
	{                                                                                          \
		prove::plain((uintptr_t)a, n, true);                                               \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void)
{
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit(void)
{
}

void *prove_memset(void *to, int v, size_t bytes)
{
	prove::plain((uintptr_t)to, bytes, true);
	memset(to, v, bytes);
	prove::settle();
	return to;
}

void *prove_memcpy(void *to, const void *from, size_t bytes)
{
	char room[4096];

	if (bytes > sizeof room && prove::active)
		prove::die("too much is copied:", bytes);
	if (!prove::active)
		return memcpy(to, from, bytes);
	prove::plain((uintptr_t)from, bytes, false);
	memcpy(room, from, bytes);
	prove::plain((uintptr_t)to, bytes, true);
	memcpy(to, room, bytes);
	prove::settle();
	return to;
}

#define HERE(operation, order) prove::order_at(__builtin_return_address(0), operation, order)
#define RMW(bits, name, call)                                                                      \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v,  \
						    int order)                                     \
	{                                                                                          \
		int o = HERE(#name, order);                                                        \
		prove::settle();                                                                   \
		prove::cell *c = prove::cell_there(a, bits / 8);                                   \
		uint##bits##_t was;                                                                \
		if (!c) {                                                                          \
			prove::alone(a, bits / 8, true);                                           \
			was = *a;                                                                  \
			*a = (uint##bits##_t)prove::perform(#name, was, v);                        \
			return was;                                                                \
		}                                                                                  \
		if (o == SPLIT) {                                                                  \
			was = (uint##bits##_t)c->atomic->load(rl::mo_seq_cst, $);                  \
			uint##bits##_t next = (uint##bits##_t)prove::perform(#name, was, v);       \
			c->atomic->store(next, rl::mo_seq_cst, $);                                 \
		} else {                                                                           \
			was = (uint##bits##_t)c->atomic->call(v, (rl::memory_order)o, $);          \
		}                                                                                  \
		prove::poke(*c, c->atomic->debug_value());                                         \
		return was;                                                                        \
	}
#define ATOMIC(bits)                                                                               \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order)     \
	{                                                                                          \
		rl::memory_order o = (rl::memory_order)HERE("load", order);                        \
		prove::settle();                                                                   \
		if (prove::cell *c = prove::cell_there(a, bits / 8))                               \
			return (uint##bits##_t)c->atomic->load(o, $);                              \
		prove::piecewise(a, bits / 8, order, false);                                       \
		uint##bits##_t v = *a;                                                             \
		prove::settle();                                                                   \
		return v;                                                                          \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order)  \
	{                                                                                          \
		rl::memory_order o = (rl::memory_order)HERE("store", order);                       \
		prove::settle();                                                                   \
		if (prove::cell *c = prove::cell_there(a, bits / 8)) {                             \
			c->atomic->store(v, o, $);                                                 \
			prove::poke(*c, c->atomic->debug_value());                                 \
			return;                                                                    \
		}                                                                                  \
		prove::piecewise(a, bits / 8, order, true);                                        \
		*a = v;                                                                            \
		prove::settle();                                                                   \
	}                                                                                          \
	RMW(bits, exchange, exchange)                                                              \
	RMW(bits, fetch_add, fetch_add)                                                            \
	RMW(bits, fetch_sub, fetch_sub)                                                            \
	RMW(bits, fetch_or, fetch_or)                                                              \
	RMW(bits, fetch_and, fetch_and)                                                            \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                 \
		volatile uint##bits##_t *a, uint##bits##_t expected, uint##bits##_t v, int order,  \
		int failure)                                                                       \
	{                                                                                          \
		int o = HERE("compare_exchange", order);                                           \
		uint64_t seen = expected;                                                          \
		prove::settle();                                                                   \
		prove::cell *c = prove::cell_there(a, bits / 8);                                   \
		if (!c) {                                                                          \
			prove::alone(a, bits / 8, true);                                           \
			seen = *a;                                                                 \
			*a = seen == expected ? v : *a;                                            \
			return (uint##bits##_t)seen;                                               \
		}                                                                                  \
		if (o == SPLIT) {                                                                  \
			seen = c->atomic->load(rl::mo_seq_cst, $);                                 \
			if (seen == expected)                                                      \
				c->atomic->store(v, rl::mo_seq_cst, $);                            \
		} else {                                                                           \
			c->atomic->compare_exchange(                                               \
				rl::bool_t<false>(), seen, v, (rl::memory_order)o,                 \
				o == rl::mo_relaxed ? rl::mo_relaxed : (rl::memory_order)failure,  \
				$);                                                                \
		}                                                                                  \
		prove::poke(*c, c->atomic->debug_value());                                         \
		return (uint##bits##_t)seen;                                                       \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
	int o = HERE("fence", order);

	prove::settle();
	if (o != __ATOMIC_RELAXED)
		rl::atomic_thread_fence((rl::memory_order)o, $);
}

} // extern "C"
