# kmalloc, over the real page allocator.
set(KMALLOC_UNDER_TEST alloc/alloc_fail.c alloc/alloc_trace.c alloc/arena.c alloc/kmalloc.c alloc/kmalloc_about.c
	alloc/kmalloc_cache.c alloc/kmalloc_check.c alloc/kmalloc_debug.c alloc/kmalloc_guard.c alloc/kmalloc_guard_hit.c alloc/kmalloc_kernel.c
	alloc/kmalloc_large.c alloc/kmalloc_misuse.c alloc/kmalloc_quarantine.c alloc/kmalloc_stats.c alloc/kmalloc_walk.c alloc/kmalloc_watch.c alloc/magazine.c alloc/slab.c
	alloc/page.c alloc/page_block.c alloc/page_bulk.c alloc/page_check.c alloc/page_cpu.c alloc/page_init.c
	alloc/page_misuse.c alloc/page_node.c alloc/page_pattern.c alloc/page_run.c alloc/page_share.c alloc/page_sleep.c alloc/page_stats.c alloc/page_walk.c alloc/page_watch.c alloc/desc_plan.c
	alloc/region.c tests/host/pages.c)

quire_host_test(test_kmalloc SOURCES tests/unit/test_kmalloc.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_arena SOURCES tests/unit/test_arena.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_stats SOURCES tests/unit/test_kmalloc_stats.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_magazine SOURCES tests/unit/test_magazine.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_misuse SOURCES tests/unit/test_kmalloc_misuse.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_debug SOURCES tests/unit/test_kmalloc_debug.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_quarantine SOURCES tests/unit/test_kmalloc_quarantine.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_limits SOURCES tests/unit/test_kmalloc_limits.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_guard SOURCES tests/unit/test_kmalloc_guard.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_guard_pool SOURCES tests/unit/test_kmalloc_guard_pool.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_oom SOURCES tests/unit/test_kmalloc_oom.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_threads SOURCES tests/unit/test_kmalloc_threads.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_kmalloc_watch SOURCES tests/unit/test_kmalloc_watch.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_alloc_fail SOURCES tests/unit/test_alloc_fail.c ${KMALLOC_UNDER_TEST})
quire_host_test(test_alloc_trace SOURCES tests/unit/test_alloc_trace.c ${KMALLOC_UNDER_TEST})
quire_host_test(model_kmalloc SOURCES tests/model/model_kmalloc.c ${KMALLOC_UNDER_TEST} LABELS model)

# Instruction counts, outside ctest: cmake --build build --target bench_kmalloc, then tests/bench/kmalloc.sh.
list(TRANSFORM KMALLOC_UNDER_TEST PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE KMALLOC_BENCHED)
add_executable(bench_kmalloc EXCLUDE_FROM_ALL bench/bench_kmalloc.c host/port.c ${KMALLOC_BENCHED})
target_compile_options(bench_kmalloc PRIVATE -O2 -gdwarf-4 -ffreestanding -fno-omit-frame-pointer -fno-strict-aliasing
	${QUIRE_WARNINGS} -DQUIRE_HOSTED)
target_include_directories(bench_kmalloc PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests/host
	${PROJECT_SOURCE_DIR}/alloc)
