#pragma once
// Causal attention over paged f16 KV, up to 12 queries in one pass (several heads of a GQA group,
// several rows of a prefill). Softmax is computed per tile of 256 absolute positions and tiles are
// merged in ascending order (Milakov and Gimelshein 2018), so a query's result depends on nothing
// but its own positions, and the tiles of a long context may be several threads'. K lies
// [head_size][16 positions] and V [16 positions][head_size]: a position's score and an output's sum
// each own a lane, and there are no horizontal sums but the softmax's.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/exp.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

// exp(top - now), whose two usual values need no polynomial.
template <class Lanes>
float factor(float top, float now) {
  if (top == now) return 1.0f;
  if (top == -__builtin_inff()) return 0.0f;
  return exp(Lanes::set(top - now)).first();
}

template <class Lanes, int Q>
struct Attention {
  const AttentionJob& job;
  alignas(64) float queries[max_head_size * Q];   // [head_size][Q], scaled
  alignas(64) float weights[Q * attention_tile];  // scores, then probabilities
  alignas(64) float sums[Q * max_head_size];      // Σ probability · v
  float largest[Q], mass[Q];                      // of the tiles so far
  float keep_old[Q], keep_new[Q];                 // factors of the running merge
  std::uint32_t visible[Q];                       // positions of this tile that a query sees
  std::uint32_t first_block = 0, end_block = 0;   // of this tile
  std::uint32_t tile = 0;

  explicit Attention(const AttentionJob& j) : job(j) {
    for (int q = 0; q < Q; ++q) {
      for (std::uint32_t d = 0; d < job.head_size; ++d) {
        queries[d * Q + q] = job.query[q][d] * job.scale;
        sums[q * max_head_size + d] = 0.0f;
      }
      largest[q] = -__builtin_inff();
      mass[q] = 0.0f;
    }
  }

  const std::uint16_t* keys(std::uint32_t block) const {
    return job.kv + job.blocks[block] * job.block_stride;
  }
  const std::uint16_t* values(std::uint32_t block) const {
    return keys(block) + job.head_size * kv_block;
  }

  // What is read after K of `block`: more K of the tile, then its V.
  const std::uint16_t* after_keys(std::uint32_t block) const {
    return block < end_block ? keys(block) : values(first_block + (block - end_block) % kv_block);
  }
  // After V of `block`: more of it, then what the next job begins with.
  const std::uint16_t* after_values(std::uint32_t block) const {
    if (block < end_block) return values(block);
    return job.next_keys[(block - end_block) % ahead_blocks];
  }

  // Scores of B blocks of 16 positions, the first of them `block`, `slot` of the tile.
  template <int B>
  void score(std::uint32_t block, std::uint32_t slot) {
    Lanes acc[B][Q];
    const std::uint16_t *k[B], *next[B];
#pragma GCC unroll 16
    for (int b = 0; b < B; ++b) {
      k[b] = keys(block + b);
      next[b] = after_keys(block + B + b);
#pragma GCC unroll 16
      for (int q = 0; q < Q; ++q) acc[b][q] = Lanes::zero();
    }
    for (std::uint32_t d = 0; d < job.head_size; ++d) {
#pragma GCC unroll 16
      for (int b = 0; b < B; ++b) {
        const Lanes key = Lanes::load_half(k[b] + d * kv_block);
        __builtin_prefetch(next[b] + d * kv_block);
#pragma GCC unroll 16
        for (int q = 0; q < Q; ++q) acc[b][q] = fma(Lanes::set(queries[d * Q + q]), key, acc[b][q]);
      }
    }
#pragma GCC unroll 16
    for (int b = 0; b < B; ++b) {
#pragma GCC unroll 16
      for (int q = 0; q < Q; ++q)
        acc[b][q].store(weights + q * attention_tile + slot + b * kv_block);
    }
  }

