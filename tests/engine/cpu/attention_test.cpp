// Attention over paged KV: against double precision, bit for bit against the scalar kernels, and
// blind to stale bytes in the blocks that it may not see.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

struct Case {
  AttentionShape shape;
  std::uint32_t before, count;  // positions already there, and those of this step
};
const Case cases[] = {
    {{1, 1, 16}, 0, 1},    {{6, 2, 32}, 0, 20},   {{9, 3, 64}, 250, 11}, {{9, 3, 64}, 300, 1},
    {{8, 1, 48}, 255, 3},  {{4, 4, 128}, 512, 1}, {{16, 1, 16}, 40, 2},  {{2, 2, 256}, 17, 5},
    {{9, 3, 64}, 14, 8},    // rows that end in different blocks share a pass
    {{2, 1, 64}, 1900, 1},  // threads share the tiles of a head,
    {{4, 2, 32}, 1020, 6},  // the last of which its earlier rows do not see
};

class Sequence {
 public:
  Sequence(const Case& c, std::uint32_t number)
      : c_(c),
        length_(c.before + c.count),
        q_width_(c.shape.heads * c.shape.head_size),
        kv_width_(c.shape.kv_heads * c.shape.head_size) {
    Random random(number);
    q_ = random.floats(length_ * q_width_);
    k_ = random.floats(length_ * kv_width_);
    v_ = random.floats(length_ * kv_width_);
    blocks_.resize((length_ + kv_block - 1) / kv_block);
    std::iota(blocks_.begin(), blocks_.end(), 1u);
    std::reverse(blocks_.begin(), blocks_.end());
    for (std::uint32_t i = 0; i < length_ * c.shape.head_size; i += 2) {
      cos_sin_.insert(cos_sin_.end(), {1.0f, 0.0f});  // no rotation
    }
  }

  // The step's outputs; `stale` fills the last block's unused slots and the spare blocks with NaNs.
  std::vector<float> run(const std::string& isa, std::uint32_t threads, bool stale) {
    auto backend = make_cpu_backend(isa, threads, length_);
    EXPECT_TRUE(backend.ok());
    EXPECT_TRUE(
        (*backend)->reserve_kv(2, static_cast<std::uint32_t>(blocks_.size()) + 2, c_.shape).ok());
    if (stale) {
      const std::vector<float> nan(std::max(q_width_, kv_width_) * kv_block, NAN);
      auto scratch = nan;
      for (const std::uint32_t block : blocks_) {
        const std::uint32_t table[] = {block};
        const RowSpan span = {0, kv_block, 0, table};
        auto k = nan;
        (*backend)->rope_and_store(1, cos_sin_padded().data(), {&span, 1}, scratch.data(), k.data(),
                                   nan.data());
      }
    }
    auto q = q_, k = k_;
    const RowSpan all = {0, length_, 0, blocks_};
    (*backend)->rope_and_store(1, cos_sin_.data(), {&all, 1}, q.data(), k.data(), v_.data());
    const RowSpan step = {0, c_.count, c_.before, blocks_};
    std::vector<float> out(c_.count * q_width_);
    (*backend)->attention(1, scale(), {&step, 1}, q_.data() + c_.before * q_width_, out.data());
    return out;
  }

  double exact(std::uint32_t row, std::uint32_t head, std::uint32_t d) const {
    const std::uint32_t size = c_.shape.head_size;
    const std::uint32_t kv_head = head / (c_.shape.heads / c_.shape.kv_heads);
    const float* q = &q_[(c_.before + row) * q_width_ + head * size];
    std::vector<double> weights;
    for (std::uint32_t p = 0; p <= c_.before + row; ++p) {
      double score = 0.0;
      for (std::uint32_t i = 0; i < size; ++i) {
        score += double{q[i]} * rounded(k_[p * kv_width_ + kv_head * size + i]);
      }
      weights.push_back(score * scale());
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double mass = 0.0, sum = 0.0;
    for (std::uint32_t p = 0; p < weights.size(); ++p) {
      const double weight = std::exp(weights[p] - largest);
      mass += weight;
      sum += weight * rounded(v_[p * kv_width_ + kv_head * size + d]);
    }
    return sum / mass;
  }
  std::uint32_t q_width() const { return q_width_; }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(c_.shape.head_size)); }
  static double rounded(float value) { return half_to_float(float_to_half(value)); }
  std::vector<float> cos_sin_padded() const {
    return std::vector<float>(kv_block * c_.shape.head_size, 1.0f);
  }

  const Case c_;
  const std::uint32_t length_, q_width_, kv_width_;
  std::vector<float> q_, k_, v_, cos_sin_;
  std::vector<std::uint32_t> blocks_;
};

using AttentionOp = ByIsa;

TEST_P(AttentionOp, EveryShape) {
  for (std::uint32_t number = 0; number < std::size(cases); ++number) {
    const Case& c = cases[number];
    Sequence sequence(c, number);
    const auto out = sequence.run(GetParam(), 1, false);
    EXPECT_EQ(bits_of(out), bits_of(sequence.run("scalar", 1, false))) << "case " << number;
    for (const std::uint32_t threads : {2u, 3u, 5u}) {
      EXPECT_EQ(bits_of(out), bits_of(sequence.run(GetParam(), threads, true)))
          << "case " << number << ", " << threads << " threads";
    }
    for (std::uint32_t row = 0; row < c.count; ++row) {
      for (std::uint32_t i = 0; i < sequence.q_width(); ++i) {
        const double exact = sequence.exact(row, i / c.shape.head_size, i % c.shape.head_size);
        EXPECT_NEAR(out[row * sequence.q_width() + i], exact, 2e-5) << "case " << number;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionOp, testing::Values("scalar", "avx2", "avxvnni", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace aorta::engine::cpu
