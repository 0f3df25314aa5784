# leatd: the gateway broker. A test holds its stripped size to 3 MiB (tests/process/idle_test.py).
if(NOT TARGET leat_node)
  return()  # rooms below are not built in this configuration
endif()
string(TIMESTAMP LEAT_BUILD_SECONDS %s UTC)  # SOURCE_DATE_EPOCH, where set, so that builds can be repeated
math(EXPR LEAT_BUILD_DAY "${LEAT_BUILD_SECONDS} / 86400")
add_executable(leatd ${CMAKE_CURRENT_LIST_DIR}/main.cpp ${CMAKE_CURRENT_LIST_DIR}/log_tool.cpp)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/main.cpp PROPERTIES COMPILE_DEFINITIONS LEAT_BUILD_DAY=${LEAT_BUILD_DAY})
leat_small(${CMAKE_CURRENT_LIST_DIR}/main.cpp ${CMAKE_CURRENT_LIST_DIR}/log_tool.cpp)
target_link_libraries(leatd PRIVATE leat_flags leat::config leat::net leat::node leat::ops leat::file_storage leat::log)
# Of the C++ runtime only what is used: 1.1 MB less memory than with the shared one.
target_link_options(leatd PRIVATE -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,--as-needed -Wl,-z,now -Wl,-O1)
# Addresses that the loader adjusts at start, a bit each and not 24 bytes: 100 KB. glibc reads them since 2.36.
include(CheckLinkerFlag)
check_linker_flag(CXX -Wl,-z,pack-relative-relocs LEAT_PACKS_RELOCATIONS)
if(LEAT_PACKS_RELOCATIONS)
  target_link_options(leatd PRIVATE -Wl,-z,pack-relative-relocs)
endif()
install(TARGETS leatd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
