# 64-bit ARM Linux gateways (any ARMv8-A; g++-aarch64-linux-gnu). See arm.cmake.
set(LEAT_ARM_TRIPLE aarch64-linux-gnu)
set(LEAT_ARM_CPU "")
set(LEAT_ARM_EMULATOR qemu-aarch64-static)
set(CMAKE_SYSTEM_PROCESSOR aarch64 CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/arm.cmake)
