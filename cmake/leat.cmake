# How this project declares its rooms. One room = one folder = one target; the arrows are the link lines.
include_guard(GLOBAL)
include(GNUInstallDirs)

set(LEAT_ROOT ${CMAKE_CURRENT_LIST_DIR}/..)
get_filename_component(LEAT_ROOT ${LEAT_ROOT} ABSOLUTE)

# Warnings and language for every target of ours, never for a consumer's.
add_library(leat_flags INTERFACE)
target_compile_features(leat_flags INTERFACE cxx_std_20)
target_compile_options(leat_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow)
option(LEAT_WERROR "warnings are errors" ${PROJECT_IS_TOP_LEVEL})
if(LEAT_WERROR)
  target_compile_options(leat_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND CMAKE_SIZEOF_VOID_P EQUAL 4)  # logs beyond 2 GiB, times beyond 2038
  target_compile_definitions(leat_flags INTERFACE _FILE_OFFSET_BITS=64 _TIME_BITS=64)
endif()

# The core (base, wire, client, device): also compiled for microcontrollers. Nothing in it throws or is thrown through, so
# it has no unwind tables: a quarter of its bytes.
add_library(leat_core_flags INTERFACE)
target_link_libraries(leat_core_flags INTERFACE leat_flags)
target_compile_options(leat_core_flags INTERFACE -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables)

# leat_room(NAME wire [CORE] SOURCES a.cpp ... [LINKS leat::base ...] [PRIVATE_LINKS Threads::Threads ...])
# makes the library leat_NAME with the alias leat::NAME.
function(leat_room)
  cmake_parse_arguments(ROOM "CORE" "NAME" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(leat_${ROOM_NAME} STATIC ${ROOM_SOURCES})
  add_library(leat::${ROOM_NAME} ALIAS leat_${ROOM_NAME})
  set_target_properties(leat_${ROOM_NAME} PROPERTIES EXPORT_NAME ${ROOM_NAME} POSITION_INDEPENDENT_CODE ${LEAT_HOSTED})
  target_compile_features(leat_${ROOM_NAME} PUBLIC cxx_std_20)
  target_include_directories(leat_${ROOM_NAME} PUBLIC
    $<BUILD_INTERFACE:${LEAT_ROOT}> $<BUILD_INTERFACE:${LEAT_ROOT}/sdk/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/leat-rooms>)
  target_link_libraries(leat_${ROOM_NAME} PUBLIC ${ROOM_LINKS})
  if(ROOM_CORE)
    target_link_libraries(leat_${ROOM_NAME} PRIVATE $<BUILD_INTERFACE:leat_core_flags> ${ROOM_PRIVATE_LINKS})
  else()
    target_link_libraries(leat_${ROOM_NAME} PRIVATE $<BUILD_INTERFACE:leat_flags> ${ROOM_PRIVATE_LINKS})
  endif()
endfunction()

# leat_test(NAME wire_test SOURCES a_test.cpp ... LINKS leat::wire [TIMEOUT 60] [LABELS ...])
# makes a doctest program on the one compiled main and registers it with ctest.
function(leat_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LINKS;LABELS;ARGS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=")
    math(EXPR T_TIMEOUT "${T_TIMEOUT} * 5")
  endif()
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE leat_flags leat_test_main ${T_LINKS})
  add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS})
  set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}")
endfunction()

# add_subdirectory for a folder whose list file may not exist yet: a room that no work has reached.
function(leat_subdirectory folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()

# leat_small(FILE...)  sources of this folder for which size matters more than speed: what runs at start or what an
# administrator asks once an hour (a test holds leatd's size). Where the build optimizes for speed, these are
# optimized for size; a debug build stays one.
function(leat_small)
  if(CMAKE_CXX_FLAGS MATCHES "-O2")
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-Os;-ffunction-sections;-fdata-sections")
  endif()
endfunction()

# leat_small_room(NAME): the same for all sources of a room of this folder.
function(leat_small_room name)
  get_target_property(sources leat_${name} SOURCES)
  leat_small(${sources})
endfunction()
