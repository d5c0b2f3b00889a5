#include "engine/model/safetensors/json_text.hpp"

#include <fmt/format.h>

#include <unordered_set>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/mapped_file.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr int most_levels = 16;
constexpr int unique_levels = 2;  // where keys name tensors; deeper ones are a tokenizer's words

// Goes over the text before a value is built of it, which costs memory by the level and takes the
// last of two members with the same key. (nlohmann's own callbacks could look while it is built,
// but take quadratic time in an object of objects.)
class Watch final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    if (level_ < unique_levels) keys_[level_].clear();
    return enter();
  }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& key) override {
    if (level_ > unique_levels || keys_[level_ - 1].insert(key).second) return true;
    fault_ = fmt::format("\"{}\" appears twice", printable(key));
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    fault_ = "it is not well-formed JSON; is it a partial download?";
    return false;
  }
  const std::string& fault() const { return fault_; }  // empty: none

 private:
  bool enter() {
    if (++level_ <= most_levels) return true;
    fault_ = fmt::format("its JSON nests more than {} levels deep", most_levels);
    return false;
  }
  bool leave() {
    --level_;
    return true;
  }

  std::string fault_;
  int level_ = 0;
  std::unordered_set<std::string> keys_[unique_levels];  // of the object open at each level
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
  if (!json::sax_parse(text.begin(), text.end(), &watch)) return corrupt(watch.fault());
  json value = json::parse(text.begin(), text.end(), nullptr, false);
  if (!value.is_object()) return corrupt("its JSON is not an object");
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
