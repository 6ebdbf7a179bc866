# SPDX-License-Identifier: MPL-2.0
#
# riposte_embed (OUTPUT_VARIABLE NAME FILE): a C file that defines `const char NAME[]`, the bytes of FILE, and
# `const size_t NAME_size`.

function (riposte_embed output name file)
    set (source "${CMAKE_BINARY_DIR}/generated/${name}.c")
    set_property (DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file (READ "${file}" bytes HEX)
    string (REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string (REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    file (CONFIGURE OUTPUT "${source}" CONTENT
"#include <stddef.h>
extern const char @name@[];
extern const size_t @name@_size;
const char @name@[] = {
@bytes@
0};
const size_t @name@_size = sizeof @name@ - 1;
" @ONLY)
    set (${output} "${source}" PARENT_SCOPE)
endfunction ()
