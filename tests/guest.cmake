# Tests in a QEMU guest with UEFI firmware: one ctest a file of tests/guest. Each boots the image
# (or the .EFI file) that was built and talks to it over serial line, keyboard and screen.
#
# The longest go first (COST), so that two at a time end together.
set(QUIRE_GUEST_TIMEOUT 580)
if(QUIRE_KASAN)
	set(QUIRE_GUEST_TIMEOUT 1800) # every access is a call
endif()
function(quire_guest_test name cost)
	add_test(NAME guest_${name} COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider test_${name}.py
		WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/guest)
	set_tests_properties(guest_${name} PROPERTIES LABELS guest COST ${cost} TIMEOUT ${QUIRE_GUEST_TIMEOUT}
		ENVIRONMENT "QUIRE_BUILD=${PROJECT_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endfunction()

quire_guest_test(failures 90)
quire_guest_test(boot 100)
quire_guest_test(boot_failures 60)
quire_guest_test(faults 80)
quire_guest_test(loader 60)
quire_guest_test(smp 70)
quire_guest_test(stress 60)
quire_guest_test(maps 50)
quire_guest_test(threads 50)
quire_guest_test(memory 40)
quire_guest_test(misuse_pages 40)
quire_guest_test(screen 40)
quire_guest_test(shell 30)
quire_guest_test(bench 40)
quire_guest_test(selftest 30)
quire_guest_test(tools 30)
quire_guest_test(misuse_kmalloc 60)
quire_guest_test(leaks 40)
quire_guest_test(nodes 30)
quire_guest_test(power 20)

# Some of them again in builds that check more (the presets of those names), built on demand, together
# with what those builds alone can show. All of them: tools/test --preset kasan.
function(quire_checked_tests preset cost)
	list(TRANSFORM ARGN REPLACE "(.+)" "test_\\1.py" OUTPUT_VARIABLE files)
	add_test(NAME build_${preset} COMMAND sh -c "cmake --preset ${preset} && cmake --build --preset ${preset}"
		WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
	set_tests_properties(build_${preset} PROPERTIES LABELS guest COST 1000 TIMEOUT 580 FIXTURES_SETUP ${preset})
	add_test(NAME guest_${preset} COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider ${files}
		WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/guest)
	set_tests_properties(guest_${preset} PROPERTIES LABELS guest COST ${cost} TIMEOUT 580 FIXTURES_REQUIRED ${preset}
		ENVIRONMENT "QUIRE_BUILD=${PROJECT_SOURCE_DIR}/build-${preset};PYTHONDONTWRITEBYTECODE=1")
endfunction()

if(QUIRE_KASAN)
	quire_guest_test(kasan 60)
elseif(QUIRE_UBSAN)
	quire_guest_test(ubsan 60)
else()
	quire_checked_tests(kasan 90 kasan)
	quire_checked_tests(ubsan 90 ubsan nodes)
endif()
