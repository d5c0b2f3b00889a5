#include "engine/model/safetensors/model_directory.hpp"

#include <fmt/format.h>

#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/mapped_file.hpp"
#include "engine/model/safetensors/published_names.hpp"
#include "engine/model/safetensors/safetensors.hpp"

namespace aorta::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t largest_index_bytes = 32 << 20;
constexpr std::size_t most_files = 4096;
constexpr char index_name[] = "model.safetensors.index.json";
constexpr char single_name[] = "model.safetensors";

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Which file holds which tensor; empty when there is one file and no index.
using WeightMap = std::map<std::string, std::string>;

// A file of the directory itself, by a name that leads nowhere else.
bool is_plain_name(const std::string& name) {
  return name.ends_with(".safetensors") && name[0] != '.' && name.size() < 256 &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Result<WeightMap> read_weight_map(const std::string& directory) {
  const std::string path = directory + "/" + index_name;
  const auto corrupt = [&](const std::string& what) {
    return Error{ErrorCode::corrupt, path + ": " + what};
  };
  auto index = read_json_object(path, largest_index_bytes);
  if (!index) return index.error();
  const json* map = member(*index, "weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) return corrupt("it has no weight_map");
  WeightMap weights;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      return corrupt(
          fmt::format("tensor \"{}\" is in \"{}\", which is not the name of a "
                      ".safetensors file in this directory",
                      printable(name),
                      file.is_string() ? printable(file.get_ref<const std::string&>())
                                       : std::string(file.type_name())));
    }
    weights.emplace(name, file.get<std::string>());
  }
  return weights;
}

std::uint32_t ggml_type_of(std::string_view dtype) {
  static constexpr struct {
    std::string_view dtype;
    std::uint32_t type;
  } types[] = {{"F32", 0}, {"F16", 1},  {"BF16", 30}, {"F64", 28},
               {"I8", 24}, {"I16", 25}, {"I32", 26},  {"I64", 27}};
  for (const auto& known : types) {
    if (known.dtype == dtype) return known.type;
  }
  return SourceTensor::unknown_type;
}

class ModelDirectory final : public ModelSource {
 public:
  ModelDirectory(std::string path, PublishedConfig config)
      : path_(std::move(path)), config_(std::move(config)) {
    std::error_code ignored;
    name_ = fs::weakly_canonical(path_, ignored).filename().string();
  }

  Result<void> open_files();
  Result<void> check_config() const;

  const std::string& path() const override { return path_; }
  std::optional<std::uint64_t> get_uint(std::string_view key) const override {
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
    return value->get<std::uint64_t>();
  }
  std::optional<double> get_float(std::string_view key) const override {
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->get<double>();
  }
  std::optional<bool> get_bool(std::string_view key) const override {
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_boolean()) return std::nullopt;
    return value->get<bool>();
  }
  std::optional<std::string_view> get_string(std::string_view key) const override {
    if (key == "general.name") return name_;
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return value->get_ref<const std::string&>();
  }
  std::optional<std::vector<std::string_view>> get_strings(std::string_view) const override {
    return std::nullopt;
  }
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view) const override {
    return std::nullopt;
  }
  std::optional<std::vector<float>> get_floats(std::string_view) const override {
    return std::nullopt;
  }
  std::string given_name(std::string_view name) const override { return config_.given_name(name); }

  const std::vector<SourceTensor>& tensors() const override { return tensors_; }
  const SourceTensor* find(std::string_view name) const override {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }
  bool as_published() const override { return true; }
  std::vector<std::span<const std::byte>> contents() const override {
    std::vector<std::span<const std::byte>> all;
    for (const auto& file : files_) all.push_back(file->bytes());
    return all;
  }
  std::vector<Entry> metadata() const override {
    std::vector<Entry> entries;
    for (const auto& [key, value] : config_.members().items()) {
      const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
      entries.push_back({printable(key), value.type_name(), printable(text)});
    }
    return entries;
  }

 private:
  Result<void> add_file(const std::string& file, const WeightMap& weights);
  Result<void> check_all_there(const WeightMap& weights) const;
  Result<void> check_head();

  const std::string path_;
  const PublishedConfig config_;
  std::string name_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::deque<std::string> names_;  // GGUF's, where there is one; tensors_ views them
  std::vector<SourceTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

