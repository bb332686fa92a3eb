# find_package(patcher) defines patcher::patcher, the shared library, and patcher::static.
get_filename_component(_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET patcher::patcher)
  add_library(patcher::patcher SHARED IMPORTED)
  set_target_properties(patcher::patcher PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_prefix}/include")
  if(WIN32)
    set_target_properties(patcher::patcher PROPERTIES
      IMPORTED_LOCATION "${_prefix}/bin/patcher.dll"
      IMPORTED_IMPLIB "${_prefix}/lib/libpatcher.dll.a")
  else()
    set_target_properties(patcher::patcher PROPERTIES
      IMPORTED_LOCATION "${_prefix}/lib/libpatcher.so"
      IMPORTED_NO_SONAME ON)
  endif()
  add_library(patcher::static STATIC IMPORTED)
  set_target_properties(patcher::static PROPERTIES
    IMPORTED_LOCATION "${_prefix}/lib/libpatcher.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_prefix}/include"
    INTERFACE_LINK_LIBRARIES "gcc_s;util;rt;pthread;m;dl")
endif()
unset(_prefix)
