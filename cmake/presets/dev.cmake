# For the edit-compile-debug loop: fast to build, easy to step through.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(CMAKE_C_FLAGS "-O0 -g ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O0 -g ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON CACHE BOOL "")
