# tenon_plugin(ID KIND source... [MANIFEST plugin.yaml.in] [DEPS lib...])
#
# Module library plugin_ID, written to <build>/lib/tenon/plugins/ID/ID.so with its plugin.yaml beside
# it: one export (tenon_plugin_open_v0), every other symbol resolved at link time and hidden, no
# RUNPATH, a build-id, the file's SHA-256 in the manifest. KIND goes into the manifest: backend or sched.
# Works outside of this tree too: it needs only plugins/sdk and core/abi/include, found beside this
# file or named by TENON_SDK_DIR and TENON_ABI_INCLUDE_DIR.
get_filename_component(tenon_plugin_root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(TENON_SDK_DIR ${tenon_plugin_root}/plugins/sdk CACHE PATH "The plugin SDK")
set(TENON_ABI_INCLUDE_DIR ${tenon_plugin_root}/core/abi/include CACHE PATH "Folder of tenon/abi.h")
mark_as_advanced(TENON_SDK_DIR TENON_ABI_INCLUDE_DIR)

function(tenon_plugin ID KIND)
  cmake_parse_arguments(PLUGIN "" "MANIFEST;FOLDER" "DEPS" ${ARGN})
  if(NOT PLUGIN_MANIFEST)
    set(PLUGIN_MANIFEST plugin.yaml.in)
  endif()
  if(NOT PLUGIN_FOLDER)
    set(PLUGIN_FOLDER ${CMAKE_BINARY_DIR}/lib/tenon/plugins/${ID})
  endif()
  get_filename_component(manifest ${PLUGIN_MANIFEST} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  set(target plugin_${ID})
  set(exports ${TENON_SDK_DIR}/exports.map)

  add_library(${target} MODULE ${PLUGIN_UNPARSED_ARGUMENTS})
  target_include_directories(${target} PRIVATE ${TENON_SDK_DIR}/include ${TENON_ABI_INCLUDE_DIR})
  target_compile_features(${target} PRIVATE cxx_std_17)
  target_compile_options(${target} PRIVATE -fvisibility=hidden -fvisibility-inlines-hidden $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  target_link_options(${target} PRIVATE
    -Wl,--version-script,${exports} -Wl,--exclude-libs,ALL -Wl,--build-id)
  # Clang leaves the symbols of a sanitizer's runtime to the program.
  if(NOT (TENON_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES "Clang"))
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  if(TARGET tenon_flags)
    target_link_libraries(${target} PRIVATE tenon_flags)
  endif()
  target_link_libraries(${target} PRIVATE ${PLUGIN_DEPS})
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${ID} SUFFIX .so
    LIBRARY_OUTPUT_DIRECTORY ${PLUGIN_FOLDER}
    SKIP_BUILD_RPATH ON POSITION_INDEPENDENT_CODE ON
    LINK_DEPENDS "${exports};${manifest}")
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DPLUGIN=$<TARGET_FILE:${target}> -DTEMPLATE=${manifest}
            -DABI=${TENON_ABI_INCLUDE_DIR}/tenon/abi.h -DID=${ID} -DKIND=${KIND}
            -DARCH=${CMAKE_SYSTEM_PROCESSOR} -P ${TENON_SDK_DIR}/fill_manifest.cmake
    VERBATIM)
endfunction()
