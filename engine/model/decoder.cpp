#include "engine/model/decoder.hpp"

#include <cmath>
#include <cstring>

namespace aorta::engine {
namespace {

// A weight or a float array of the pack, put where it belongs.
Result<void> take(Result<Weight> from, Weight& to) {
  if (!from) return from.error();
  to = *from;
  return {};
}
Result<void> take(Result<const float*> from, const float*& to) {
  if (!from) return from.error();
  to = *from;
  return {};
}

bool plausible(const DecoderConfig& c) {
  return c.layers > 0 && c.hidden > 0 && c.feed_forward > 0 && c.heads > 0 && c.kv_heads > 0 &&
         c.heads % c.kv_heads == 0 && c.head_size > 0 && c.head_size % 16 == 0 &&
         c.head_size <= 256 && c.vocabulary > 0 && c.context_tokens > 0;
}

}  // namespace

Decoder::Decoder(std::shared_ptr<const Pack> pack, std::unique_ptr<Backend> backend,
                 const DecoderConfig& config)
    : pack_(std::move(pack)), backend_(std::move(backend)), config_(config) {}

Result<DecoderConfig> Decoder::config_of(const Pack& pack) {
  auto bytes = pack.bytes(decoder::config);
  if (!bytes) return bytes.error();
  DecoderConfig config = {};
  if (bytes->size() == sizeof(config)) std::memcpy(&config, bytes->data(), sizeof(config));
  if (plausible(config)) return config;
  return Error{ErrorCode::corrupt,
               "pack " + pack.path() + " holds no usable configuration of a decoder; delete it"};
}

Result<std::unique_ptr<Decoder>> Decoder::open(std::shared_ptr<const Pack> pack,
                                               std::unique_ptr<Backend> backend,
                                               std::uint32_t kv_blocks) {
  auto read = config_of(*pack);
  if (!read) return read.error();
  const DecoderConfig& config = *read;
  std::unique_ptr<Decoder> model(new Decoder(std::move(pack), std::move(backend), config));
  if (auto loaded = model->load(); !loaded) return loaded.error();
  const AttentionShape shape = {config.heads, config.kv_heads, config.head_size};
  auto reserved = model->backend_->reserve_kv(config.layers, kv_blocks, shape);
  if (!reserved) return reserved.error();
  return model;
}

Result<void> Decoder::load() {
  const DecoderConfig& c = config_;
  auto done = take(pack_->weight(decoder::embedding, c.vocabulary, c.hidden), embedding_);
  if (!done) return done;
  head_ = embedding_;
  if (!c.tied_head) {
    done = take(pack_->weight(decoder::output, c.vocabulary, c.hidden), head_);
    if (!done) return done;
  }
  done = take(pack_->floats(decoder::output_norm, 1, c.hidden), output_norm_);
  if (!done) return done;
  done = take(pack_->floats(decoder::rope, c.context_tokens, c.head_size), cos_sin_);
  if (!done) return done;
  for (std::uint32_t i = 0; i < c.layers; ++i) {
    auto layer = load_layer(i);
    if (!layer) return layer.error();
    layers_.push_back(*layer);
  }
  buffers_.stream = backend_->buffer(c.hidden);
  buffers_.last = backend_->buffer(c.hidden);
  buffers_.q = backend_->buffer(c.heads * c.head_size);
  buffers_.k = backend_->buffer(c.kv_heads * c.head_size);
  buffers_.v = backend_->buffer(c.kv_heads * c.head_size);
  buffers_.attended = backend_->buffer(c.heads * c.head_size);
  buffers_.gated = backend_->buffer(c.feed_forward);
  buffers_.logits = backend_->buffer(c.vocabulary);
  return {};
}

Result<Decoder::Layer> Decoder::load_layer(std::uint32_t index) const {
  const DecoderConfig& c = config_;
  const std::uint32_t q = c.heads * c.head_size, kv = c.kv_heads * c.head_size;
  Layer layer = {};
  const struct {
    const char* part;
    std::uint32_t rows, columns;
    Weight* to;
  } weights[] = {{"attn_q", q, c.hidden, &layer.q},
                 {"attn_k", kv, c.hidden, &layer.k},
                 {"attn_v", kv, c.hidden, &layer.v},
                 {"attn_output", c.hidden, q, &layer.attention_output},
                 {"ffn_gate", c.feed_forward, c.hidden, &layer.gate},
                 {"ffn_up", c.feed_forward, c.hidden, &layer.up},
                 {"ffn_down", c.hidden, c.feed_forward, &layer.down}};
  for (const auto& w : weights) {
    auto done = take(pack_->weight(decoder::layer(index, w.part), w.rows, w.columns), *w.to);
    if (!done) return done.error();
  }
  auto done =
      take(pack_->floats(decoder::layer(index, "attn_norm"), 1, c.hidden), layer.attention_norm);
  if (!done) return done.error();
  done =
      take(pack_->floats(decoder::layer(index, "ffn_norm"), 1, c.hidden), layer.feed_forward_norm);
  if (!done) return done.error();
  done = load_extras(index, layer);
  if (!done) return done.error();
  return layer;
}

Result<void> Decoder::load_extras(std::uint32_t index, Layer& layer) const {
  const DecoderConfig& c = config_;
  const std::uint32_t q = c.heads * c.head_size, kv = c.kv_heads * c.head_size;
  const struct {
    std::uint32_t present;
    const char *part, *kind;
    std::uint32_t size;
    const float** to;
  } vectors[] = {{c.qkv_bias, "attn_q", "bias", q, &layer.q_bias},
                 {c.qkv_bias, "attn_k", "bias", kv, &layer.k_bias},
                 {c.qkv_bias, "attn_v", "bias", kv, &layer.v_bias},
                 {c.qk_norm, "attn_q_norm", "weight", c.head_size, &layer.q_norm},
                 {c.qk_norm, "attn_k_norm", "weight", c.head_size, &layer.k_norm}};
  for (const auto& v : vectors) {
    if (!v.present) continue;
    auto done = take(pack_->floats(decoder::layer(index, v.part, v.kind), 1, v.size), *v.to);
    if (!done) return done;
  }
  return {};
}

void Decoder::attend(std::uint32_t index, std::uint32_t rows, std::span<const RowSpan> spans) {
  const Layer& layer = layers_[index];
  const Buffers& b = buffers_;
  const Backend::Product inputs[] = {
      {&layer.q, b.q, layer.q_bias}, {&layer.k, b.k, layer.k_bias}, {&layer.v, b.v, layer.v_bias}};
  backend_->matmul({b.stream, rows, layer.attention_norm, config_.epsilon}, inputs);
  if (layer.q_norm != nullptr) {
    const std::uint32_t size = config_.head_size;
    backend_->rms_norm(b.q, layer.q_norm, rows * config_.heads, size, config_.epsilon, b.q);
    backend_->rms_norm(b.k, layer.k_norm, rows * config_.kv_heads, size, config_.epsilon, b.k);
  }
  backend_->rope_and_store(index, cos_sin_, spans, b.q, b.k, b.v);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.head_size));
  const Backend::Form form = backend_->form_for(layer.attention_output, config_.head_size);
  backend_->attention(index, scale, spans, b.q, b.attended, form);
  if (index + 1 < config_.layers) backend_->fetch_kv(index + 1, spans);
  const Backend::Product output[] = {{&layer.attention_output, b.stream, nullptr, true}};
  backend_->matmul({b.attended, rows, nullptr, 0.0f, form}, output);
}

