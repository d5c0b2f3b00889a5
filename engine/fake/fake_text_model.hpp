#pragma once
// The text side of the fake model: an id is a byte, a conversation is lines of "role: content",
// which end with <think> when it thinks.
#include <memory>

#include "engine/engine.hpp"
#include "engine/text/text_model.hpp"

namespace aorta::engine {

// Vocabulary 256; context and stop id are those of `options`.
std::shared_ptr<const TextModel> make_fake_text_model(const FakeOptions& options);

}  // namespace aorta::engine
