# libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer, by Clang 14. Build the target `fuzzers` only: Clang 14
# does not compile Asio's coroutines, and what is fuzzed needs none of them.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
find_program(CLANGXX NAMES clang++-14 clang++ REQUIRED)
set(CMAKE_CXX_COMPILER ${CLANGXX} CACHE FILEPATH "")
set(CMAKE_CXX_FLAGS "-O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all ${LEAT_PATHS}" CACHE STRING "")
set(LEAT_BUILD_FUZZERS ON CACHE BOOL "")
set(LEAT_WERROR OFF CACHE BOOL "")
