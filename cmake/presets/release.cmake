# cmake -G Ninja -C cmake/presets/release.cmake -B build/release
set(CMAKE_BUILD_TYPE None CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O2 -g1 -fdebug-prefix-map=${CMAKE_CURRENT_LIST_DIR}/../..=." CACHE STRING "")
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE} CACHE STRING "")
endif()
