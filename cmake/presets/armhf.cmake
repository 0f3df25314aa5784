# 32-bit ARM Linux gateways (Cortex-A7 and newer, hard float; g++-arm-linux-gnueabihf). See arm.cmake.
set(LEAT_ARM_TRIPLE arm-linux-gnueabihf)
set(LEAT_ARM_CPU "-march=armv7-a -mfpu=neon")
set(LEAT_ARM_EMULATOR qemu-arm-static)
set(CMAKE_SYSTEM_PROCESSOR armv7 CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/arm.cmake)
