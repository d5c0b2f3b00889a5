#include "engine/model/llama_plan.hpp"

#include <cmath>
#include <cstring>
#include <unordered_set>

#include "engine/cpu/weight_formats.hpp"
#include "engine/model/gguf_reader.hpp"

namespace aorta::engine {
namespace {

// Collects items, and checks each tensor against the shape that the metadata implies.
class LlamaPlanner {
 public:
  LlamaPlanner(const GgufFile& file, const LlamaConfig& config) : file_(file), config_(config) {}

  Result<std::vector<PackItem>> plan() {
    add_bytes(llama::config, &config_, sizeof(config_));
    if (auto done = add_rope(); !done) return done.error();
    const std::uint32_t hidden = config_.hidden;
    if (auto done = add_weight(llama::embedding, config_.vocabulary, hidden); !done) {
      return done.error();
    }
    if (!config_.tied_head) {
      if (auto done = add_weight(llama::output, config_.vocabulary, hidden); !done) {
        return done.error();
      }
    }
    if (auto done = add_norm(llama::output_norm); !done) return done.error();
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      if (auto done = add_layer(layer); !done) return done.error();
    }
    if (auto done = refuse_strangers(); !done) return done.error();
    return std::move(items_);
  }

 private:
  Error refuse(ErrorCode code, const std::string& sentence) const {
    return Error{code, file_.path() + ": " + sentence};
  }

  static std::string shape(const std::vector<std::uint64_t>& dims) {
    std::string text = "[";
    for (const std::uint64_t n : dims) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
  }

  Result<const GgufTensor*> tensor(const std::string& name,
                                   const std::vector<std::uint64_t>& dims) {
    const GgufTensor* found = file_.find(name);
    if (found == nullptr) {
      return refuse(ErrorCode::corrupt, "tensor " + name + " is missing");
    }
    if (found->dims != dims) {
      return refuse(ErrorCode::corrupt, "tensor " + name + " is " + shape(found->dims) +
                                            ", the metadata wants " + shape(dims));
    }
    used_.insert(name);
    return found;
  }

  Result<void> add_weight(const std::string& name, std::uint32_t rows, std::uint32_t columns) {
    auto found = tensor(name, {columns, rows});
    if (!found) return found.error();
    const cpu::WeightFormat* format = cpu::find_weight_format((*found)->type);
    if (format == nullptr) {
      return refuse(ErrorCode::unsupported, "tensor " + name + " is of ggml type " +
                                                std::to_string((*found)->type) +
                                                "; supported are " + cpu::supported_weight_types());
    }
    const std::size_t row_bytes =
        std::size_t{columns} / format->block_elements * format->block_bytes;
    if (columns % format->block_elements != 0 ||
        (*found)->data.size() < row_bytes * std::size_t{rows}) {
      return refuse(ErrorCode::corrupt, "tensor " + name + " of " + std::to_string(columns) +
                                            " columns does not hold whole " + format->name +
                                            " blocks");
    }
    PackItem item;
    item.name = name;
    item.kind = PackKind::weight;
    item.type = (*found)->type;
    item.rows = rows;
    item.columns = columns;
    item.rows_of_gguf = (*found)->data;
    items_.push_back(std::move(item));
    return {};
  }

  // A float vector, unquantised in the file.
  Result<std::vector<float>> vector_of(const std::string& name, std::uint32_t size) {
    auto found = tensor(name, {size});
    if (!found) return found.error();
    const cpu::WeightFormat* format = cpu::find_weight_format((*found)->type);
    if (format == nullptr || format->quantised ||
        (*found)->data.size() < std::size_t{size} * format->block_bytes) {
      return refuse(ErrorCode::unsupported, "tensor " + name + " must be F32, F16 or BF16");
    }
    // As a group of one output, so that the format's own conversion is used.
    std::vector<std::byte> group(format->group_bytes(size));
    const std::byte* rows[cpu::lanes] = {(*found)->data.data()};
    format->pack_group(rows, size, group.data());
    std::vector<float> values(size);
    format->unpack_row(group.data(), 0, size, values.data());
    return values;
  }

  Result<void> add_norm(const std::string& name) {
    auto values = vector_of(name, config_.hidden);
    if (!values) return values.error();
    add_floats(name, *values, 1, config_.hidden);
    return {};
  }

