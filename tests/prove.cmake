# Models and proofs, label `prove`. docs/assurance.md says what they show.

# quire_relacy_test(NAME name... SOURCES file...): tests/prove/relacy/model_NAME.cpp over tests/prove/relacy/real_<name>.c,
# which take in the kernel's own sources, and over others of these as they are. They are compiled for ThreadSanitizer, whose calls the model answers.
find_path(QUIRE_RELACY relacy/relacy.hpp)
if(QUIRE_RELACY)
	set(CMAKE_CXX_COMPILER clang++)
	enable_language(CXX)
	function(quire_relacy_test name)
		cmake_parse_arguments(T "" "" "SOURCES" ${ARGN})
		list(TRANSFORM T_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
		list(APPEND sources prove/relacy/model_${name}.cpp)
		foreach(real ${T_UNPARSED_ARGUMENTS})
			list(APPEND sources prove/relacy/real_${real}.c)
		endforeach()
		add_executable(prove_${name} EXCLUDE_FROM_ALL ${sources})
		# Not inlined, so that a place in the source is one in the program. What a model does not need of a file goes.
		target_compile_options(prove_${name} PRIVATE -g -fno-pie
			"$<$<COMPILE_LANGUAGE:C>:-O1;-w;-fno-inline;-ffunction-sections;-ffreestanding;-fsanitize=thread>"
			"$<$<COMPILE_LANGUAGE:CXX>:-std=c++17;-O2;-Wall;-Wextra;-Werror>")
		target_link_options(prove_${name} PRIVATE -no-pie -fuse-ld=lld -Wl,--gc-sections
			-Wl,-z,nostart-stop-gc)
		target_include_directories(prove_${name} PRIVATE prove/relacy ${PROJECT_SOURCE_DIR}/include
			${PROJECT_SOURCE_DIR}/alloc ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/proc
			${PROJECT_SOURCE_DIR}/core/arch/${QUIRE_ARCH})
		add_dependencies(tests prove_${name})
		add_test(NAME prove_${name} COMMAND prove_${name})
		set_tests_properties(prove_${name} PROPERTIES LABELS "host;prove" TIMEOUT 300)
	endfunction()
	quire_relacy_test(spinlock spinlock)
	quire_relacy_test(page page)
	quire_relacy_test(close page tlb)
	quire_relacy_test(tlb tlb)
	set(KMALLOC_PROVED alloc/arena.c alloc/magazine.c alloc/slab.c alloc/kmalloc.c alloc/kmalloc_watch.c
		alloc/kmalloc_guard.c alloc/kmalloc_guard_hit.c alloc/kmalloc_check.c)
	quire_relacy_test(kmalloc kmalloc fast SOURCES ${KMALLOC_PROVED})
	quire_relacy_test(wake wake tlb SOURCES proc/balance.c proc/wait_queue.c proc/thread.c proc/thread_table.c
		proc/reaper.c proc/run_queue.c proc/sleep_queue.c proc/sched_check.c)
	quire_relacy_test(restart kmalloc fast tlb SOURCES ${KMALLOC_PROVED})
endif()

# The tests of many threads once more, under ThreadSanitizer; label tsan. It looks at the real orders of the real
# code, in the few interleavings that happen.
function(quire_tsan_test name)
	cmake_parse_arguments(T "" "" "SOURCES" ${ARGN})
	list(TRANSFORM T_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/)
	add_executable(tsan_${name} EXCLUDE_FROM_ALL ${T_SOURCES} ${PROJECT_SOURCE_DIR}/tests/host/port.c)
	target_compile_options(tsan_${name} PRIVATE -O1 -g -fsanitize=thread -fno-omit-frame-pointer ${QUIRE_WARNINGS}
		-DQUIRE_HOSTED)
	target_link_options(tsan_${name} PRIVATE -fsanitize=thread)
	target_include_directories(tsan_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests/host
		${PROJECT_SOURCE_DIR}/alloc ${PROJECT_SOURCE_DIR}/core)
	target_link_libraries(tsan_${name} PRIVATE cmocka)
	add_dependencies(tests tsan_${name})
	add_test(NAME tsan_${name} COMMAND tsan_${name})
	set_tests_properties(tsan_${name} PROPERTIES LABELS "host;tsan" TIMEOUT 300
		ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1 second_deadlock_stack=1")
endfunction()
quire_host_test(test_page_threads SOURCES tests/unit/test_page_threads.c ${PAGE_TEST_SOURCES})
quire_host_test(test_log_threads SOURCES tests/unit/test_log_threads.c core/log.c ${CORE_LIB})
quire_tsan_test(kmalloc SOURCES tests/unit/test_kmalloc_threads.c ${KMALLOC_UNDER_TEST})
quire_tsan_test(page SOURCES tests/unit/test_page_threads.c ${PAGE_TEST_SOURCES})
quire_tsan_test(log SOURCES tests/unit/test_log_threads.c core/log.c ${CORE_LIB})

# The bit tricks: z3 for those with 2^64 arguments, all of them for the others.
add_test(NAME prove_bits COMMAND ${QUIRE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/prove/bits/prove.py ${CMAKE_C_COMPILER}
	${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/alloc)
set_tests_properties(prove_bits PROPERTIES LABELS "host;prove" TIMEOUT 300 ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
quire_host_test(prove_arithmetic SOURCES tests/prove/arithmetic.c LABELS prove TIMEOUT 300)
add_dependencies(alloc_tests prove_arithmetic) # of its headers

# Frama-C/WP, where it is installed (tools/setup prove); says so where it is not.
add_test(NAME prove_wp COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/prove/wp/prove.sh)
set_tests_properties(prove_wp PROPERTIES LABELS "host;prove" COST 120 TIMEOUT 900 SKIP_RETURN_CODE 77)
