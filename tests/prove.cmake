# Models and proofs, label `prove`. docs/assurance.md says what they show.

# quire_relacy_test(NAME REAL name...): tests/prove/relacy/model_NAME.cpp over tests/prove/relacy/real_<name>.c, which
# take in the kernel's own sources. These are compiled for ThreadSanitizer, whose calls the model answers.
find_path(QUIRE_RELACY relacy/relacy.hpp)
if(QUIRE_RELACY)
	set(CMAKE_CXX_COMPILER clang++)
	enable_language(CXX)
	function(quire_relacy_test name)
		set(sources prove/relacy/model_${name}.cpp)
		foreach(real ${ARGN})
			list(APPEND sources prove/relacy/real_${real}.c)
		endforeach()
		add_executable(prove_${name} EXCLUDE_FROM_ALL ${sources})
		# Not inlined, so that a place in the source is one in the program. What a model does not need of a file goes.
		target_compile_options(prove_${name} PRIVATE -g -fno-pie
			"$<$<COMPILE_LANGUAGE:C>:-O1;-w;-fno-inline;-ffunction-sections;-ffreestanding;-fsanitize=thread>"
			"$<$<COMPILE_LANGUAGE:CXX>:-std=c++17;-O2;-Wall;-Wextra;-Werror>")
		target_link_options(prove_${name} PRIVATE -no-pie -fuse-ld=lld -Wl,--gc-sections)
		target_include_directories(prove_${name} PRIVATE prove/relacy ${PROJECT_SOURCE_DIR}/include
			${PROJECT_SOURCE_DIR}/alloc ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/core/arch/${QUIRE_ARCH})
		add_dependencies(tests prove_${name})
		add_test(NAME prove_${name} COMMAND prove_${name})
		set_tests_properties(prove_${name} PROPERTIES LABELS "host;prove" TIMEOUT 300)
	endfunction()
	quire_relacy_test(spinlock spinlock)
	quire_relacy_test(page page)
	quire_relacy_test(close page tlb)
	quire_relacy_test(tlb tlb)
endif()
