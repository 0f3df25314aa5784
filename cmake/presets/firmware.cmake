# Cortex-M3 images: cmake -G Ninja -C cmake/presets/firmware.cmake -B build/firmware
# Needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and libstdc++-arm-none-eabi-dev (headers; nothing of libstdc++ is
# linked: the C driver links, as g++ would ask for the 1.5 GB of libstdc++-arm-none-eabi-newlib).
include(${CMAKE_CURRENT_LIST_DIR}/basis.cmake)
set(CMAKE_SYSTEM_NAME Generic CACHE STRING "")
set(CMAKE_SYSTEM_PROCESSOR cortex-m3 CACHE STRING "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY CACHE STRING "")
set(CMAKE_CXX_COMPILER arm-none-eabi-g++ CACHE FILEPATH "")
set(CMAKE_AR arm-none-eabi-gcc-ar CACHE FILEPATH "")
set(CMAKE_RANLIB arm-none-eabi-gcc-ranlib CACHE FILEPATH "")
set(CMAKE_CXX_FLAGS "-mcpu=cortex-m3 -mthumb -Os -g1 -flto -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit -fno-unwind-tables -fno-asynchronous-unwind-tables -fno-schedule-insns2 -fno-jump-tables -fno-move-loop-invariants -fno-tree-loop-im -fno-ipa-cp ${LEAT_PATHS}" CACHE STRING "")
set(CMAKE_EXE_LINKER_FLAGS "--specs=nano.specs -Wl,--gc-sections" CACHE STRING "")
set(CMAKE_CXX_LINK_EXECUTABLE "arm-none-eabi-gcc <FLAGS> <CMAKE_CXX_LINK_FLAGS> <LINK_FLAGS> <OBJECTS> -o <TARGET> <LINK_LIBRARIES>" CACHE STRING "")
set(LEAT_PROFILE smallest CACHE STRING "")
set(LEAT_HOSTED OFF CACHE BOOL "")
set(LEAT_BUILD_BROKER OFF CACHE BOOL "")
set(LEAT_BUILD_CLI OFF CACHE BOOL "")
set(LEAT_BUILD_EXAMPLES ON CACHE BOOL "")
set(LEAT_BUILD_TESTS OFF CACHE BOOL "")
