#include "actors/admission/journal_sql.hpp"

#include <fmt/format.h>

namespace aorta::admission {

ErrorCode code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::corrupt;
    case SQLITE_FULL:
      return ErrorCode::resource_exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::unavailable;
    default:
      return ErrorCode::io;
  }
}

std::string sentence_of(int result, const char* otherwise) {
  switch (result & 0xff) {
    case SQLITE_FULL:
      return "the disk is full, or the journal has reached journal.max_bytes: make room, or raise "
             "that";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return fmt::format("it may not be written: {}", writable_remedy);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another program has locked it: end that";
    case SQLITE_IOERR:
      return fmt::format("the disk fails ({}): {}", otherwise, writable_remedy);
    default:
      return otherwise;
  }
}

}  // namespace aorta::admission