void Decoder::feed_forward(const Layer& layer, std::uint32_t rows) {
  const Buffers& b = buffers_;
  const Backend::Form form = backend_->form_for(layer.down, config_.feed_forward);
  backend_->gated_matmul({b.stream, rows, layer.feed_forward_norm, config_.epsilon}, layer.gate,
                         layer.up, b.gated, form);
  const Backend::Product output[] = {{&layer.down, b.stream, nullptr, true}};
  backend_->matmul({b.gated, rows, nullptr, 0.0f, form}, output);
}

std::span<const float> Decoder::forward(std::span<const TokenId> ids,
                                        std::span<const RowSpan> spans,
                                        std::span<const std::uint32_t> wanted) {
  const Buffers& b = buffers_;
  const auto rows = static_cast<std::uint32_t>(ids.size());
  backend_->embed(embedding_, ids, b.stream);
  for (std::uint32_t i = 0; i < config_.layers; ++i) {
    attend(i, rows, spans);
    feed_forward(layers_[i], rows);
  }
  if (wanted.empty()) return {};
  const auto last_rows = static_cast<std::uint32_t>(wanted.size());
  backend_->gather(b.stream, wanted, config_.hidden, b.last);
  const Backend::Product logits[] = {{&head_, b.logits}};
  backend_->matmul({b.last, last_rows, output_norm_, config_.epsilon}, logits);
  return backend_->read(b.logits, wanted.size() * config_.vocabulary);
}

}  // namespace aorta::engine
