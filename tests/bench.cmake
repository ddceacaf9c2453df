# Instruction counts of the kernel's operations, in a guest under icount, against tests/bench/recorded.json.
# No test fails on a time: a count repeats exactly, and over 10 % more of it is a regression.
add_test(NAME bench_counts COMMAND ${QUIRE_PYTHON} ${PROJECT_SOURCE_DIR}/tools/bench.py --check --no-build
	--build-dir ${PROJECT_BINARY_DIR})
set_tests_properties(bench_counts PROPERTIES LABELS bench COST 70 TIMEOUT 580
	ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
add_test(NAME bench_judge COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider test_judge.py
	WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/bench)
set_tests_properties(bench_judge PROPERTIES LABELS "bench;host" TIMEOUT 60 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")

# For tools/bench: the library as it would be shipped, on this machine (targets of their own, not in `tests`).
find_package(Threads REQUIRED)
function(quire_host_bench name)
	list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
	add_executable(${name} EXCLUDE_FROM_ALL ${sources} host/port.c)
	target_compile_options(${name} PRIVATE -O2 -gdwarf-4 -fno-strict-aliasing ${QUIRE_WARNINGS} -DQUIRE_HOSTED)
	target_include_directories(${name} PRIVATE
		${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/host ${PROJECT_SOURCE_DIR}/alloc)
	target_link_libraries(${name} PRIVATE Threads::Threads)
endfunction()
quire_host_bench(bench_host_objects tests/bench/bench_objects.c ${KMALLOC_UNDER_TEST})
quire_host_bench(bench_host_pages tests/bench/bench_page.c ${PAGE_TEST_SOURCES})
quire_host_bench(bench_host_cpus tests/bench/bench_cpus.c ${KMALLOC_UNDER_TEST})
