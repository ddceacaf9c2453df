# Regions, memory types, the descriptor plan, and memplan.
set(REGION_UNDER_TEST alloc/region.c alloc/memmap.c alloc/desc_plan.c alloc/boot_pool.c)

quire_host_test(test_region SOURCES tests/unit/test_region.c ${REGION_UNDER_TEST})
quire_host_test(test_memmap SOURCES tests/unit/test_memmap.c ${REGION_UNDER_TEST})
quire_host_test(test_desc_plan SOURCES tests/unit/test_desc_plan.c tools/memmap_file.c
	${REGION_UNDER_TEST} ARGS ${PROJECT_SOURCE_DIR}/tests/data/memmaps FLAGS -I${PROJECT_SOURCE_DIR}/tools)
quire_host_test(model_region SOURCES tests/model/model_region.c ${REGION_UNDER_TEST} LABELS model)
quire_host_test(model_desc_plan SOURCES tests/model/model_desc_plan.c ${REGION_UNDER_TEST} LABELS model)

add_test(NAME test_memplan COMMAND ${QUIRE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/host_cli/test_memplan.py
	$<TARGET_FILE:memplan> ${CMAKE_CURRENT_SOURCE_DIR}/data/memmaps)
set_tests_properties(test_memplan PROPERTIES LABELS host TIMEOUT 120)
