// The most that these cores can multiply, from registers: the other side of the roofline beside
// the read bandwidth. One JSON object, in multiply-adds a second of all threads together: int8
// products summed into int32, and float32 fma, with the best instructions that the CPU has.
//
//   peak_bench [threads=2]
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/cpu/isa.hpp"
#include "engine/cpu/thread_pool.hpp"

namespace {

using namespace aorta::engine::cpu;

constexpr int kLoops = 1 << 22;
constexpr int kChains = 10;  // independent sums: more than latency times ports

// Each op is one instruction (two for int8 on AVX2) on a chain of its own, kept by asm from being
// hoisted, merged or replaced.
__attribute__((target("avx512f,avx512vnni"))) void dots_avx512() {
  __m512i sums[kChains] = {}, codes = _mm512_set1_epi8(1);
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 10
    for (__m512i& sum : sums) asm volatile("vpdpbusd %1, %1, %0" : "+v"(sum) : "v"(codes));
  }
}

__attribute__((target("avx512f"))) void floats_avx512() {
  __m512 sums[kChains] = {}, factors = _mm512_set1_ps(0);
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 10
    for (__m512& sum : sums) asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(factors));
  }
}

__attribute__((target("avx2,fma"))) void floats_avx2() {
  __m256 sums[kChains] = {}, factors = _mm256_set1_ps(0);
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 10
    for (__m256& sum : sums) asm volatile("vfmadd231ps %1, %1, %0" : "+x"(sum) : "x"(factors));
  }
}

__attribute__((target("avx2"))) void dots_avx2() {
  __m256i sums[kChains] = {}, codes = _mm256_set1_epi8(1), product;
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 10
    for (__m256i& sum : sums) {
      asm volatile("vpmaddubsw %2, %2, %1\n\tvpaddw %1, %0, %0"
                   : "+x"(sum), "=&x"(product)
                   : "x"(codes));
    }
  }
}

__attribute__((target("avx2"))) void dots_avxvnni() {
  __m256i sums[kChains] = {}, codes = _mm256_set1_epi8(1);
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 10
    for (__m256i& sum : sums) asm volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(sum) : "x"(codes));
  }
}

double per_second(std::uint32_t threads, int lanes, void (*work)()) {
  ThreadPool pool(threads);
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    pool.run([&](std::uint32_t) { work(); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  return static_cast<double>(lanes) * kLoops * kChains * threads / best;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t threads = 2;
  if (argc > 1) {
    const std::string word = argv[1];
    if (!word.starts_with("threads=")) {
      std::fprintf(stderr, "peak_bench [threads=N]\n");
      return 2;
    }
    threads = static_cast<std::uint32_t>(std::stoul(word.substr(8)));
  }
  const std::vector<std::string> isas = available_isas();
  const auto has = [&](const char* isa) {
    return std::find(isas.begin(), isas.end(), isa) != isas.end();
  };
  if (!has("avx2")) {
    std::fprintf(stderr, "peak_bench: not run, this CPU has no AVX2\n");
    return 3;
  }
  double int8 = 0, floats = 0;
  if (has("avx512")) {
    int8 = per_second(threads, 64, dots_avx512);
    floats = per_second(threads, 16, floats_avx512);
  } else {
    int8 = per_second(threads, 32, has("avxvnni") ? dots_avxvnni : dots_avx2);
    floats = per_second(threads, 8, floats_avx2);
  }
  std::printf(
      "{\"mode\": \"peak\", \"threads\": %u, \"isa\": \"%s\", \"int8_macs_per_s\": %.4g, "
      "\"float_macs_per_s\": %.4g}\n",
      threads, isas.front().c_str(), int8, floats);
}
