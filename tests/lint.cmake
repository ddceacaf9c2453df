# Tests of the text and of the files that were built: formatting, layering, headers, relocations.
list(JOIN QUIRE_KERNEL_FLAGS " " LINT_KERNEL_FLAGS)
foreach(name format layering headers binaries canaries)
	add_test(NAME lint_${name} COMMAND ${QUIRE_PYTHON} -m pytest -q -p no:cacheprovider test_${name}.py
		WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/lint)
	set_tests_properties(lint_${name} PROPERTIES LABELS lint TIMEOUT 120 ENVIRONMENT
		"QUIRE_BUILD=${PROJECT_BINARY_DIR};QUIRE_KERNEL_FLAGS=${LINT_KERNEL_FLAGS};PYTHONDONTWRITEBYTECODE=1")
endforeach()
