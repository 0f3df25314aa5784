# `cmake --install`: the SDK as find_package(leat) finds it. Front doors go to include/leat, the rooms that they include to
# include/leat-rooms, so that no name of ours but leat/ stands in the system's include folder.
include(CMakePackageConfigHelpers)

set(LEAT_INSTALLED "")
foreach(room base wire client device compression cluster file_storage host)
  if(TARGET leat_${room})
    list(APPEND LEAT_INSTALLED leat_${room})
  endif()
endforeach()
install(TARGETS ${LEAT_INSTALLED} EXPORT leat ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT leat NAMESPACE leat:: FILE leatTargets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/leat)
install(DIRECTORY ${LEAT_ROOT}/sdk/include/leat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${LEAT_ROOT}/sdk DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/leat-rooms
  FILES_MATCHING PATTERN "*.hpp" PATTERN "include" EXCLUDE PATTERN "cli" EXCLUDE)

file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/leatConfig.cmake
"include(CMakeFindDependencyMacro)
find_dependency(Threads)
if(${LEAT_HOSTED})
  find_dependency(ZLIB)
endif()
include(\${CMAKE_CURRENT_LIST_DIR}/leatTargets.cmake)
")
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/leatConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/leatConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/leatConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/leat)
if(TARGET leat)
  install(TARGETS leat RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
