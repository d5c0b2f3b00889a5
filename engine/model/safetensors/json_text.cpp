#include "engine/model/safetensors/json_text.hpp"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/mapped_file.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr int most_levels = 16;
constexpr int unique_levels = 2;  // where keys name tensors; deeper ones are a tokenizer's words

// Watches a parse: what nests too deep is thrown away at once, and a key that comes twice is kept
// for the message.
class Watch {
 public:
  bool operator()(int depth, json::parse_event_t event, json& value) {
    using Event = json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      too_deep_ |= depth >= most_levels;
      if (event == Event::object_start && depth < unique_levels) keys_[depth].clear();
      return depth < most_levels;
    }
    if (event == Event::key && depth <= unique_levels && repeated_.empty()) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys_[depth - 1].insert(key).second) repeated_ = key.empty() ? "\"\"" : key;
    }
    return true;
  }
  bool too_deep() const { return too_deep_; }
  const std::string& repeated() const { return repeated_; }

 private:
  bool too_deep_ = false;
  std::string repeated_;
  std::set<std::string> keys_[unique_levels];  // of the object that is open at each level
};

}  // namespace

Result<json> parse_json_object(std::string_view text, const std::string& path,
                               std::size_t limit_bytes) {
  if (text.size() > limit_bytes) {
    return Error{ErrorCode::resource_exhausted,
                 fmt::format("{}: {} bytes of JSON are more than the {} that are read", path,
                             text.size(), limit_bytes)};
  }
  const auto corrupt = [&](const std::string& what) {
    return Error{ErrorCode::corrupt, path + ": " + what};
  };
  Watch watch;
  json value = json::parse(
      text.begin(), text.end(),
      [&](int depth, json::parse_event_t event, json& parsed) {
        return watch(depth, event, parsed);
      },
      false);
  if (watch.too_deep()) {
    return corrupt(fmt::format("its JSON nests more than {} levels deep", most_levels));
  }
  if (value.is_discarded()) return corrupt("it is not well-formed JSON; is it a partial download?");
  if (!value.is_object()) return corrupt("its JSON is not an object");
  if (!watch.repeated().empty()) {
    return corrupt(fmt::format("\"{}\" appears twice", printable(watch.repeated())));
  }
  return value;
}

Result<json> read_json_object(const std::string& path, std::size_t limit_bytes) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const auto bytes = (*file)->bytes();
  return parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path,
                           limit_bytes);
}

const json* member(const json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace aorta::engine