  // Scores to probabilities of one query, and its factors for the merge.
  void soften(int q) {
    const std::uint32_t n = visible[q];
    float* w = weights + q * attention_tile;
    keep_old[q] = 1.0f;
    keep_new[q] = 0.0f;
    if (n == 0) return;
    const std::uint32_t whole = n / 16 * 16, rest = n - whole;
    Lanes top = Lanes::set(-__builtin_inff());
    for (std::uint32_t i = 0; i < whole; i += 16) top = max(top, Lanes::load(w + i));
    if (rest != 0) top = max(top, keep_first(Lanes::load(w + whole), rest, -__builtin_inff()));
    const float tile_largest = maximum(top);
    const Lanes shift = Lanes::set(tile_largest);
    Lanes total = Lanes::zero();
    for (std::uint32_t i = 0; i < whole; i += 16) {
      const Lanes p = exp(Lanes::load(w + i) - shift);
      p.store(w + i);
      total = total + p;
    }
    if (rest != 0) {
      const Lanes p = keep_first(exp(Lanes::load(w + whole) - shift), rest, 0.0f);
      p.store(w + whole);
      total = total + p;
    }
    if (job.tiles != nullptr) {
      job.tile(tile, q)[job.head_size] = tile_largest;
      job.tile(tile, q)[job.head_size + 1] = sum(total);
      return;
    }
    const float now_largest = largest[q] > tile_largest ? largest[q] : tile_largest;
    keep_old[q] = factor<Lanes>(largest[q], now_largest);
    keep_new[q] = factor<Lanes>(tile_largest, now_largest);
    mass[q] = __builtin_fmaf(mass[q], keep_old[q], sum(total) * keep_new[q]);
    largest[q] = now_largest;
  }