  Result<void> add_layer(std::uint32_t layer) {
    const std::uint32_t hidden = config_.hidden, feed_forward = config_.feed_forward;
    const std::uint32_t q = config_.heads * config_.head_size;
    const std::uint32_t kv = config_.kv_heads * config_.head_size;
    const struct {
      const char* part;
      std::uint32_t rows, columns;
    } weights[] = {{"attn_q", q, hidden},
                   {"attn_k", kv, hidden},
                   {"attn_v", kv, hidden},
                   {"attn_output", hidden, q},
                   {"ffn_gate", feed_forward, hidden},
                   {"ffn_up", feed_forward, hidden},
                   {"ffn_down", hidden, feed_forward}};
    if (auto done = add_norm(llama::layer(layer, "attn_norm")); !done) return done;
    if (auto done = add_norm(llama::layer(layer, "ffn_norm")); !done) return done;
    for (const auto& weight : weights) {
      auto done = add_weight(llama::layer(layer, weight.part), weight.rows, weight.columns);
      if (!done) return done;
    }
    return {};
  }

  // Angles are position · base^(-2i/size), divided by llama3's factor of each frequency and by the
  // linear scaling. Computed once, in double, so that no machine's libm is in the model's path.
  Result<void> add_rope() {
    const std::uint32_t half = config_.head_size / 2;
    const double base = file_.get_float("llama.rope.freq_base").value_or(10000.0);
    const double linear = file_.get_string("llama.rope.scaling.type").value_or("none") == "linear"
                              ? file_.get_float("llama.rope.scaling.factor").value_or(1.0)
                              : 1.0;
    if (!(base > 0.0 && base < 1e12) || !(linear > 0.0 && linear < 1e6)) {
      return refuse(ErrorCode::corrupt,
                    "llama.rope.freq_base or llama.rope.scaling.factor is not a positive number");
    }
    std::vector<float> factors(half, 1.0f);
    if (file_.find(llama::rope_factors) != nullptr) {
      auto values = vector_of(llama::rope_factors, half);
      if (!values) return values.error();
      factors = *values;
      for (const float factor : factors) {
        if (!(factor > 0.0f)) {
          return refuse(ErrorCode::corrupt,
                        "rope_freqs.weight holds a factor that is not positive");
        }
      }
    }
    std::vector<double> frequencies(half);
    for (std::uint32_t i = 0; i < half; ++i) {
      frequencies[i] = std::pow(base, -2.0 * i / config_.head_size) / factors[i] / linear;
    }
    std::vector<float> cos_sin;
    cos_sin.reserve(std::size_t{config_.context_tokens} * half * 2);
    for (std::uint32_t position = 0; position < config_.context_tokens; ++position) {
      for (const double frequency : frequencies) {
        cos_sin.push_back(static_cast<float>(std::cos(position * frequency)));
        cos_sin.push_back(static_cast<float>(std::sin(position * frequency)));
      }
    }
    add_floats(llama::rope, cos_sin, config_.context_tokens, config_.head_size);
    return {};
  }

  // A tensor nobody asked for, such as a bias, is a feature that would be left out silently.
  Result<void> refuse_strangers() const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (used_.contains(std::string(tensor.name))) continue;
      return refuse(ErrorCode::unsupported, "tensor " + printable(tensor.name) +
                                                " is not part of a llama model as supported here");
    }
    return {};
  }

  void add_bytes(const char* name, const void* data, std::size_t size) {
    PackItem item;
    item.name = name;
    item.kind = PackKind::bytes;
    item.content.resize(size);
    std::memcpy(item.content.data(), data, size);
    items_.push_back(std::move(item));
  }

  void add_floats(const std::string& name, const std::vector<float>& values, std::uint32_t rows,
                  std::uint32_t columns) {
    add_bytes(name.c_str(), values.data(), values.size() * sizeof(float));
    items_.back().kind = PackKind::floats;
    items_.back().rows = rows;
    items_.back().columns = columns;
  }

  const GgufFile& file_;
  const LlamaConfig& config_;
  std::vector<PackItem> items_;
  std::unordered_set<std::string> used_;
};

}  // namespace

Result<std::vector<PackItem>> plan_llama(const GgufFile& file) {
  auto config = read_llama_config(file);
  if (!config) return config.error();
  return LlamaPlanner(file, *config).plan();
}

}  // namespace aorta::engine
