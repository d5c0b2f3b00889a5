#pragma once
// Ops over device tensors: what a model file of an architecture is written in. One op is one file
// pair, of the same name in cpu/ and cuda/. All ops of one backend give the same bits whatever the
// number of rows, threads or the instruction set (docs/numerics.md states the arithmetic).
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace aorta::engine {

// Element formats of weights, with GGUF's numbers (ggml_type).
enum class WeightType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30
};

// A packed weight [rows][columns]: `data` is in the backend's own layout, output row-major in
// groups of 16 rows (cpu/weight_formats.hpp). Owned by the pack's mapping.
struct Weight {
  WeightType type = WeightType::f32;
  std::uint32_t rows = 0;     // outputs
  std::uint32_t columns = 0;  // inputs
  const std::byte* data = nullptr;
};

// Consecutive positions of one sequence inside a step, for attention and the KV write.
struct RowSpan {
  std::uint32_t row = 0;                  // first row of the step's activations
  std::uint32_t count = 0;                // rows
  std::uint32_t position = 0;             // of the first row
  std::span<const std::uint32_t> blocks;  // block table of the sequence
};

struct AttentionShape {
  std::uint32_t heads = 0, kv_heads = 0;  // heads is a multiple of kv_heads
  std::uint32_t head_size = 0;            // a multiple of 16, at most 256
};

// Rows of activations are float32, row-major, [rows][width], in the backend's memory; scratch
// belongs to the backend. Ops are called from one thread and happen in the order of the calls.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu-avx512" ...

  // Activations of up to max_rows rows, that live as long as the backend.
  virtual float* buffer(std::uint32_t width) = 0;
  // What the ops so far have put into a buffer, readable until the next op.
  virtual std::span<const float> read(const float* buffer, std::size_t size) = 0;
  // KV for `layers` × `blocks` blocks of 16 positions, f16; pages are touched as they are written.
  // Errors: resource_exhausted.
  virtual Result<void> reserve_kv(std::uint32_t layers, std::uint32_t blocks,
                                  const AttentionShape& shape) = 0;

  // out[r] = table[ids[r]]
  virtual void embed(const Weight& table, std::span<const TokenId> ids, float* out) = 0;
  // out[i] = x[rows[i]], each `width` long
  virtual void gather(const float* x, std::span<const std::uint32_t> rows, std::uint32_t width,
                      float* out) = 0;
  // out[rows][width] = x / sqrt(mean(x²) + epsilon) · weight
  virtual void rms_norm(const float* x, const float* weight, std::uint32_t rows,
                        std::uint32_t width, float epsilon, float* out) = 0;
  // How a buffer holds rows: as floats, or as products with quantised weights read them (int8 per
  // 32), which then need not wait for each other's threads. No op but a product reads the latter.
  enum class Form { floats, quantised };
  // In which of them a product with this weight reads what an op leaves in pieces of `columns`.
  virtual Form form_for(const Weight& weight, std::uint32_t columns) const = 0;
  // What products read: x [rows][columns], RMS-normed first where `norm` [columns] is given. It is
  // normed and quantised (to int8 per 32, for quantised weights) once for all products of a call.
  struct Input {
    const float* x = nullptr;
    std::uint32_t rows = 0;
    const float* norm = nullptr;  // only of floats
    float epsilon = 0.0f;
    Form form = Form::floats;
  };
  // out[rows][w.rows] = input · wᵀ, plus `bias` [w.rows] where it is given (one more rounding), or
  // added to what `out` holds where `residual` says so (one more). `out` is not what is read.
  struct Product {
    const Weight* weight = nullptr;
    float* out = nullptr;
    const float* bias = nullptr;
    bool residual = false;
  };
  virtual void matmul(const Input& input, std::span<const Product> products) = 0;
  // out[rows][gate.rows] = silu(input · gateᵀ) · (input · upᵀ), elementwise; weights of one shape,
  // and of rows that are a multiple of 32 where `form` is quantised.
  virtual void gated_matmul(const Input& input, const Weight& gate, const Weight& up, float* out,
                            Form form = Form::floats) = 0;
  // Rotates the pairs (2i, 2i+1) of q [rows][heads·size] and k [rows][kv_heads·size] in place by
  // cos_sin[position][size/2][2], then writes k and v of each row into `layer`'s KV.
  virtual void rope_and_store(std::uint32_t layer, const float* cos_sin,
                              std::span<const RowSpan> spans, float* q, float* k,
                              const float* v) = 0;
  // out[rows][heads·size]: causal softmax(q·kᵀ·scale)·v over each span's own positions; heads of
  // a multiple of 32 where `form` is quantised.
  virtual void attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans,
                         const float* q, float* out, Form form = Form::floats) = 0;
  // The next attention will be this one: products until then may fetch its KV into caches. `spans`
  // live until then.
  virtual void fetch_kv(std::uint32_t layer, std::span<const RowSpan> spans) = 0;
};

// isa: auto | scalar | avx2 | avxvnni | avx512. Errors: unsupported (this machine lacks it).
Result<std::unique_ptr<Backend>> make_cpu_backend(const std::string& isa, std::uint32_t threads,
                                                  std::uint32_t max_rows);

}  // namespace aorta::engine
