#include "engine/model/decoder_plan.hpp"

#include <cstring>
#include <unordered_set>

#include "engine/cpu/weight_formats.hpp"
#include "engine/model/gguf_reader.hpp"
#include "engine/model/rope_table.hpp"

namespace aorta::engine {
namespace {

// Collects items, and checks each tensor against the shape that the metadata implies.
class DecoderPlanner {
 public:
  DecoderPlanner(const ModelSource& source, const Architecture& architecture,
                 const DecoderConfig& config)
      : source_(source), architecture_(architecture), config_(config) {}

  Result<std::vector<PackItem>> plan() {
    add_bytes(decoder::config, &config_, sizeof(config_));
    if (auto done = add_rope(); !done) return done.error();
    const std::uint32_t hidden = config_.hidden;
    if (auto done = add_weight(decoder::embedding, config_.vocabulary, hidden); !done) {
      return done.error();
    }
    if (!config_.tied_head) {
      if (auto done = add_weight(decoder::output, config_.vocabulary, hidden); !done) {
        return done.error();
      }
    }
    if (auto done = add_vector(decoder::output_norm, hidden); !done) return done.error();
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      if (auto done = add_layer(layer); !done) return done.error();
    }
    if (auto done = refuse_strangers(); !done) return done.error();
    return std::move(items_);
  }

 private:
  Error refuse(ErrorCode code, const std::string& sentence) const {
    return Error{code, source_.path() + ": " + sentence};
  }

  static std::string shape(const std::vector<std::uint64_t>& dims) {
    std::string text = "[";
    for (const std::uint64_t n : dims) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
  }

  // The size of the heads whose rows must be reordered for the kernels' rotation; 0: none.
  std::uint32_t halves() const { return source_.as_published() ? config_.head_size : 0; }

  Result<const SourceTensor*> tensor(const std::string& name,
                                     const std::vector<std::uint64_t>& dims) {
    const SourceTensor* found = source_.find(name);
    const std::string given = source_.given_name(name);
    if (found == nullptr) return refuse(ErrorCode::corrupt, "tensor " + given + " is missing");
    if (found->dims != dims) {
      return refuse(ErrorCode::corrupt, "tensor " + given + " is " + shape(found->dims) +
                                            ", the metadata wants " + shape(dims));
    }
    used_.insert(name);
    return found;
  }

  Result<void> add_weight(const std::string& name, std::uint32_t rows, std::uint32_t columns,
                          std::uint32_t halves = 0) {
    auto found = tensor(name, {columns, rows});
    if (!found) return found.error();
    const cpu::WeightFormat* format = cpu::find_weight_format((*found)->type);
    if (format == nullptr) {
      return refuse(ErrorCode::unsupported, "tensor " + source_.given_name(name) + " is of type " +
                                                std::string((*found)->type_name) +
                                                "; supported are " + cpu::supported_weight_types());
    }
    const std::size_t row_bytes =
        std::size_t{columns} / format->block_elements * format->block_bytes;
    if (columns % format->block_elements != 0 ||
        (*found)->data.size() < row_bytes * std::size_t{rows}) {
      return refuse(ErrorCode::corrupt,
                    "tensor " + source_.given_name(name) + " of " + std::to_string(columns) +
                        " columns does not hold whole " + format->name + " blocks");
    }
    PackItem item;
    item.name = name;
    item.kind = PackKind::weight;
    item.type = (*found)->type;
    item.rows = rows;
    item.columns = columns;
    item.source_rows = (*found)->data;
    item.halves = halves;
    items_.push_back(std::move(item));
    return {};
  }

  // A float vector, of an unquantised type in the source.
  Result<std::vector<float>> vector_of(const std::string& name, std::uint32_t size) {
    auto found = tensor(name, {size});
    if (!found) return found.error();
    const cpu::WeightFormat* format = cpu::find_weight_format((*found)->type);
    if (format == nullptr || format->quantised ||
        (*found)->data.size() < std::size_t{size} * format->block_bytes) {
      return refuse(ErrorCode::unsupported, "tensor " + source_.given_name(name) + " is of type " +
                                                std::string((*found)->type_name) +
                                                "; it must be a type of plain floats");
    }
    // As a group of one output, so that the format's own conversion is used.
    std::vector<std::byte> group(format->group_bytes(size));
    const std::byte* rows[cpu::lanes] = {(*found)->data.data()};
    format->pack_group(rows, size, group.data());
    std::vector<float> values(size);
    format->unpack_row(group.data(), 0, size, values.data());
    return values;
  }

