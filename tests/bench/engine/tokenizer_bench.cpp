// How fast text becomes ids and ids become text again, on one thread: JSON of medians and extremes
// over rounds, in MB/s of processor time. tokenizer_bench MODEL.gguf TEXT.txt [rounds]
// tokenizer_peer.py does the same with Hugging Face's tokenizers, and runs both in turns.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/model/gguf.hpp"
#include "engine/text/text_model.hpp"
#include "engine/text/tokenizer.hpp"

namespace aorta::engine {
namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Work>
std::vector<double> seconds_of(int rounds, Work work) {
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    const double begin = thread_seconds();
    work();
    seconds.push_back(thread_seconds() - begin);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

void print(const char* name, double amount, const std::vector<double>& seconds) {
  std::printf(", \"%s\": {\"median\": %.3g, \"min\": %.3g, \"max\": %.3g}", name,
              amount / seconds[seconds.size() / 2], amount / seconds.back(),
              amount / seconds.front());
}

// In pieces as prompts come: a cache that lives longer than one shows.
std::vector<std::string> prompts_of(const std::string& text) {
  constexpr std::size_t prompt_bytes = 8 << 10;
  std::vector<std::string> prompts;
  for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
    end = std::min(at + prompt_bytes, text.size());
    while (end < text.size() && (text[end] & 0xC0) == 0x80) --end;  // not within a character
    prompts.push_back(text.substr(at, end - at));
  }
  return prompts;
}

int run(const char* model_path, const char* text_path, int rounds) {
  std::ifstream in(text_path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto file = GgufFile::open(model_path);
  if (!file || text.empty()) return 1;
  const std::vector<std::string> prompts = prompts_of(text);
  const double megabytes = static_cast<double>(text.size()) * 1e-6;
  std::vector<TokenId> ids;
  std::printf("{\"bytes\": %zu", text.size());
  for (const std::size_t cached : {1 << 14, 0}) {
    const auto tokenizer = Tokenizer::read(**file, cached);
    if (!tokenizer) return 1;
    const auto encode = [&] {
      ids.clear();
      for (const std::string& prompt : prompts) {
        const auto more = (*tokenizer)->encode(prompt, true, false);
        ids.insert(ids.end(), more.begin(), more.end());
      }
    };
    print(cached > 0 ? "encode MB/s" : "encode MB/s, no cache", megabytes,
          seconds_of(rounds, encode));
  }
  std::printf(", \"ids\": %zu, \"distinct ids\": %zu", ids.size(),
              std::set<TokenId>(ids.begin(), ids.end()).size());
  const auto model = TextModel::open(model_path);
  if (!model) return 1;
  for (const std::size_t length : {ids.size() / 16, ids.size()}) {  // a longer text is no slower
    std::size_t bytes = 0;
    const auto seconds = seconds_of(rounds, [&] {
      TextStream stream(*model, {"\n\nHuman:", "<stop>"});
      for (std::size_t i = 0; i < length; ++i) stream.append(ids[i]);
      stream.finish();
      bytes = stream.text().size();
    });
    print(length == ids.size() ? "detokenise M ids/s" : "detokenise M ids/s, a 16th",
          static_cast<double>(length) * 1e-6, seconds);
  }
  std::printf("}\n");
  return 0;
}

}  // namespace
}  // namespace aorta::engine

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer_bench MODEL.gguf TEXT.txt [rounds]\n");
    return 2;
  }
  return aorta::engine::run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 9);
}
