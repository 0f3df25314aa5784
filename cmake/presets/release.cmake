# What ships, and what the tests run.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(CMAKE_C_FLAGS "-O2 -g1 ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O2 -g1 ${LEAT_PATHS}" CACHE STRING "")