  Result<void> add_vector(const std::string& name, std::uint32_t size, std::uint32_t halves = 0) {
    auto values = vector_of(name, size);
    if (!values) return values.error();
    std::vector<float> ordered(size);
    for (std::uint32_t i = 0; i < size; ++i) ordered[i] = (*values)[source_row(i, halves)];
    add_floats(name, ordered, 1, size);
    return {};
  }

  Result<void> add_layer(std::uint32_t layer) {
    const std::uint32_t hidden = config_.hidden, feed_forward = config_.feed_forward;
    const std::uint32_t q = config_.heads * config_.head_size;
    const std::uint32_t kv = config_.kv_heads * config_.head_size;
    const struct {
      const char* part;
      std::uint32_t rows, columns, halves;
    } weights[] = {{"attn_q", q, hidden, halves()},
                   {"attn_k", kv, hidden, halves()},
                   {"attn_v", kv, hidden, 0},
                   {"attn_output", hidden, q, 0},
                   {"ffn_gate", feed_forward, hidden, 0},
                   {"ffn_up", feed_forward, hidden, 0},
                   {"ffn_down", hidden, feed_forward, 0}};
    struct Vector {
      const char *part, *kind;
      std::uint32_t size, halves;
    };
    std::vector<Vector> vectors = {{"attn_norm", "weight", hidden, 0},
                                   {"ffn_norm", "weight", hidden, 0}};
    if (config_.qkv_bias) {
      vectors.insert(vectors.end(), {{"attn_q", "bias", q, halves()},
                                     {"attn_k", "bias", kv, halves()},
                                     {"attn_v", "bias", kv, 0}});
    }
    if (config_.qk_norm) {
      vectors.insert(vectors.end(), {{"attn_q_norm", "weight", config_.head_size, halves()},
                                     {"attn_k_norm", "weight", config_.head_size, halves()}});
    }
    for (const Vector& v : vectors) {
      auto done = add_vector(decoder::layer(layer, v.part, v.kind), v.size, v.halves);
      if (!done) return done;
    }
    for (const auto& w : weights) {
      auto done = add_weight(decoder::layer(layer, w.part), w.rows, w.columns, w.halves);
      if (!done) return done;
    }
    return {};
  }

  Result<void> add_rope() {
    std::vector<float> factors;
    if (source_.find(decoder::rope_factors) != nullptr) {
      auto values = vector_of(decoder::rope_factors, config_.head_size / 2);
      if (!values) return values.error();
      factors = std::move(*values);
      for (const float factor : factors) {
        if (!(factor > 0.0f)) {
          return refuse(ErrorCode::corrupt,
                        "rope_freqs.weight holds a factor that is not positive");
        }
      }
    }
    auto frequencies = rope_frequencies(source_, config_, factors);
    if (!frequencies) return frequencies.error();
    PackItem table;
    table.name = decoder::rope;
    table.kind = PackKind::floats;
    table.rows = config_.context_tokens;
    table.columns = config_.head_size;
    // A long context's table takes a second, which those who only look need not wait for.
    table.compute = [frequencies = std::move(*frequencies), positions = config_.context_tokens] {
      return rope_table(frequencies, positions);
    };
    items_.push_back(std::move(table));
    return {};
  }

  // A tensor nobody asked for, such as a bias, is a feature that would be left out silently.
  Result<void> refuse_strangers() const {
    for (const SourceTensor& tensor : source_.tensors()) {
      if (used_.contains(std::string(tensor.name))) continue;
      return refuse(ErrorCode::unsupported, "tensor " + printable(source_.given_name(tensor.name)) +
                                                " is not part of a " + architecture_.name +
                                                " model as supported here");
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

  const ModelSource& source_;
  const Architecture& architecture_;
  const DecoderConfig& config_;
  std::vector<PackItem> items_;
  std::unordered_set<std::string> used_;
};

}  // namespace

Result<std::vector<PackItem>> plan_decoder(const ModelSource& source,
                                           const Architecture& architecture) {
  auto config = read_decoder_config(source, architecture);
  if (!config) return config.error();
  return DecoderPlanner(source, architecture, *config).plan();
}

}  // namespace aorta::engine
