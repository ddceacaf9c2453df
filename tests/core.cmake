# The generic half of core/: library, log, console, shell.
set(CORE_LIB core/lib/format.c core/lib/format_units.c core/lib/utf8.c core/lib/strlcpy.c)

quire_host_test(test_string SOURCES tests/unit/test_string.c)
quire_host_test(test_format SOURCES tests/unit/test_format.c core/lib/errno.c ${CORE_LIB})
quire_host_test(test_json SOURCES tests/unit/test_json.c core/lib/json.c ${CORE_LIB})
quire_host_test(test_cmdline SOURCES tests/unit/test_cmdline.c core/lib/cmdline.c core/lib/strlcpy.c)
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
quire_host_test(test_scancode SOURCES tests/unit/test_scancode.c core/arch/x86_64/scancode.c)
quire_host_test(test_span SOURCES tests/unit/test_span.c)
quire_host_test(test_time SOURCES tests/unit/test_time.c core/time.c)
