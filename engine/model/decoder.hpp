#pragma once
// A dense decoder over a backend's ops: RMS norms, grouped-query attention with rotary positions,
// SwiGLU; embedding table and head tied or not, with biases on q, k and v or a norm on the heads of
// q and k where the architecture has them (engine/model/architectures).
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "engine/backend.hpp"
#include "engine/model/decoder_config.hpp"
#include "engine/model/pack.hpp"

namespace aorta::engine {

class Decoder {
 public:
  // Errors: corrupt (the pack holds no decoder).
  static Result<DecoderConfig> config_of(const Pack& pack);

  // Takes its weights from `pack`, keeps it mapped, and reserves `kv_blocks` on the backend.
  // Errors: corrupt (entries that are missing or do not fit), resource_exhausted.
  static Result<std::unique_ptr<Decoder>> open(std::shared_ptr<const Pack> pack,
                                               std::unique_ptr<Backend> backend,
                                               std::uint32_t kv_blocks);

  const DecoderConfig& config() const { return config_; }

  // Computes the rows of `spans`, which cover ids[0..] in order, writes their KV, and returns the
  // logits after each of `wanted` (row numbers): [wanted.size()][vocabulary], valid until the next
  // call. At most the backend's max_rows rows.
  std::span<const float> forward(std::span<const TokenId> ids, std::span<const RowSpan> spans,
                                 std::span<const std::uint32_t> wanted);

 private:
  struct Layer {
    const float *attention_norm, *feed_forward_norm;
    Weight q, k, v, attention_output;
    const float *q_bias, *k_bias, *v_bias;  // nullptr: none
    const float *q_norm, *k_norm;           // [head_size]; nullptr: none
    Weight gate, up, down;
  };
  struct Buffers {                // activations, [rows][width]
    float *stream, *last;         // hidden; `last` are the rows whose logits are wanted
    float *q, *k, *v, *attended;  // heads · size, kv_heads · size
    float* gated;                 // feed_forward
    float* logits;                // vocabulary
  };

  Decoder(std::shared_ptr<const Pack> pack, std::unique_ptr<Backend> backend,
          const DecoderConfig& config);
  Result<void> load();
  Result<Layer> load_layer(std::uint32_t index) const;
  Result<void> load_extras(std::uint32_t index, Layer& layer) const;
  void attend(std::uint32_t index, std::uint32_t rows, std::span<const RowSpan> spans);
  void feed_forward(const Layer& layer, std::uint32_t rows);

  const std::shared_ptr<const Pack> pack_;
  const std::unique_ptr<Backend> backend_;
  const DecoderConfig config_;
  Weight embedding_, head_;
  const float* output_norm_ = nullptr;
  const float* cos_sin_ = nullptr;
  std::vector<Layer> layers_;
  Buffers buffers_ = {};
};

}  // namespace aorta::engine