Result<void> ModelDirectory::open_files() {
  WeightMap weights;
  if (exists(path_ + "/" + index_name)) {
    auto read = read_weight_map(path_);
    if (!read) return read.error();
    weights = std::move(*read);
  }
  const auto files = files_of_model_directory(path_);
  if (!files) return files.error();
  for (const std::string& file : *files) {
    auto mapped = MappedFile::open(file);
    if (!mapped) return mapped.error();
    files_.push_back(std::move(*mapped));
    if (!file.ends_with(".safetensors")) continue;
    if (auto added = add_file(file, weights); !added) return added;
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  if (auto whole = check_all_there(weights); !whole) return whole;
  return check_head();
}

Result<void> ModelDirectory::add_file(const std::string& file, const WeightMap& weights) {
  auto found = parse_safetensors(files_.back()->bytes(), file);
  if (!found) return found.error();
  const std::string file_name = fs::path(file).filename().string();
  for (const SafetensorsTensor& from : *found) {
    const auto place = weights.find(from.name);
    if (!weights.empty() && (place == weights.end() || place->second != file_name)) {
      return Error{ErrorCode::corrupt,
                   fmt::format("{}: tensor \"{}\" is in {}, but not by {}", path_,
                               printable(from.name), printable(file_name), index_name)};
    }
    // Angles that old files carry along; they follow from the configuration.
    if (from.name.ends_with(".rotary_emb.inv_freq")) continue;
    names_.push_back(gguf_name_of(from.name).value_or(from.name));
    SourceTensor tensor;
    tensor.name = names_.back();
    tensor.type = ggml_type_of(from.dtype);
    tensor.type_name = names_.emplace_back(from.dtype);
    tensor.dims.assign(from.shape.rbegin(), from.shape.rend());
    tensor.data = from.data;
    tensors_.push_back(std::move(tensor));
  }
  return {};
}

Result<void> ModelDirectory::check_all_there(const WeightMap& weights) const {
  for (const auto& [name, file] : weights) {
    if (name.ends_with(".rotary_emb.inv_freq")) continue;
    if (find(gguf_name_of(name).value_or(name)) != nullptr) continue;
    return Error{ErrorCode::corrupt,
                 fmt::format("{}: tensor \"{}\" is not in {}, where {} has it", path_,
                             printable(name), printable(file), index_name)};
  }
  return {};
}

// A tied head is not read, even where the file has a copy; one that isn't tied must be there.
Result<void> ModelDirectory::check_head() {
  const json* tied = member(config_.members(), "tie_word_embeddings");
  if (tied == nullptr || !tied->is_boolean()) return {};
  const auto head = index_.find("output.weight");
  if (!tied->get<bool>() && head == index_.end()) {
    return Error{ErrorCode::corrupt,
                 path_ + ": tensor lm_head.weight is missing, and tie_word_embeddings is false"};
  }
  if (tied->get<bool>() && head != index_.end()) {
    tensors_.erase(tensors_.begin() + static_cast<std::ptrdiff_t>(head->second));
    index_.clear();
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  }
  return {};
}

// Members that would change the arithmetic and have no key in GGUF.
Result<void> ModelDirectory::check_config() const {
  const json& config = config_.members();
  const auto unsupported = [&](const std::string& what) {
    return Error{ErrorCode::unsupported, path_ + "/config.json: " + what};
  };
  const json* activation = member(config, "hidden_act");
  if (activation != nullptr && *activation != "silu") {
    return unsupported("hidden_act " + printable(activation->dump()) +
                       " is not supported, \"silu\" is");
  }
  if (member(config, "quantization_config") != nullptr) {
    return unsupported(
        "quantization_config: quantised safetensors are not supported; a GGUF file "
        "of the model is an alternative");
  }
  const json* rotated = member(config, "partial_rotary_factor");
  if (rotated != nullptr && *rotated != 1.0) {
    return unsupported("partial_rotary_factor: heads are wholly rotated here");
  }
  if (const json* kinds = member(config, "layer_types"); kinds != nullptr && kinds->is_array()) {
    for (const json& kind : *kinds) {
      if (kind != "full_attention") {
        return unsupported("layer_types has " + printable(kind.dump()) +
                           "; only \"full_attention\" is supported");
      }
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> files_of_model_directory(const std::string& path) {
  std::vector<std::string> files = {path + "/config.json"};
  const std::string single = path + "/" + single_name;
  const bool in_shards = exists(path + "/" + index_name);
  if (!in_shards && !exists(single)) {
    return Error{ErrorCode::not_found, path + ": it has neither " + single_name + " nor " +
                                           index_name + "; is it a model's directory?"};
  }
  if (!exists(files.front())) {
    return Error{ErrorCode::not_found,
                 path + ": it has no config.json, which says what its safetensors are"};
  }
  if (!in_shards) {
    files.push_back(single);
    return files;
  }
  const auto weights = read_weight_map(path);
  if (!weights) return weights.error();
  files.push_back(path + "/" + index_name);
  std::set<std::string> names;
  for (const auto& [tensor, file] : *weights) names.insert(file);
  if (names.size() > most_files) {
    return Error{ErrorCode::resource_exhausted,
                 fmt::format("{}: its index names {} files, more than the {} that are opened", path,
                             names.size(), most_files)};
  }
  for (const std::string& name : names) files.push_back(path + "/" + name);
  return files;
}

Result<std::shared_ptr<const ModelSource>> open_model_directory(const std::string& path) {
  auto config = PublishedConfig::read(path);
  if (!config) return config.error();
  const auto model = std::make_shared<ModelDirectory>(path, std::move(*config));
  if (auto known = model->check_config(); !known) return known.error();
  if (auto opened = model->open_files(); !opened) return opened.error();
  return std::shared_ptr<const ModelSource>(model);
}

}  // namespace aorta::engine
