# ThreadSanitizer. -Wno-tsan: Asio uses atomic_thread_fence, which GCC says it does not model.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(CMAKE_C_FLAGS "-O1 -g1 -fsanitize=thread -Wno-tsan ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O1 -g1 -fsanitize=thread -Wno-tsan ${LEAT_PATHS}" CACHE STRING "")
