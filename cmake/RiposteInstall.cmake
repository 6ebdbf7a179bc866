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

install (TARGETS riposte-broker riposte-worker riposte-cli
         RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# Manual pages and completions come from the same table as --help, by asking the programs. A leak
# report at their exit would not be about the page.
set (pages)
foreach (target IN ITEMS riposte-broker riposte-worker riposte-cli)
    get_target_property (name ${target} OUTPUT_NAME)
    if (NOT name)
        set (name ${target})
    endif ()
    set (man "${generated_dir}/${name}.1")
    set (completion "${generated_dir}/completions/${name}")
    add_custom_command (
        OUTPUT "${man}" "${completion}"
        COMMAND ${CMAKE_COMMAND} -E make_directory "${generated_dir}/completions"
        COMMAND $<TARGET_FILE:${target}> --man > "${man}"
        COMMAND $<TARGET_FILE:${target}> --completions bash > "${completion}"
        DEPENDS ${target} VERBATIM)
    list (APPEND pages "${man}" "${completion}")
    install (FILES "${man}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install (FILES "${completion}"
             DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions")
endforeach ()
set (settings_page "${generated_dir}/riposte-broker.conf.5")
add_custom_command (OUTPUT "${settings_page}"
                    COMMAND $<TARGET_FILE:riposte-broker> --man settings > "${settings_page}"
                    DEPENDS riposte-broker VERBATIM)
install (FILES "${settings_page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
add_custom_target (riposte_pages ALL DEPENDS ${pages} "${settings_page}")

# ---- The rest ----------------------------------------------------------------------------------

foreach (section IN ITEMS 3 5 7)
    file (GLOB manuals CONFIGURE_DEPENDS docs/man/*.${section})
    install (FILES ${manuals} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach ()

configure_file (packaging/riposte-broker.service.in "${generated_dir}/riposte-broker.service" @ONLY)
install (FILES "${generated_dir}/riposte-broker.service" DESTINATION "lib/systemd/system")
install (FILES LICENSE README.md CHANGELOG.md docs/PROTOCOL.md docs/CONTRACT.md
         DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
