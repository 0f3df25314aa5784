# The SDK's core (base, wire, client, device) for 32-bit ARM Linux gateways (g++-arm-linux-gnueabihf). The hosted rooms
# need zlib, lz4, zstd, snappy and mbedTLS built for that target first; point CMAKE_FIND_ROOT_PATH at them and set
# LEAT_HOSTED and LEAT_BUILD_BROKER on.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(CMAKE_SYSTEM_NAME Linux CACHE STRING "")
set(CMAKE_SYSTEM_PROCESSOR armv7 CACHE STRING "")
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc CACHE FILEPATH "")
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++ CACHE FILEPATH "")
set(CMAKE_CXX_FLAGS "-O2 -g1 -mfpu=neon ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER CACHE STRING "")
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY CACHE STRING "")
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY CACHE STRING "")
set(LEAT_HOSTED OFF CACHE BOOL "")
set(LEAT_BUILD_BROKER OFF CACHE BOOL "")
set(LEAT_BUILD_CLI OFF CACHE BOOL "")
set(LEAT_BUILD_EXAMPLES OFF CACHE BOOL "")
set(LEAT_BUILD_TESTS OFF CACHE BOOL "")
