# What every initial-cache file shares. Usage: cmake -G Ninja -C cmake/presets/NAME.cmake -S . -B build/NAME
set(CMAKE_BUILD_TYPE None CACHE STRING "")  # the flags below say it all
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE} CACHE STRING "")
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE} CACHE STRING "")
endif()
# Paths in debug information start at the source tree, so that checkouts share one compiler cache.
set(LEAT_PATHS "\"-fdebug-prefix-map=${CMAKE_CURRENT_LIST_DIR}/../..=.\"")  # quoted: a path may hold spaces
