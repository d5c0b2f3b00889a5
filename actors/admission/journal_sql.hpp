#pragma once
// SQLite as the journal uses it: prepared statements, and its errors in the journal's words.
#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::admission {

inline constexpr const char* writable_remedy =
    "make it this user's to write, or name another folder with journal.folder";

ErrorCode code_of(int result);
// What it means and what to do; `otherwise` where there is nothing better to say.
std::string sentence_of(int result, const char* otherwise);

// A prepared statement; bound from left to right, and run.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;

  bool ok() const { return statement_ != nullptr; }
  Statement& begin() {
    sqlite3_reset(statement_);
    next_ = 1;
    return *this;
  }
  Statement& number(std::int64_t value) {
    sqlite3_bind_int64(statement_, next_++, value);
    return *this;
  }
  // What is bound must last until the statement has run.
  Statement& blob(std::string_view value) {
    const char* data = value.empty() ? "" : value.data();  // a null pointer would be NULL
    sqlite3_bind_blob64(statement_, next_++, data, value.size(), SQLITE_STATIC);
    return *this;
  }
  Statement& text(std::string_view value) {
    sqlite3_bind_text64(statement_, next_++, value.data(), value.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
    return *this;
  }
  // A row is there; false: none is left, or it failed: see result().
  bool step() { return (result_ = sqlite3_step(statement_)) == SQLITE_ROW; }
  bool run() {
    while (step()) {
    }
    sqlite3_reset(statement_);
    return result_ == SQLITE_DONE;
  }
  int result() const { return result_; }
  std::int64_t number_at(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string bytes_at(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string() : std::string(data, size);
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
  int result_ = SQLITE_OK;
};

}  // namespace aorta::admission
