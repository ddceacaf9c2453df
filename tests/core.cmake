# The generic half of core/: library, log, console, shell.
set(CORE_LIB core/lib/format.c core/lib/format_units.c core/lib/utf8.c core/lib/strlcpy.c)

quire_host_test(test_string SOURCES tests/unit/test_string.c)
quire_host_test(test_format SOURCES tests/unit/test_format.c core/lib/errno.c ${CORE_LIB})
quire_host_test(test_json SOURCES tests/unit/test_json.c core/lib/json.c ${CORE_LIB})
quire_host_test(test_cmdline SOURCES tests/unit/test_cmdline.c core/lib/cmdline.c core/lib/strlcpy.c)
quire_host_test(test_fail_plan SOURCES tests/unit/test_fail_plan.c core/fail_plan.c core/shell/arguments.c ${CORE_LIB})
quire_host_test(test_symbols SOURCES tests/unit/test_symbols.c core/symbols.c ${CORE_LIB})
quire_host_test(test_serial_decode SOURCES tests/unit/test_serial_decode.c core/console/serial_decode.c core/lib/utf8.c)
quire_host_test(test_console SOURCES tests/unit/test_console.c core/console/console.c core/log.c ${CORE_LIB})
quire_host_test(test_keys SOURCES tests/unit/test_keys.c core/console/keys.c core/console/serial_decode.c core/lib/utf8.c)

# The framebuffer console, with the fonts it ships.
set(FBCON core/console/fbcon.c core/console/fbcon_screen.c core/console/terminal.c core/console/psf.c core/console/font.S)
quire_host_test(test_psf SOURCES tests/unit/test_psf.c core/console/psf.c core/console/font.S core/lib/utf8.c)
quire_host_test(test_terminal SOURCES tests/unit/test_terminal.c core/console/terminal.c core/lib/utf8.c)
quire_host_test(test_fbcon SOURCES tests/unit/test_fbcon.c tests/host/fake_kmalloc.c core/lib/utf8.c ${FBCON})
foreach(test test_psf test_fbcon)
	target_include_directories(${test} PRIVATE ${PROJECT_BINARY_DIR}/core/fonts)
	add_dependencies(${test} fonts)
endforeach()
# The CPU's and the platform's pure parts.
quire_host_test(test_acpi SOURCES tests/unit/test_acpi.c core/acpi.c)
quire_host_test(test_acpi_numa SOURCES tests/unit/test_acpi_numa.c core/acpi.c core/acpi_numa.c)
quire_host_test(test_scancode SOURCES tests/unit/test_scancode.c core/arch/x86_64/scancode.c)
quire_host_test(test_span SOURCES tests/unit/test_span.c)
quire_host_test(test_host_locks SOURCES tests/unit/test_host_locks.c)
quire_host_test(test_time SOURCES tests/unit/test_time.c core/time.c)

quire_host_test(test_line_edit SOURCES tests/unit/test_line_edit.c core/console/line_edit.c core/console/line_draw.c
	core/console/terminal.c core/shell/complete.c ${CORE_LIB})
quire_host_test(test_map_piece SOURCES tests/unit/test_map_piece.c core/shell/map_piece.c alloc/region.c alloc/memmap.c)
quire_host_test(test_parse SOURCES tests/unit/test_parse.c core/shell/parse.c core/shell/complete.c)
quire_host_test(test_shell SOURCES tests/unit/test_shell.c core/shell/shell.c core/shell/parse.c core/shell/complete.c
	core/shell/arguments.c core/shell/cmd_help.c core/shell/cmd_log.c core/shell/cmd_time.c core/shell/cmd_version.c
	core/console/line_edit.c core/console/line_draw.c core/lib/json.c ${CORE_LIB})
target_compile_definitions(test_shell PRIVATE
	QUIRE_VERSION="9.9" QUIRE_COMMIT="abc" QUIRE_ARCH_NAME="test" QUIRE_BUILD_TYPE="test")

quire_host_test(test_tables SOURCES tests/unit/test_tables.c core/arch/x86_64/tables.c core/arch/x86_64/mmio.c)
quire_host_test(test_restart SOURCES tests/unit/test_restart.c core/arch/x86_64/restart.c)
quire_host_test(test_desc_window SOURCES tests/unit/test_desc_window.c core/arch/x86_64/tables.c core/arch/x86_64/desc_window.c)
quire_host_test(test_stacks SOURCES tests/unit/test_stacks.c core/arch/x86_64/tables.c core/arch/x86_64/stacks.c
	${PAGE_TEST_SOURCES} FLAGS -DSTACK_BLOCKS=512u)
