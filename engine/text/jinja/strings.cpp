#include "engine/text/jinja/strings.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "engine/text/jinja/operators.hpp"
#include "engine/text/unicode.hpp"

namespace aorta::engine::jinja {
namespace {

// str.isspace: Unicode's white space and the four separators of ASCII.
bool is_python_space(std::uint32_t codepoint) {
  if (codepoint >= 0x1C && codepoint <= 0x1F) return true;
  const CharClass kind = char_class(codepoint);
  return kind == CharClass::space || kind == CharClass::newline;
}

bool is_space_character(std::string_view character) {
  const Utf8Char c = decode_utf8(character);
  return c.status == Utf8Status::valid && is_python_space(c.codepoint);
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, decode_utf8(text).length);
}

std::string_view last_character(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return text.substr(start);
}

Value split_space(Runtime& runtime, std::string_view text, std::int64_t most_splits) {
  std::vector<Value> parts;
  std::size_t begin = std::string_view::npos;  // of the current word
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view character = first_character(text.substr(at));
    const bool space = is_space_character(character);
    if (!space && begin == std::string_view::npos) {
      begin = at;
      if (most_splits >= 0 && static_cast<std::int64_t>(parts.size()) == most_splits) break;
    } else if (space && begin != std::string_view::npos) {
      parts.push_back(runtime.string(std::string(text.substr(begin, at - begin))));
      begin = std::string_view::npos;
    }
    at += character.size();
  }
  if (begin != std::string_view::npos) {
    parts.push_back(runtime.string(std::string(text.substr(begin))));
  }
  return runtime.list(std::move(parts));
}

void quote_json(std::string_view text, std::string& out) {
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, int indent) : runtime_(runtime), indent_(indent) {}

  void write(const Value& value, int level) {
    if (const std::string* text = value.string()) {
      quote_json(*text, out);
    } else if (const bool* flag = value.get<bool>()) {
      out += *flag ? "true" : "false";
    } else if (value.get<None>()) {
      out += "null";
    } else if (const List* list = value.list()) {
      write_items("[]", list->items, level, [&](const Value& item) { write(item, level + 1); });
    } else if (const Dict* dict = value.dict()) {
      write_items("{}", dict->entries, level, [&](const auto& entry) {
        quote_json(entry.first, out);
        out += ": ";
        write(entry.second, level + 1);
      });
    } else if (const Number number = number_of(value); number.ok) {
      out += number.is_integer ? std::to_string(number.integer) : format_real(number.real);
    } else {
      runtime_.invalid("a " + std::string(value.type_name()) + " cannot be written as JSON");
    }
  }

  std::string out;

 private:
  template <class Items, class Write>
  void write_items(std::string_view brackets, const Items& items, int level, Write write_item) {
    out += brackets[0];
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += indent_ > 0 ? "," : ", ";
      first = false;
      break_line(level + 1);
      write_item(item);
    }
    if (!items.empty()) break_line(level);
    out += brackets[1];
  }
  void break_line(int level) {
    if (indent_ > 0) out.append("\n").append(static_cast<std::size_t>(indent_) * level, ' ');
  }

  Runtime& runtime_;
  const int indent_;
};

}  // namespace

Value strip(Runtime& runtime, const std::string& text, Strip side, const Value& characters) {
  const bool of_space = characters.is_undefined() || characters.get<None>();
  if (!of_space && !characters.string()) return runtime.invalid("strip takes a string");
  const auto strippable = [&](std::string_view character) {
    if (of_space) return is_space_character(character);
    return runtime.charge_bytes(characters.string()->size()) &&
           find_text(*characters.string(), character) != std::string_view::npos;
  };
  std::string_view rest = text;
  while (side != Strip::right && !rest.empty() && strippable(first_character(rest))) {
    rest.remove_prefix(first_character(rest).size());
  }
  while (side != Strip::left && !rest.empty() && strippable(last_character(rest))) {
    rest.remove_suffix(last_character(rest).size());
  }
  return runtime.string(std::string(rest));
}

Value split(Runtime& runtime, const std::string& text, const Value& separator,
            std::int64_t most_splits) {
  if (!runtime.charge_bytes(text.size())) return {};
  if (separator.is_undefined() || separator.get<None>()) {
    return split_space(runtime, text, most_splits);
  }
  if (!separator.string() || separator.string()->empty()) {
    return runtime.invalid("split takes a string that is not empty");
  }
  std::vector<Value> parts;
  std::size_t begin = 0;
  while (most_splits < 0 || static_cast<std::int64_t>(parts.size()) < most_splits) {
    const std::size_t at = find_text(text, *separator.string(), begin);
    if (at == std::string_view::npos || runtime.failed()) break;
    parts.push_back(runtime.string(text.substr(begin, at - begin)));
    begin = at + separator.string()->size();
  }
  parts.push_back(runtime.string(text.substr(begin)));
  return runtime.list(std::move(parts));
}

Value replace(Runtime& runtime, const std::string& text, const Value& old_part,
              const Value& new_part) {
  if (!old_part.string() || !new_part.string()) return runtime.invalid("replace takes two strings");
  const std::string& from = *old_part.string();
  if (from.empty()) return runtime.unsupported("replacing an empty string is not supported");
  if (!runtime.charge_bytes(text.size())) return {};
  std::string out;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t at = find_text(text, from, begin);
    if (at == std::string_view::npos) break;
    out.append(text, begin, at - begin).append(*new_part.string());
    begin = at + from.size();
    if (!runtime.charge_bytes(new_part.string()->size())) return {};
  }
  out.append(text, begin);
  return runtime.string(std::move(out));
}

Value has_affix(Runtime& runtime, const std::string& text, const Value& affix, bool at_end) {
  const std::vector<Value> one = {affix};
  for (const Value& candidate : affix.list() ? affix.list()->items : one) {
    const std::string* part = candidate.string();
    if (!part) return runtime.invalid("startswith and endswith take strings");
    if (!runtime.charge_bytes(part->size())) return {};
    if (at_end ? text.ends_with(*part) : text.starts_with(*part)) return Value(true);
  }
  return Value(false);
}

Value change_case(Runtime& runtime, const std::string& text, Case to) {
  if (!runtime.charge(text.size())) return {};
  std::string out;
  bool starts = true;  // a word (title) or the text (capitalize)
  for (std::string_view rest = text; !rest.empty();) {
    const Utf8Char c = decode_utf8(rest);
    if (c.status == Utf8Status::valid) {
      const auto codepoint = static_cast<utf8proc_int32_t>(c.codepoint);
      const bool upper = to == Case::upper || (to != Case::lower && starts);
      append_utf8(out, static_cast<std::uint32_t>(upper ? utf8proc_toupper(codepoint)
                                                        : utf8proc_tolower(codepoint)));
      starts = to == Case::title && char_class(c.codepoint) != CharClass::letter;
    } else {
      out += rest.substr(0, c.length);
    }
    rest.remove_prefix(c.length);
  }
  return runtime.string(std::move(out));
}

std::int64_t count_characters(std::string_view text) {
  std::int64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(decode_utf8(text).length);
  return count;
}

Value to_json(Runtime& runtime, const Value& value, int indent) {
  if (!runtime.charge(value.weight())) return {};
  JsonWriter writer(runtime, indent);
  writer.write(value, 0);
  return runtime.string(std::move(writer.out));
}

}  // namespace aorta::engine::jinja
