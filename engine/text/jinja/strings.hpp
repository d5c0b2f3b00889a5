#pragma once
// Python's string operations as templates use them, over UTF-8.
#include <string>
#include <string_view>

#include "engine/text/jinja/runtime.hpp"

namespace aorta::engine::jinja {

enum class Strip { left, right, both };
// Without `characters` at the ends; white space when that is undefined or none.
Value strip(Runtime& runtime, const std::string& text, Strip side, const Value& characters);
// Between separators, or between runs of white space when the separator is undefined or none.
Value split(Runtime& runtime, const std::string& text, const Value& separator,
            std::int64_t most_splits);
Value replace(Runtime& runtime, const std::string& text, const Value& old_part,
              const Value& new_part);
// Whether text begins or ends with `affix`, a string or a list of them.
Value has_affix(Runtime& runtime, const std::string& text, const Value& affix, bool at_end);

// Character by character: ß stays one letter, unlike Python's.
enum class Case { upper, lower, capitalize, title };
Value change_case(Runtime& runtime, const std::string& text, Case to);
std::int64_t count_characters(std::string_view text);

// json.dumps(value, ensure_ascii=False), on one line unless indent is positive.
Value to_json(Runtime& runtime, const Value& value, int indent);

}  // namespace aorta::engine::jinja
