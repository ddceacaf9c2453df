# The page allocator.
set(PAGE_TEST_SOURCES alloc/alloc_fail.c alloc/alloc_trace.c alloc/page.c alloc/page_block.c alloc/page_bulk.c alloc/page_check.c alloc/page_cpu.c alloc/page_init.c
	alloc/page_misuse.c alloc/page_node.c alloc/page_pattern.c alloc/page_run.c alloc/page_share.c alloc/page_sleep.c alloc/page_stats.c alloc/page_walk.c alloc/page_watch.c
	alloc/desc_plan.c alloc/region.c tests/host/pages.c)

quire_host_test(test_page SOURCES tests/unit/test_page.c ${PAGE_TEST_SOURCES})
quire_host_test(model_page SOURCES tests/model/model_page.c ${PAGE_TEST_SOURCES} TIMEOUT 300)
quire_host_test(test_page_recovery SOURCES tests/unit/test_page_recovery.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_misuse SOURCES tests/unit/test_page_misuse.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_block SOURCES tests/unit/test_page_block.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_bits SOURCES tests/unit/test_page_bits.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_stats SOURCES tests/unit/test_page_stats.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_walk SOURCES tests/unit/test_page_walk.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_init SOURCES tests/unit/test_page_init.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_cpu SOURCES tests/unit/test_page_cpu.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_check SOURCES tests/unit/test_page_check.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_node SOURCES tests/unit/test_page_node.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_sleep SOURCES tests/unit/test_page_sleep.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_pattern SOURCES tests/unit/test_page_pattern.c ${PAGE_TEST_SOURCES})
quire_host_test(test_page_watch SOURCES tests/unit/test_page_watch.c ${PAGE_TEST_SOURCES})

# Not a test: ns and instructions of the operations, see the file. DWARF 4 is what valgrind reads.
list(TRANSFORM PAGE_TEST_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE PAGE_BENCH_SOURCES)
add_executable(bench_page EXCLUDE_FROM_ALL ${PAGE_BENCH_SOURCES} ${PROJECT_SOURCE_DIR}/tests/bench/bench_page.c
	${PROJECT_SOURCE_DIR}/tests/host/port.c)
target_compile_options(bench_page PRIVATE -O2 -gdwarf-4 -fno-strict-aliasing ${QUIRE_WARNINGS} -DQUIRE_HOSTED)
target_include_directories(bench_page PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests/host
	${PROJECT_SOURCE_DIR}/alloc)

# Every reachable state of a small allocator; optimised, for it takes millions of steps.
quire_host_test(exhaust_page SOURCES tests/model/exhaust_page.c ${PAGE_TEST_SOURCES} FLAGS -O2 LABELS model TIMEOUT 300)
