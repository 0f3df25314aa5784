# AddressSanitizer and UndefinedBehaviorSanitizer in one build; the first report ends the program.
# null, alignment and vptr are left out: they double the time to compile, and AddressSanitizer traps null anyway.
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(LEAT_SANITIZE "-fsanitize=address,undefined -fno-sanitize=null,alignment,vptr -fno-sanitize-recover=all")
set(CMAKE_C_FLAGS "-O1 -g1 -fno-omit-frame-pointer ${LEAT_SANITIZE} ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_CXX_FLAGS "-O1 -g1 -fno-omit-frame-pointer ${LEAT_SANITIZE} ${LEAT_PATHS}" CACHE STRING "")