  // Adds the tile's Σ probability · v for D · 16 of the head's dimensions.
  template <int D>
  void mix(std::uint32_t dimension) {
    Lanes acc[D][Q];
#pragma GCC unroll 16
    for (int i = 0; i < D; ++i) {
#pragma GCC unroll 16
      for (int q = 0; q < Q; ++q) acc[i][q] = Lanes::zero();
    }
    const std::uint32_t shared = visible[0], all = visible[Q - 1];
    for (std::uint32_t from = 0; from < shared; from += kv_block) {
      const std::uint32_t block = first_block + from / kv_block;
      const std::uint16_t* v = values(block) + dimension;
      const std::uint16_t* next = after_values(block + ahead_blocks) + dimension;
      const std::uint32_t to = shared - from < kv_block ? shared : from + kv_block;
      for (std::uint32_t at = from; at < to; ++at, v += job.head_size, next += job.head_size) {
        __builtin_prefetch(next);
        if constexpr (D > 2) __builtin_prefetch(next + 32);
#pragma GCC unroll 16
        for (int i = 0; i < D; ++i) {
          const Lanes value = Lanes::load_half(v + i * 16);
#pragma GCC unroll 16
          for (int q = 0; q < Q; ++q) {
            acc[i][q] = fma(Lanes::set(weights[q * attention_tile + at]), value, acc[i][q]);
          }
        }
      }
    }
    // The last few positions, which the earlier queries must not see.
    for (std::uint32_t at = shared; at < all; ++at) {
      const std::uint16_t* v =
          values(first_block + at / kv_block) + at % kv_block * job.head_size + dimension;
#pragma GCC unroll 16
      for (int i = 0; i < D; ++i) {
        const Lanes value = Lanes::load_half(v + i * 16);
#pragma GCC unroll 16
        for (int q = 0; q < Q; ++q) {
          if (at >= visible[q]) continue;
          acc[i][q] = fma(Lanes::set(weights[q * attention_tile + at]), value, acc[i][q]);
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < D; ++i) {
#pragma GCC unroll 16
      for (int q = 0; q < Q; ++q) {
        if (visible[q] == 0) continue;
        if (job.tiles != nullptr) {
          acc[i][q].store(job.tile(tile, q) + dimension + i * 16);
          continue;
        }
        float* s = sums + q * max_head_size + dimension + i * 16;
        fma(Lanes::load(s), Lanes::set(keep_old[q]), acc[i][q] * Lanes::set(keep_new[q])).store(s);
      }
    }
  }

  void run() {
    // With few queries several blocks at once keep enough independent sums in flight.
    constexpr int wide = Q <= 3 ? 4 : Q <= 6 ? 2 : 1;
    const std::uint32_t end = job.visible[Q - 1];
    for (tile = job.first_tile; tile < job.end_tile && tile * attention_tile < end; ++tile) {
      const std::uint32_t first = tile * attention_tile;
      for (int q = 0; q < Q; ++q) {
        const std::uint32_t n = job.visible[q] > first ? job.visible[q] - first : 0;
        visible[q] = n < attention_tile ? n : attention_tile;
      }
      const std::uint32_t blocks = (visible[Q - 1] + kv_block - 1) / kv_block;
      first_block = first / kv_block;
      end_block = first_block + blocks;
      std::uint32_t b = 0;
      for (; b + wide <= blocks; b += wide) score<wide>(first_block + b, b * kv_block);
      if constexpr (wide == 4) {
        if (b + 2 <= blocks) score<2>(first_block + b, b * kv_block), b += 2;
      }
      for (; b < blocks; ++b) score<1>(first_block + b, b * kv_block);
      for (int q = 0; q < Q; ++q) soften(q);
      std::uint32_t d = 0;
      for (; d + 16 * wide <= job.head_size; d += 16 * wide) mix<wide>(d);
      for (; d < job.head_size; d += 16) mix<1>(d);
    }
    if (job.tiles != nullptr) return;
    for (int q = 0; q < Q; ++q) {
      const Lanes total = Lanes::set(mass[q]);
      for (std::uint32_t d = 0; d < job.head_size; d += 16) {
        (Lanes::load(sums + q * max_head_size + d) / total).store(job.out[q] + d);
      }
    }
  }
};

template <class Lanes, int Q>
void attend_queries(const AttentionJob& job) {
  Attention<Lanes, Q>(job).run();
}

template <class Lanes>
void attend(const AttentionJob& job) {
  if constexpr (!Lanes::in_registers) {
    for (std::uint32_t q = 0; q < job.queries; ++q) {
      AttentionJob one = job;
      one.queries = 1;
      one.query[0] = job.query[q];
      one.out[0] = job.out[q];
      one.visible[0] = job.visible[q];
      if (job.tiles != nullptr) one.tiles = job.tile(0, q);
      attend_queries<Lanes, 1>(one);
    }
    return;
  } else {
    using Attend = void (*)(const AttentionJob&);
    static constexpr Attend by_queries[max_queries] = {
        attend_queries<Lanes, 1>,  attend_queries<Lanes, 2>,  attend_queries<Lanes, 3>,
        attend_queries<Lanes, 4>,  attend_queries<Lanes, 5>,  attend_queries<Lanes, 6>,
        attend_queries<Lanes, 7>,  attend_queries<Lanes, 8>,  attend_queries<Lanes, 9>,
        attend_queries<Lanes, 10>, attend_queries<Lanes, 11>, attend_queries<Lanes, 12>};
    by_queries[job.queries - 1](job);
  }
}

// As Attention merges its tiles.
template <class Lanes>
void merge_tiles(const AttentionJob& job) {
  for (std::uint32_t q = 0; q < job.queries; ++q) {
    alignas(64) float sums[max_head_size] = {};
    float largest = -__builtin_inff(), mass = 0.0f;
    for (std::uint32_t tile = 0; tile * attention_tile < job.visible[q]; ++tile) {
      const float* of = job.tile(tile, q);
      const float tile_largest = of[job.head_size];
      const float now_largest = largest > tile_largest ? largest : tile_largest;
      const float keep_old = factor<Lanes>(largest, now_largest);
      const float keep_new = factor<Lanes>(tile_largest, now_largest);
      mass = __builtin_fmaf(mass, keep_old, of[job.head_size + 1] * keep_new);
      largest = now_largest;
      for (std::uint32_t d = 0; d < job.head_size; d += 16) {
        const Lanes added = Lanes::load(of + d) * Lanes::set(keep_new);
        fma(Lanes::load(sums + d), Lanes::set(keep_old), added).store(sums + d);
      }
    }
    const Lanes total = Lanes::set(mass);
    for (std::uint32_t d = 0; d < job.head_size; d += 16) {
      (Lanes::load(sums + d) / total).store(job.out[q] + d);
    }
  }
}

template <class Lanes>
void store_kv(const float* k, const float* v, std::uint32_t head_size, std::uint32_t slot,
              std::uint16_t* kv) {
  std::uint16_t* values = kv + head_size * kv_block + slot * head_size;
  for (std::uint32_t d = 0; d < head_size; d += 16) {
    std::uint16_t key[16];
    Lanes::load(k + d).store_half(key);
    for (std::uint32_t i = 0; i < 16; ++i) kv[(d + i) * kv_block + slot] = key[i];
    Lanes::load(v + d).store_half(values + d);
  }
}

}  // namespace aorta::engine::cpu
