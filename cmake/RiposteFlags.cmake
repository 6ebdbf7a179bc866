# SPDX-License-Identifier: MPL-2.0
#
# How everything in this project is compiled: the target riposte_flags carries it.

if (NOT CMAKE_BUILD_TYPE)
    set (CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif ()
# assert stays on in every build: what it guards is our own mistakes, never a peer's input.
set (CMAKE_C_FLAGS_RELEASE "-O2")
set (CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
if (RIPOSTE_SANITIZE)
    # Half the time of the compiler, which with sanitizers takes longer than the tests of most files; -g1 has the lines
    # of a backtrace.
    set (CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1")
endif ()

set (CMAKE_C_STANDARD 17)
set (CMAKE_C_STANDARD_REQUIRED ON)
set (CMAKE_C_EXTENSIONS OFF)
set (CMAKE_C_VISIBILITY_PRESET hidden)
set (CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library (riposte_flags INTERFACE)
target_compile_definitions (riposte_flags INTERFACE _GNU_SOURCE)
target_compile_options (riposte_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wpointer-arith -Wvla)
# GCC zeroes a struct of 80 bytes or more with "rep stos" on x86, which takes several times as long as the
# few stores that it stands for; heads, calls and tasks are such structs (bench/NOTES.md).
include (CheckCCompilerFlag)
set (RIPOSTE_ZERO_BY_STORES "-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign")
check_c_compiler_flag ("${RIPOSTE_ZERO_BY_STORES}" RIPOSTE_HAS_MEMSET_STRATEGY)
if (RIPOSTE_HAS_MEMSET_STRATEGY)
    target_compile_options (riposte_flags INTERFACE ${RIPOSTE_ZERO_BY_STORES})
endif ()
if (RIPOSTE_WERROR)
    target_compile_options (riposte_flags INTERFACE -Werror)
endif ()

if (RIPOSTE_SANITIZE)
    target_compile_options (riposte_flags INTERFACE
        -fsanitize=${RIPOSTE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
        -Wno-format-truncation) # without -O2 it knows few ranges, and warns
    target_link_options (riposte_flags INTERFACE -fsanitize=${RIPOSTE_SANITIZE})
else ()
    # A shared library must name everything it needs. Sanitizers leave their runtime to the program.
    target_link_options (riposte_flags INTERFACE -Wl,--no-undefined)
endif ()

if (RIPOSTE_FUZZ)
    if (NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message (FATAL_ERROR "RIPOSTE_FUZZ needs libFuzzer: configure with CC=clang")
    endif ()
    target_compile_options (riposte_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options (riposte_flags INTERFACE -fsanitize=fuzzer-no-link)
endif ()

# Programs of tests, which nobody installs, are linked with gold: there are hundreds, and it takes half the time of ld.
include (CheckLinkerFlag)
check_linker_flag (C -fuse-ld=gold RIPOSTE_HAS_GOLD)
set (RIPOSTE_FAST_LINK $<$<BOOL:${RIPOSTE_HAS_GOLD}>:-fuse-ld=gold>)

# ---- Hardening -----------------------------------------------------------------------------------
# What makes a mistake of ours harder to use for somebody else. install/elf looks for each of these in the
# installed programs and the library. What each costs is in bench/NOTES.md.

option (RIPOSTE_HARDENING "Compile and link with what makes a mistake harder to exploit" ON)

# Sanitizers find the mistakes instead, and do not go with the checks of glibc.
if (RIPOSTE_HARDENING AND NOT RIPOSTE_SANITIZE AND NOT RIPOSTE_FUZZ)
    include (CheckPIESupported)
    check_pie_supported (LANGUAGES C)
    set (CMAKE_POSITION_INDEPENDENT_CODE ON) # -fPIE and -pie for programs
    # glibc's checks are inline functions, which are there with optimization only. Some compilers define it.
    target_compile_options (riposte_flags INTERFACE
        "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
    target_compile_options (riposte_flags INTERFACE -fstack-protector-strong)
    # -strong has a canary wherever the address of a local variable is taken. In the core and its tables that is
    # all over the place, and took 90 instructions of the 2,199 of a request: they have one where an array
    # is on the stack.
    file (GLOB pure CONFIGURE_DEPENDS broker/core/*.c common/base/*.c bench/bench_core.c)
    set_property (SOURCE ${pure} APPEND PROPERTY COMPILE_OPTIONS -fstack-protector)
    # Compilers have these for some processors and versions only (-fcf-protection for x86).
    foreach (flag IN ITEMS -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
        string (MAKE_C_IDENTIFIER "RIPOSTE_HAS${flag}" has)
        check_c_compiler_flag (${flag} ${has})
        if (${has})
            target_compile_options (riposte_flags INTERFACE ${flag})
        endif ()
    endforeach ()
    target_link_options (riposte_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif ()
