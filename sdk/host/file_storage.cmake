# port::Storage on a file: its own target, so that leatd and device agents take it without sockets.
find_package(Threads REQUIRED)
leat_room(NAME file_storage
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/file_storage.cpp ${CMAKE_CURRENT_LIST_DIR}/file_storage_open.cpp
    ${CMAKE_CURRENT_LIST_DIR}/file_system_check.cpp ${CMAKE_CURRENT_LIST_DIR}/file_image.cpp ${CMAKE_CURRENT_LIST_DIR}/turns.cpp
  LINKS leat::base
  PRIVATE_LINKS Threads::Threads)
leat_small(${CMAKE_CURRENT_LIST_DIR}/file_storage_open.cpp ${CMAKE_CURRENT_LIST_DIR}/file_system_check.cpp ${CMAKE_CURRENT_LIST_DIR}/file_image.cpp)
