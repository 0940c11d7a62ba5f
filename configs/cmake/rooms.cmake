# One line per room.
#
# tenon_room(NAME [DEPS lib...])        static library tenon_NAME of every .cpp in this folder
# tenon_room_test(NAME [OPTIMIZED] [DEPS lib...])
#                                       program test_NAME of every *_test.cpp in this folder, run by
#                                       ctest test by test; the folder mirrors the room it tests.
#                                       OPTIMIZED: as the product is, for tests that calculate much
# Both include from the repository's root ("core/base/result.h") and from core/abi/include (<tenon/abi.h>).

# What a test program compiles is mostly GoogleTest's macros: optimising them takes longer than running
# them. The rooms under test are built as ever. Sanitizers see more without optimisation, and
# _FORTIFY_SOURCE, which other builds define, wants some.
if(TENON_SANITIZE)
  set(TENON_TEST_OPTIONS -O0)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(TENON_TEST_OPTIONS -O1)
endif()

function(tenon_room NAME)
  cmake_parse_arguments(ROOM "" "" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(file ${ROOM_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(sources)
    add_library(tenon_${NAME} STATIC ${sources})
    target_link_libraries(tenon_${NAME} PRIVATE tenon_flags PUBLIC ${ROOM_DEPS})
    target_include_directories(tenon_${NAME} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
  else()
    add_library(tenon_${NAME} INTERFACE)
    target_link_libraries(tenon_${NAME} INTERFACE ${ROOM_DEPS})
    target_include_directories(tenon_${NAME} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
  endif()
endfunction()

function(tenon_room_test NAME)
  cmake_parse_arguments(ROOM "OPTIMIZED" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  add_executable(test_${NAME} ${sources})
  target_link_libraries(test_${NAME} PRIVATE tenon_flags ${ROOM_DEPS} GTest::gtest GTest::gtest_main)
  target_include_directories(test_${NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/core/abi/include)
  target_compile_definitions(test_${NAME} PRIVATE TENON_SOURCE_DIR="${CMAKE_SOURCE_DIR}" TENON_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(NOT ROOM_OPTIMIZED)
    target_compile_options(test_${NAME} PRIVATE ${TENON_TEST_OPTIONS})
  endif()
  gtest_discover_tests(test_${NAME} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES TIMEOUT 300)
endfunction()
