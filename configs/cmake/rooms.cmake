# One line per room.
#
# tenon_room(NAME [BUSY] [DEPS lib...])
#     static library tenon_NAME of every .cpp in this folder
# tenon_room_test(NAME [BUSY] [BINARY_DIR] [DEPS lib...])
#     program test_NAME of every *_test.cpp in this folder, run by ctest test by test; the folder mirrors
#     the room it tests. BINARY_DIR: the tests look for what is built, below TENON_BINARY_DIR; without
#     it the objects of two builds are one to a compiler cache
# BUSY: what is calculated in its tests takes so long that optimising is worth the compiler's time.
# Both include from the repository's root ("core/base/result.h") and from core/abi/include (<tenon/abi.h>).

# What a test program compiles is mostly GoogleTest's macros: optimising them takes longer than running
# them. Under AddressSanitizer that holds for most rooms too; a fuzzer's are busy. _FORTIFY_SOURCE wants
# some optimisation.
if(TENON_SANITIZE)
  set(TENON_TEST_OPTIONS -O0)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(TENON_TEST_OPTIONS -O1)
endif()
if(TENON_SANITIZE MATCHES "address" AND NOT TENON_FUZZ)
  set(TENON_ROOM_OPTIONS -O0)
endif()

function(tenon_room NAME)
  cmake_parse_arguments(ROOM "BUSY" "" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(file ${ROOM_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(sources)
    add_library(tenon_${NAME} STATIC ${sources})
    target_link_libraries(tenon_${NAME} PRIVATE tenon_flags PUBLIC ${ROOM_DEPS})
    target_include_directories(tenon_${NAME} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
    if(NOT ROOM_BUSY)
      target_compile_options(tenon_${NAME} PRIVATE ${TENON_ROOM_OPTIONS})
    endif()
  else()
    add_library(tenon_${NAME} INTERFACE)
    target_link_libraries(tenon_${NAME} INTERFACE ${ROOM_DEPS})
    target_include_directories(tenon_${NAME} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
  endif()
endfunction()

function(tenon_room_test NAME)
  cmake_parse_arguments(ROOM "BUSY;BINARY_DIR" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  add_executable(test_${NAME} ${sources})
  target_link_libraries(test_${NAME} PRIVATE tenon_flags ${ROOM_DEPS} GTest::gtest GTest::gtest_main)
  target_include_directories(test_${NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
  target_compile_definitions(test_${NAME} PRIVATE TENON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if(ROOM_BINARY_DIR)
    target_compile_definitions(test_${NAME} PRIVATE TENON_BINARY_DIR="${CMAKE_BINARY_DIR}")
  endif()
  if(NOT ROOM_BUSY)
    target_compile_options(test_${NAME} PRIVATE ${TENON_TEST_OPTIONS})
  endif()
  gtest_discover_tests(test_${NAME} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES TIMEOUT 300)
endfunction()
