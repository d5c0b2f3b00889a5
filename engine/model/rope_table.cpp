#include "engine/model/rope_table.hpp"

#include <cmath>
#include <numbers>

#include "engine/model/architectures/architecture.hpp"
#include "engine/model/gguf_reader.hpp"

namespace aorta::engine {
namespace {

class Scaling {
 public:
  explicit Scaling(const ModelSource& source)
      : source_(source), type_(source.get_string(key("rope.scaling.type")).value_or("none")) {}

  // Turns frequencies[i], base^(-2i/size), into the scaled ones.
  Result<void> apply(std::vector<double>& frequencies) const {
    if (type_ == "none" || type_ == "default") return {};
    if (type_ == "linear") return stretch_all(frequencies);
    if (type_ == "llama3") return stretch_long(frequencies);
    return Error{ErrorCode::unsupported,
                 source_.path() + ": " + source_.given_name(key("rope.scaling.type")) + " '" +
                     printable(type_) + "' is not one of: none, linear, llama3"};
  }

 private:
  std::string key(std::string_view name) const { return architecture_key(source_, name); }

  Result<double> positive(std::string_view name, double otherwise, double limit) const {
    const double value = source_.get_float(key(name)).value_or(otherwise);
    if (value > 0.0 && value < limit) return value;
    return Error{ErrorCode::corrupt, source_.path() + ": " + source_.given_name(key(name)) +
                                         " is missing or not positive"};
  }

  Result<void> stretch_all(std::vector<double>& frequencies) const {
    auto factor = positive("rope.scaling.factor", 1.0, 1e6);
    if (!factor) return factor.error();
    for (double& frequency : frequencies) frequency /= *factor;
    return {};
  }

  // Llama 3.1's: wavelengths beyond the original context by the factor, short ones not at all,
  // between the two smoothly.
  Result<void> stretch_long(std::vector<double>& frequencies) const {
    auto factor = positive("rope.scaling.factor", 0.0, 1e6);
    if (!factor) return factor.error();
    auto low = positive("rope.scaling.low_freq_factor", 0.0, 1e6);
    if (!low) return low.error();
    auto high = positive("rope.scaling.high_freq_factor", 0.0, 1e6);
    if (!high) return high.error();
    auto original = positive("rope.scaling.original_context_length", 0.0, 1e9);
    if (!original) return original.error();
    if (*high <= *low) {
      return Error{ErrorCode::corrupt,
                   source_.path() + ": " +
                       source_.given_name(key("rope.scaling.high_freq_factor")) + " is not above " +
                       source_.given_name(key("rope.scaling.low_freq_factor"))};
    }
    for (double& frequency : frequencies) {
      const double turns = *original * frequency / (2.0 * std::numbers::pi);  // in that context
      if (turns >= *high) continue;
      const double smooth = turns <= *low ? 0.0 : (turns - *low) / (*high - *low);
      frequency = (1.0 - smooth) * frequency / *factor + smooth * frequency;
    }
    return {};
  }

  const ModelSource& source_;
  const std::string_view type_;
};

}  // namespace

Result<std::vector<double>> rope_frequencies(const ModelSource& source, const DecoderConfig& config,
                                             const std::vector<float>& factors) {
  const std::string base_key = architecture_key(source, "rope.freq_base");
  const double base = source.get_float(base_key).value_or(10000.0);
  if (!(base > 0.0 && base < 1e12)) {
    return Error{ErrorCode::corrupt,
                 source.path() + ": " + source.given_name(base_key) + " is not a positive number"};
  }
  const std::uint32_t half = config.head_size / 2;
  std::vector<double> frequencies(half);
  for (std::uint32_t i = 0; i < half; ++i) {
    frequencies[i] = std::pow(base, -2.0 * i / config.head_size);
    if (!factors.empty()) frequencies[i] /= factors[i];
  }
  if (auto scaled = Scaling(source).apply(frequencies); !scaled) return scaled.error();
  return frequencies;
}

// Kept in the pack: no machine's libm is in the model's path.
std::vector<float> rope_table(const std::vector<double>& frequencies, std::uint32_t positions) {
  std::vector<float> cos_sin;
  cos_sin.reserve(std::size_t{positions} * frequencies.size() * 2);
  for (std::uint32_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      cos_sin.push_back(static_cast<float>(std::cos(position * frequency)));
      cos_sin.push_back(static_cast<float>(std::sin(position * frequency)));
    }
  }
  return cos_sin;
}

}  // namespace aorta::engine
