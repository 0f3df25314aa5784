leat_test(NAME file_storage_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/file_storage_test.cpp ${CMAKE_CURRENT_LIST_DIR}/file_storage_reads_test.cpp ${CMAKE_CURRENT_LIST_DIR}/file_system_check_test.cpp
  LINKS leat::file_storage)
