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
 *   any other           an error: share() it           must be ordered with all others, else a race
 *
 * The memory itself holds the newest value. A plain read of a shared location may see an older one:
 * it is put there just before the compiled instruction reads, and taken away afterwards.
 *
 * Weakening: a run first notes every place with an order stronger than relaxed, and every operation
 * that reads and writes at once; then each is made relaxed (a seq_cst one first acquire or release),
 * and falls apart into a load and a store, and the model must fail. What it does not notice has to be
 * on the model's list, with the reason.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
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

#define SPLIT (-1) /* weaker than any order: a load and a store in place of one operation */

inline bool is_rmw(const char *operation)
{
	return strcmp(operation, "load") && strcmp(operation, "store") &&
	       strcmp(operation, "fence");
}

inline int order_at(void *site, const char *operation, int order)
{
	if (order != __ATOMIC_RELAXED || is_rmw(operation))
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
#define CELLS_MAX      32
#define EXECUTIONS_MAX 20000000ull
inline bool active; /* the model's threads run */
inline cell cells[CELLS_MAX];
inline unsigned cell_count;
/* Every byte of plain memory: who was there. */
typedef std::pair<const uintptr_t, rl::var_data *> byte_seen;
inline std::unordered_map<uintptr_t, rl::var_data *, std::hash<uintptr_t>, std::equal_to<uintptr_t>,
			  plain_allocator<byte_seen>>
	bytes_seen;

inline struct {
	cell *at;
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
	cell *c = pending.at;

	if (!c)
		return;
	pending.at = nullptr;
	if (pending.write)
		c->atomic->store(peek(*c), rl::mo_relaxed, $);
	else
		poke(*c, c->atomic->debug_value());
}

inline cell *find(uintptr_t address, unsigned bytes)
{
	for (unsigned i = 0; i < cell_count; i++)
		if (address < cells[i].address + cells[i].bytes &&
		    cells[i].address < address + bytes)
			return &cells[i];
	return nullptr;
}

[[noreturn]] inline void die(const char *what, uintptr_t address)
{
	fprintf(stderr, "prove: %s %#lx\n", what, (unsigned long)address);
	exit(2);
}

inline cell &cell_at(const volatile void *address, unsigned bytes)
{
	cell *c = find((uintptr_t)address, bytes);

	if (!c || c->address != (uintptr_t)address || c->bytes != bytes)
		die("an atomic operation on what was not share()d, called from",
		    (uintptr_t)__builtin_return_address(0));
	return *c;
}

/* In before(): a location that several threads use at once, with the value it has. */
inline void share(void *location, unsigned bytes, rl::memory_order plain_read = rl::mo_relaxed)
{
	if (cell_count == CELLS_MAX)
		die("too many shared locations:", cell_count);
	cell &c = cells[cell_count++];

	c.address = (uintptr_t)location;
	c.bytes = bytes;
	c.plain_read = plain_read;
	c.atomic = ::new ((void *)c.room) cell_atomic(peek(c));
}

template <typename T> inline void share(T &location)
{
	share(&location, sizeof location);
}

inline void plain(uintptr_t address, unsigned bytes, bool write)
{
	settle();
	if (cell *c = find(address, bytes)) {
		if (address < c->address || address + bytes > c->address + c->bytes)
			die("an access across shared locations at", address);
		if (!write ||
		    bytes < c->bytes) /* a part of it is written: the rest must be right */
			poke(*c, c->atomic->load(c->plain_read, $));
		pending.at = c;
		pending.write = write;
		return;
	}
	if (!active)
		return;
	for (unsigned i = 0; i < bytes; i++) {
		rl::var_data *&data = bytes_seen[address + i];

		if (!data)
			data = rl::ctx().var_ctor();
		rl::context &c = rl::ctx();
		if (!(write ? data->store(*c.threadx_) : data->load(*c.threadx_)))
			c.fail_test("data race on plain memory", rl::test_result_data_race, $);
	}
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

inline void require(bool holds, const char *what)
{
	if (!holds)
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
		cell_count = 0;
		bytes_seen.clear();
		pending.at = nullptr;
		d.begin();
		settle();
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
		for (auto &b : bytes_seen)
			rl::ctx().var_dtor(b.second);
		bytes_seen.clear();
		while (cell_count)
			cells[--cell_count].atomic->~cell_atomic();
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
	cell_count = 0; /* what a failed run left belongs to a context that is gone */
	bytes_seen.clear();
	(void)rl::simulate<suite>(params);
	active = false;
	return {params.test_result == rl::test_result_success,
		rl::test_result_str(params.test_result), (unsigned long long)params.stop_iteration};
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
				ours = ours || name.compare(0, f.size() + 1, f + ":") == 0;
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

/* As it is, then with each order weakened, in those files or all. The exit status of the test. */
inline int check(const std::vector<scenario> &scenarios, const excuses &allowed,
		 const std::vector<std::string> &files = {})
{
	return !all_hold(scenarios) || weaken_all(scenarios, allowed, files);
}

} // namespace prove

/* ---- what the compiler calls ---- */

extern "C" {

unsigned prove_cpu(void)
{
	return rl::thread_index();
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
PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)

	void __tsan_init(void)
{
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit(void)
{
}

#define HERE(operation, order) prove::order_at(__builtin_return_address(0), operation, order)
#define RMW(bits, name, call)                                                                      \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v,  \
						    int order)                                     \
	{                                                                                          \
		int o = HERE(#name, order);                                                        \
		prove::settle();                                                                   \
		prove::cell &c = prove::cell_at(a, bits / 8);                                      \
		uint##bits##_t was;                                                                \
		if (o == SPLIT) {                                                                  \
			was = (uint##bits##_t)c.atomic->load(rl::mo_seq_cst, $);                   \
			uint##bits##_t next = prove::perform(#name, was, v);                       \
			c.atomic->store(next, rl::mo_seq_cst, $);                                  \
		} else {                                                                           \
			was = (uint##bits##_t)c.atomic->call(v, (rl::memory_order)o, $);           \
		}                                                                                  \
		prove::poke(c, c.atomic->debug_value());                                           \
		return was;                                                                        \
	}
#define ATOMIC(bits)                                                                               \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order)     \
	{                                                                                          \
		rl::memory_order o = (rl::memory_order)HERE("load", order);                        \
		prove::settle();                                                                   \
		return (uint##bits##_t)prove::cell_at(a, bits / 8).atomic->load(o, $);             \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order)  \
	{                                                                                          \
		rl::memory_order o = (rl::memory_order)HERE("store", order);                       \
		prove::settle();                                                                   \
		prove::cell &c = prove::cell_at(a, bits / 8);                                      \
		c.atomic->store(v, o, $);                                                          \
		prove::poke(c, c.atomic->debug_value());                                           \
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
		prove::cell &c = prove::cell_at(a, bits / 8);                                      \
		if (o == SPLIT) {                                                                  \
			seen = c.atomic->load(rl::mo_seq_cst, $);                                  \
			if (seen == expected)                                                      \
				c.atomic->store(v, rl::mo_seq_cst, $);                             \
		} else {                                                                           \
			c.atomic->compare_exchange(                                                \
				rl::bool_t<false>(), seen, v, (rl::memory_order)o,                 \
				o == rl::mo_relaxed ? rl::mo_relaxed : (rl::memory_order)failure,  \
				$);                                                                \
		}                                                                                  \
		prove::poke(c, c.atomic->debug_value());                                           \
		return (uint##bits##_t)seen;                                                       \
	}
ATOMIC(8)
ATOMIC(16) ATOMIC(32) ATOMIC(64)

	void __tsan_atomic_thread_fence(int order)
{
	int o = HERE("fence", order);

	prove::settle();
	if (o != __ATOMIC_RELAXED)
		rl::atomic_thread_fence((rl::memory_order)o, $);
}

} // extern "C"
