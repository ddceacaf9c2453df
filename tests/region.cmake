# Regions, memory types, the descriptor plan, and memplan.
set(REGION_UNDER_TEST alloc/region.c alloc/memmap.c alloc/desc_plan.c alloc/boot_pool.c)

quire_host_test(test_region SOURCES tests/unit/test_region.c ${REGION_UNDER_TEST})
quire_host_test(test_memmap SOURCES tests/unit/test_memmap.c ${REGION_UNDER_TEST})
quire_host_test(test_desc_plan SOURCES tests/unit/test_desc_plan.c tools/memmap_file.c
	${REGION_UNDER_TEST} ARGS ${PROJECT_SOURCE_DIR}/tests/data/memmaps FLAGS -I${PROJECT_SOURCE_DIR}/tools)
quire_host_test(model_region SOURCES tests/model/model_region.c ${REGION_UNDER_TEST} LABELS model)
quire_host_test(model_desc_plan SOURCES tests/model/model_desc_plan.c ${REGION_UNDER_TEST} LABELS model)

# quire_region_fuzz(NAME SECONDS CORPUS SOURCES...): libFuzzer, a short run in ctest.
# For a long one: build/tests/NAME -max_total_time=3600 CORPUS
function(quire_region_fuzz name seconds corpus)
	list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/)
	add_executable(${name} EXCLUDE_FROM_ALL ${ARGN})
	target_compile_options(${name} PRIVATE ${QUIRE_HOST_TEST_FLAGS} -fsanitize=fuzzer)
	target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests/model
		${PROJECT_SOURCE_DIR}/tools)
	add_dependencies(tests ${name})
	# The first directory takes what the fuzzer finds, the second is only read.
	file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/corpus_${name})
	add_test(NAME ${name} COMMAND ${name} -max_total_time=${seconds} -print_final_stats=1 -max_len=4096
		-artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${name}- ${CMAKE_CURRENT_BINARY_DIR}/corpus_${name} ${corpus})
	set_tests_properties(${name} PROPERTIES LABELS "host;fuzz" TIMEOUT 120)
endfunction()
quire_region_fuzz(fuzz_region 10 "" tests/fuzz/fuzz_region.c ${REGION_UNDER_TEST})
quire_region_fuzz(fuzz_memmap_file 5 ${PROJECT_SOURCE_DIR}/tests/data/memmaps
	tests/fuzz/fuzz_memmap_file.c tools/memmap_file.c ${REGION_UNDER_TEST})

add_test(NAME test_memplan COMMAND ${QUIRE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/host_cli/test_memplan.py
	$<TARGET_FILE:memplan> ${CMAKE_CURRENT_SOURCE_DIR}/data/memmaps)
set_tests_properties(test_memplan PROPERTIES LABELS host TIMEOUT 120)
