#pragma once
// Packing a model while somebody looks on.
#include <string>

#include "base/result.hpp"

namespace aorta::services {

bool is_looked_on();  // stderr is a terminal

struct Packed {
  std::string path;
  bool made = false;  // now; else it was there
};

// As engine::pack_model, with a bar on stderr while it works, where somebody looks on.
Result<Packed> pack_with_bar(const std::string& model_path, const std::string& folder,
                             bool again = false);

}  // namespace aorta::services
