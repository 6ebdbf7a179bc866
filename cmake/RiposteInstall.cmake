# SPDX-License-Identifier: MPL-2.0
#
# What `cmake --install` puts where.

include (CMakePackageConfigHelpers)

set (package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Riposte")
set (generated_dir "${CMAKE_BINARY_DIR}/generated")

# ---- Library, headers, package files -----------------------------------------------------------

install (TARGETS riposte riposte_static EXPORT riposte_targets
         LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
         ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install (DIRECTORY include/riposte DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
         FILES_MATCHING PATTERN "*.h")
install (EXPORT riposte_targets NAMESPACE Riposte:: FILE RiposteTargets.cmake
         DESTINATION "${package_dir}")

configure_package_config_file (cmake/RiposteConfig.cmake.in "${generated_dir}/RiposteConfig.cmake"
                               INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file ("${generated_dir}/RiposteConfigVersion.cmake"
                                  COMPATIBILITY SameMinorVersion)
install (FILES "${generated_dir}/RiposteConfig.cmake" "${generated_dir}/RiposteConfigVersion.cmake"
         DESTINATION "${package_dir}")

# Relative to where it lies, so that it holds under `cmake --install --prefix` too.
file (RELATIVE_PATH up "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string (REGEX REPLACE "/$" "" up "${up}")
set (pc_prefix "\${pcfiledir}/${up}")
configure_file (cmake/riposte.pc.in "${generated_dir}/riposte.pc" @ONLY)
install (FILES "${generated_dir}/riposte.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# ---- Programs, and what they say about themselves ----------------------------------------------

install (TARGETS riposte-broker riposte-worker riposte-cli riposte-http
         RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# Manual pages and completions come from the same table as --help, by asking the programs. A leak
# report at their exit would not be about the page.
set (pages)
foreach (target IN ITEMS riposte-broker riposte-worker riposte-cli riposte-http)
    get_target_property (name ${target} OUTPUT_NAME)
    if (NOT name)
        set (name ${target})
    endif ()
    set (man "${generated_dir}/${name}.1")
    set (completions "${generated_dir}/completions")
    add_custom_command (
        OUTPUT "${man}" "${completions}/${name}.bash" "${completions}/${name}.zsh" "${completions}/${name}.fish"
        COMMAND ${CMAKE_COMMAND} -E make_directory "${completions}"
        COMMAND $<TARGET_FILE:${target}> --man > "${man}"
        COMMAND $<TARGET_FILE:${target}> --completions bash > "${completions}/${name}.bash"
        COMMAND $<TARGET_FILE:${target}> --completions zsh > "${completions}/${name}.zsh"
        COMMAND $<TARGET_FILE:${target}> --completions fish > "${completions}/${name}.fish"
        DEPENDS ${target} VERBATIM)
    list (APPEND pages "${man}")
    install (FILES "${man}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install (FILES "${completions}/${name}.bash" RENAME "${name}"
             DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions")
    install (FILES "${completions}/${name}.zsh" RENAME "_${name}"
             DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/zsh/site-functions")
    install (FILES "${completions}/${name}.fish"
             DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/fish/vendor_completions.d")
endforeach ()
set (settings_page "${generated_dir}/riposte-broker.cfg.5")
add_custom_command (OUTPUT "${settings_page}"
                    COMMAND $<TARGET_FILE:riposte-broker> --man settings > "${settings_page}"
                    DEPENDS riposte-broker VERBATIM)
install (FILES "${settings_page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
add_custom_target (riposte_pages ALL DEPENDS ${pages} "${settings_page}")

# ---- The rest ----------------------------------------------------------------------------------

# Sections 3 and 7, from the headers and the documents, where what writes them is there.
find_program (RIPOSTE_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
set (manual "${CMAKE_CURRENT_SOURCE_DIR}/script/manual")
if (RIPOSTE_PYTHON AND EXISTS "${manual}")
    file (GLOB described CONFIGURE_DEPENDS include/riposte/*.h docs/man/*.md)
    set (stamp "${generated_dir}/manual/written")
    add_custom_command (OUTPUT "${stamp}"
                        COMMAND "${RIPOSTE_PYTHON}" -B "${manual}" "${generated_dir}/manual"
                        COMMAND ${CMAKE_COMMAND} -E touch "${stamp}"
                        DEPENDS "${manual}" ${described} docs/PROTOCOL.md docs/CONTRACT.md common/base/version.h
                        VERBATIM)
    add_custom_target (riposte_manual ALL DEPENDS "${stamp}")
    install (DIRECTORY "${generated_dir}/manual/man3" "${generated_dir}/manual/man7"
             DESTINATION "${CMAKE_INSTALL_MANDIR}")
endif ()

foreach (unit IN ITEMS riposte-broker riposte-http riposte-worker@)
    configure_file ("packaging/${unit}.service.in" "${generated_dir}/${unit}.service" @ONLY)
    install (FILES "${generated_dir}/${unit}.service" DESTINATION "lib/systemd/system")
endforeach ()
# Every setting as a comment, with its default: where there is no environment that says otherwise.
set (settings_file "${generated_dir}/broker.cfg")
add_custom_command (OUTPUT "${settings_file}"
                    COMMAND env -i "$<TARGET_FILE:riposte-broker>" --print-config > "${settings_file}.all"
                    COMMAND sed -E -f "${CMAKE_CURRENT_SOURCE_DIR}/packaging/broker.cfg.sed" "${settings_file}.all"
                            > "${settings_file}"
                    DEPENDS riposte-broker packaging/broker.cfg.sed VERBATIM)
add_custom_target (riposte_settings_file ALL DEPENDS "${settings_file}")
install (FILES "${settings_file}" packaging/secure.conf DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/riposte")
install (FILES packaging/prometheus/prometheus.yml packaging/prometheus/riposte.rules.yml
               packaging/prometheus/grafana-riposte.json
         DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/riposte/prometheus")
install (FILES LICENSE README.md CHANGELOG.md docs/PROTOCOL.md docs/CONTRACT.md docs/SECURITY.md docs/HTTP.md
         DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
