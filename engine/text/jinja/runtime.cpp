#include "engine/text/jinja/runtime.hpp"

#include "engine/text/unicode.hpp"

namespace aorta::engine::jinja {

bool Runtime::charge(std::size_t steps) {
  if (failed()) return false;
  if (steps <= limits_.steps - spent_) {
    spent_ += steps;
    return true;
  }
  fail(ErrorCode::resource_exhausted,
       "the template does not end within " + std::to_string(limits_.steps) + " steps");
  return false;
}

Value Runtime::fail(ErrorCode code, const std::string& sentence) {
  if (!error_) {
    error_ = Error{code, "chat template line " + std::to_string(line_) + ": " + sentence};
  }
  return {};
}

bool Runtime::string_fits(std::size_t bytes) {
  if (bytes <= limits_.string_bytes) return charge_bytes(bytes);
  fail(ErrorCode::resource_exhausted,
       "a text grows beyond " + std::to_string(limits_.string_bytes) + " bytes");
  return false;
}

Value Runtime::string(std::string text) {
  return string_fits(text.size()) ? make_string(std::move(text)) : Value();
}

Value Runtime::list(std::vector<Value> items) {
  if (!charge(1 + items.size())) return {};
  for (const Value& item : items) {
    if (item.as_namespace()) return unsupported("a namespace inside a list is not supported");
  }
  Value list = make_list(std::move(items));
  if (list.depth() > limits_.value_depth) return invalid("lists are nested too deep");
  return list;
}

Value Runtime::dict(std::vector<std::pair<std::string, Value>> entries) {
  if (!charge(1 + entries.size())) return {};
  for (const auto& [key, value] : entries) {
    if (value.as_namespace()) return unsupported("a namespace inside a dict is not supported");
  }
  Value dict = make_dict(std::move(entries));
  if (dict.depth() > limits_.value_depth) return invalid("dicts are nested too deep");
  return dict;
}

void Runtime::append(std::string& out, std::string_view text) {
  if (!charge_bytes(text.size())) return;
  if (text.size() > limits_.string_bytes - out.size()) {
    fail(ErrorCode::resource_exhausted,
         "the rendered text grows beyond " + std::to_string(limits_.string_bytes) + " bytes");
    return;
  }
  out += text;
}

std::string Runtime::print(const Value& value) {
  if (value.is_undefined()) return {};
  if (const std::string* text = value.string()) return string_fits(text->size()) ? *text : "";
  if (value.get<None>()) return "None";
  if (const bool* flag = value.get<bool>()) return *flag ? "True" : "False";
  const Number number = number_of(value);
  if (number.ok)
    return number.is_integer ? std::to_string(number.integer) : format_real(number.real);
  unsupported("printing a " + std::string(value.type_name()) + " is not supported");
  return {};
}

std::vector<Value> Runtime::iterate(const Value& value) {
  std::vector<Value> items;
  if (const List* list = value.list()) {
    if (charge(list->items.size())) items = list->items;
  } else if (const Dict* dict = value.dict()) {
    for (const auto& [key, entry] : dict->entries) items.push_back(string(key));
  } else if (const std::string* text = value.string()) {
    for (std::string_view rest = *text; !rest.empty() && charge();) {
      const std::size_t length = decode_utf8(rest).length;
      items.push_back(make_string(std::string(rest.substr(0, length))));
      rest.remove_prefix(length);
    }
  } else if (!value.is_undefined()) {
    invalid("a " + std::string(value.type_name()) + " cannot be iterated");
  }
  return items;
}

}  // namespace aorta::engine::jinja
