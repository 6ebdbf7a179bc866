# SPDX-License-Identifier: MPL-2.0
#
# riposte_page (OUTPUT_VARIABLE FOLDER): C files that define `const char rp_dashboard_page[]`, the page of FOLDER
# in one file (dashboard.html with its style and its script inline), and `const char rp_dashboard_policy[]`, the
# Content-Security-Policy that allows these two and nothing else.

# The digits of a SHA-256 in hexadecimal as base64, which has no builtin.
function (riposte_base64 output hex)
    set (alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    set (text "")
    foreach (group RANGE 10)
        math (EXPR at "${group} * 6")
        string (SUBSTRING "${hex}00" ${at} 6 digits) # 32 bytes and one of padding are 11 groups
        foreach (shift IN ITEMS 18 12 6 0)
            math (EXPR index "(0x${digits} >> ${shift}) & 63")
            string (SUBSTRING "${alphabet}" ${index} 1 letter)
            string (APPEND text "${letter}")
        endforeach ()
    endforeach ()
    string (SUBSTRING "${text}" 0 43 text)
    set (${output} "${text}=" PARENT_SCOPE)
endfunction ()

function (riposte_page output folder)
    foreach (kind IN ITEMS html css js)
        set_property (DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/dashboard.${kind}")
        file (READ "${folder}/dashboard.${kind}" ${kind})
    endforeach ()
    string (SHA256 css_hash "${css}")
    string (SHA256 js_hash "${js}")
    riposte_base64 (css_hash "${css_hash}")
    riposte_base64 (js_hash "${js_hash}")
    string (REPLACE "<!--style-->" "<style>${css}</style>" html "${html}")
    string (REPLACE "<!--script-->" "<script>${js}</script>" html "${html}")
    string (CONCAT policy
            "default-src 'none'; style-src 'sha256-${css_hash}'; script-src 'sha256-${js_hash}'; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'")
    file (WRITE "${CMAKE_BINARY_DIR}/generated/dashboard.html.new" "${html}")
    file (WRITE "${CMAKE_BINARY_DIR}/generated/dashboard.policy.new" "${policy}")
    foreach (name IN ITEMS html policy)
        file (COPY_FILE "${CMAKE_BINARY_DIR}/generated/dashboard.${name}.new"
              "${CMAKE_BINARY_DIR}/generated/dashboard.${name}" ONLY_IF_DIFFERENT)
        file (REMOVE "${CMAKE_BINARY_DIR}/generated/dashboard.${name}.new")
    endforeach ()
    riposte_embed (page rp_dashboard_page "${CMAKE_BINARY_DIR}/generated/dashboard.html")
    riposte_embed (policy rp_dashboard_policy "${CMAKE_BINARY_DIR}/generated/dashboard.policy")
    set (${output} "${page}" "${policy}" PARENT_SCOPE)
endfunction ()
