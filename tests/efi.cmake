# The loader: its pure parts and its dealings with a pretended firmware on the host, the files it is
# delivered in, and every way it can fail in a real (virtual) firmware.
quire_host_test(test_config SOURCES tests/unit/test_config.c efi/config.c)
quire_host_test(test_text SOURCES tests/unit/test_text.c efi/text.c core/lib/utf8.c)
target_compile_options(test_text PRIVATE -fshort-wchar)
quire_host_test(test_elf SOURCES tests/unit/test_elf.c efi/elf.c)
quire_host_test(test_efi_paging SOURCES tests/unit/test_efi_paging.c efi/x86_64/paging.c)

# The parts that call the firmware, against one pretended on the host; firmware calls use the Microsoft ABI.
# (-Wno-format: %llu is uint64_t there and merely as wide here.)
set(QUIRE_EFI_HOST_FLAGS -fshort-wchar -Wno-format -DGNU_EFI_USE_MS_ABI
	-isystem/usr/include/efi -isystem/usr/include/efi/${QUIRE_ARCH})
quire_host_test(test_loader FLAGS ${QUIRE_EFI_HOST_FLAGS} SOURCES tests/unit/test_loader.c tests/host/firmware.c
	efi/console.c efi/memory.c efi/map.c efi/spoil.c efi/place.c efi/handover.c efi/graphics.c efi/text.c core/lib/utf8.c
	alloc/region.c alloc/memmap.c alloc/desc_plan.c alloc/boot_pool.c)
quire_host_test(test_graphics FLAGS ${QUIRE_EFI_HOST_FLAGS} SOURCES tests/unit/test_graphics.c tests/host/firmware.c
	efi/console.c efi/graphics.c efi/text.c core/lib/utf8.c)
quire_host_test(test_options FLAGS ${QUIRE_EFI_HOST_FLAGS} SOURCES tests/unit/test_options.c tests/host/firmware.c
	efi/console.c efi/options.c efi/config.c efi/text.c core/lib/utf8.c)

add_test(NAME lint_image COMMAND ${QUIRE_PYTHON} ${PROJECT_SOURCE_DIR}/tests/lint/check_image.py
	${PROJECT_BINARY_DIR}/BOOTX64.EFI ${PROJECT_BINARY_DIR}/quire.img)
set_tests_properties(lint_image PROPERTIES LABELS lint)

add_test(NAME boot_loader COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider test_loader.py
	WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/boot)
set_tests_properties(boot_loader PROPERTIES LABELS guest COST 35 TIMEOUT 400 ENVIRONMENT
	"QUIRE_BUILD=${PROJECT_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
add_test(NAME boot_image COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider test_image.py
	WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/boot)
set_tests_properties(boot_image PROPERTIES TIMEOUT 60 ENVIRONMENT
	"QUIRE_BUILD=${PROJECT_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
