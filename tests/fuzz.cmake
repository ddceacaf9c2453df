# libFuzzer, each target against a shadow model or an oracle, under ASan and UBSan. In ctest a smoke
# run that starts from the kept corpus; tools/fuzz (preset `fuzz`) makes the long ones.
#
# quire_fuzz(NAME LENGTH bytes SOURCES file... [INCLUDES folder...] [FLAGS flag...])
# Builds fuzz_NAME from tests/fuzz/fuzz_NAME.c and the sources; `tools/fuzz` reads LENGTH from fuzz_NAME.length.
add_custom_target(fuzzers)
set(QUIRE_FUZZ_SECONDS 4)
function(quire_fuzz name)
	cmake_parse_arguments(F "" "LENGTH" "SOURCES;INCLUDES;FLAGS" ${ARGN})
	set(target fuzz_${name})
	list(TRANSFORM F_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/)
	add_executable(${target} EXCLUDE_FROM_ALL fuzz/${target}.c ${F_SOURCES} host/port.c)
	target_compile_options(${target} PRIVATE ${QUIRE_HOST_TEST_FLAGS} -O2 -fsanitize=fuzzer ${F_FLAGS})
	target_link_options(${target} PRIVATE -fsanitize=fuzzer,address,undefined)
	target_link_libraries(${target} PRIVATE cmocka) # the fixtures' asserts
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/host
		${CMAKE_CURRENT_SOURCE_DIR}/model ${PROJECT_SOURCE_DIR}/tools ${PROJECT_SOURCE_DIR}/alloc
		${PROJECT_SOURCE_DIR}/proc ${PROJECT_SOURCE_DIR}/core)
	add_dependencies(tests ${target})
	add_dependencies(fuzzers ${target})
	file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}.length CONTENT "${F_LENGTH}\n")
	# What a run finds goes to the first folder; the kept corpus is only read.
	file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/corpus_${target})
	add_test(NAME ${target} COMMAND ${target} -max_total_time=${QUIRE_FUZZ_SECONDS} -timeout=20 -max_len=${F_LENGTH}
		-print_final_stats=1 -verbosity=0 -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${target}-
		${CMAKE_CURRENT_BINARY_DIR}/corpus_${target} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
	set_tests_properties(${target} PROPERTIES LABELS "host;fuzz" TIMEOUT 120)
endfunction()

# Validators compare far more than the code they judge: what they see must not steer the fuzzer, or slow it down.
set_source_files_properties(${PROJECT_SOURCE_DIR}/alloc/page_check.c ${PROJECT_SOURCE_DIR}/alloc/kmalloc_check.c
	PROPERTIES COMPILE_OPTIONS -fno-sanitize=fuzzer)
set(PAGE_FUZZED ${PAGE_TEST_SOURCES})
list(REMOVE_ITEM PAGE_FUZZED tests/host/pages.c) # it has machines of its own
# Where no input is compared with a constant worth guessing, watching comparisons only costs.
set(QUIRE_NO_COMPARE -fno-sanitize-coverage=trace-cmp)
quire_fuzz(cmdline LENGTH 512 SOURCES core/lib/cmdline.c core/lib/strlcpy.c)
quire_fuzz(config LENGTH 4200 SOURCES efi/config.c)
quire_fuzz(elf LENGTH 4200 SOURCES efi/elf.c)
quire_fuzz(input LENGTH 600 SOURCES core/console/serial_decode.c core/console/line_edit.c core/console/line_draw.c
	core/console/terminal.c core/shell/complete.c core/shell/parse.c ${CORE_LIB})
quire_fuzz(kmalloc LENGTH 600 SOURCES ${KMALLOC_UNDER_TEST}
	FLAGS ${QUIRE_NO_COMPARE})
quire_fuzz(memmap_file LENGTH 2048 SOURCES tools/memmap_file.c ${REGION_UNDER_TEST})
quire_fuzz(page LENGTH 601 SOURCES ${PAGE_FUZZED}
	FLAGS ${QUIRE_NO_COMPARE})
quire_fuzz(parse LENGTH 1200 SOURCES core/shell/parse.c core/shell/complete.c)
quire_fuzz(queues LENGTH 600 SOURCES proc/run_queue.c proc/sleep_queue.c proc/message_queue.c
	FLAGS ${QUIRE_NO_COMPARE})
quire_fuzz(region LENGTH 1024 SOURCES ${REGION_UNDER_TEST}
	FLAGS ${QUIRE_NO_COMPARE})
