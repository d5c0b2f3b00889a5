# find_package(aorta): the target aorta::client.
find_path(AORTA_CPPZMQ_INCLUDE_DIR zmq.hpp)
find_path(AORTA_MSGPACK_INCLUDE_DIR msgpack.hpp)
find_library(AORTA_ZMQ_LIBRARY zmq)
mark_as_advanced(AORTA_CPPZMQ_INCLUDE_DIR AORTA_MSGPACK_INCLUDE_DIR AORTA_ZMQ_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(aorta
  REQUIRED_VARS AORTA_CPPZMQ_INCLUDE_DIR AORTA_MSGPACK_INCLUDE_DIR AORTA_ZMQ_LIBRARY
  REASON_FAILURE_MESSAGE "Debian: apt-get install cppzmq-dev libmsgpack-cxx-dev libzmq3-dev")
if(aorta_FOUND)
  include(${CMAKE_CURRENT_LIST_DIR}/aortaTargets.cmake)
endif()
