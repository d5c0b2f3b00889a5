// `aorta model`: a model file examined or run without a mesh.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/model/model_tools.hpp"
#include "engine/text/text_model.hpp"
#include "services/commands.hpp"
#include "services/packing.hpp"

namespace aorta::services {
namespace {

struct ModelOptions {
  std::string file;
  std::string text_file;
  std::string text;
  std::vector<TokenId> ids;
  std::uint32_t top = 20;
  std::uint32_t window = 512;
  std::uint32_t threads = 1;
  std::string isa = "auto";
  bool json = false;
  bool again = false;
};

engine::ToolOptions tool_options(const ModelOptions& options) {
  return {.gguf_path = options.file,
          .pack_directory = pack_folder(Config{}),
          .threads = options.threads,
          .isa = options.isa};
}

Result<std::string> text_of(const ModelOptions& options) {
  if (options.text_file.empty()) return options.text;
  std::ifstream file(options.text_file, std::ios::binary);
  if (!file) {
    return Error{ErrorCode::not_found, fmt::format("cannot read {}", options.text_file)};
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<std::vector<TokenId>> tokenize(const ModelOptions& options) {
  auto text = text_of(options);
  if (!text) return text.error();
  auto model = engine::TextModel::open(options.file);
  if (!model) return model.error();
  return (*model)->encode(*text, true, false);
}

int inspect(const ModelOptions& options) {
  auto summary = engine::inspect_model(options.file);
  if (!summary) return report(summary.error());
  nlohmann::ordered_json json = {{"architecture", summary->architecture},
                                 {"name", summary->name},
                                 {"parameters", summary->parameters},
                                 {"file_bytes", summary->file_bytes},
                                 {"layers", summary->layers},
                                 {"hidden", summary->hidden},
                                 {"feed_forward", summary->feed_forward},
                                 {"heads", summary->heads},
                                 {"kv_heads", summary->kv_heads},
                                 {"head_size", summary->head_size},
                                 {"vocabulary", summary->vocabulary},
                                 {"context_tokens", summary->context_tokens},
                                 {"kv_bytes_per_token", summary->kv_bytes_per_token}};
  for (const auto& [type, parameters] : summary->tensor_types) {
    json["tensor_types"][type] = parameters;
  }
  for (const auto& [key, value] : summary->metadata) json["metadata"][key] = value;
  if (options.json) {
    fmt::print("{}\n", json.dump());
    return exit_done;
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object()) fmt::print("{:<20} {}\n", key, value.dump());
  }
  for (const auto& [key, value] : json["tensor_types"].items()) {
    fmt::print("{:<20} {} parameters\n", "tensors in " + key, value.dump());
  }
  for (const auto& [key, value] : summary->metadata) fmt::print("  {} = {}\n", key, value);
  return exit_done;
}

int print_tokens(const ModelOptions& options) {
  auto ids = tokenize(options);
  if (!ids) return report(ids.error());
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"ids", *ids}}.dump());
  } else {
    fmt::print("{}\n", fmt::join(*ids, " "));
  }
  return exit_done;
}

int print_logits(const ModelOptions& options) {
  auto logits = engine::model_logits(tool_options(options), options.ids);
  if (!logits) return report(logits.error());
  std::vector<TokenId> order(logits->size());
  std::iota(order.begin(), order.end(), 0);
  const auto top = std::min<std::size_t>(options.top, order.size());
  const auto larger = [&](TokenId a, TokenId b) {
    return (*logits)[a] != (*logits)[b] ? (*logits)[a] > (*logits)[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                    larger);
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 0; i < top; ++i) {
    const float logit = (*logits)[static_cast<std::size_t>(order[i])];
    if (options.json) {
      list.push_back({{"id", order[i]}, {"logit", logit}});
    } else {
      fmt::print("{:>8}  {:.5f}\n", order[i], logit);
    }
  }
  if (options.json) fmt::print("{}\n", nlohmann::json{{"top", list}}.dump());
  return exit_done;
}

int print_perplexity(const ModelOptions& options) {
  auto ids = tokenize(options);
  if (!ids) return report(ids.error());
  auto found = engine::model_perplexity(tool_options(options), *ids, options.window);
  if (!found) return report(found.error());
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"mean_nll", found->mean_nll},
                                      {"perplexity", std::exp(found->mean_nll)},
                                      {"tokens", found->tokens}}
                           .dump());
  } else {
    fmt::print("mean negative log-likelihood {:.5f} over {} tokens, perplexity {:.4f}\n",
               found->mean_nll, found->tokens, std::exp(found->mean_nll));
  }
  return exit_done;
}

int pack(const ModelOptions& options) {
  const auto packed = pack_with_bar(options.file, pack_folder(Config{}), options.again);
  if (!packed) return report(packed.error());
  std::error_code gone;
  const auto bytes = std::filesystem::file_size(packed->path, gone);
  if (options.json) {
    const nlohmann::json json{{"pack", packed->path}, {"made", packed->made}, {"bytes", bytes}};
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}\n", packed->path);
    fmt::print(stderr, "{}, {} MiB\n", packed->made ? "packed" : "was packed already", bytes >> 20);
  }
  return exit_done;
}

using Action = int (*)(const ModelOptions&);

CLI::App* add(CLI::App& parent, Run& run, const char* name, const char* description,
              std::shared_ptr<ModelOptions> options, Action action) {
  CLI::App* command = parent.add_subcommand(name, description);
  command
      ->add_option("FILE", options->file,
                   "GGUF file, or directory with config.json and safetensors")
      ->required();
  command->add_flag("--json", options->json, "For programs");
  command->callback(
      [&run, options, action] { run = [options, action] { return action(*options); }; });
  return command;
}

void add_text(CLI::App& command, ModelOptions& options) {
  auto* group = command.add_option_group("text");
  group->add_option("--text-file", options.text_file, "File with the text");
  group->add_option("--text", options.text, "The text itself");
  group->require_option(1);
}

void add_compute(CLI::App& command, ModelOptions& options) {
  command.add_option("--threads", options.threads, "Threads")->check(CLI::Range(1, 256));
  command.add_option("--isa", options.isa, "auto, scalar, avx2, avxvnni or avx512");
}

}  // namespace

void add_model_commands(CLI::App& app, Run& run) {
  CLI::App* parent = app.add_subcommand("model", "Examine, pack or run a model without a mesh");
  parent->require_subcommand(1);
  auto options = std::make_shared<ModelOptions>();
  add(*parent, run, "inspect", "Architecture, sizes, formats and metadata", options, inspect);

  options = std::make_shared<ModelOptions>();
  CLI::App* command =
      add(*parent, run, "pack",
          "Put the weights in the order that the kernels read, where executors find "
          "them; prints the path",
          options, pack);
  command->add_flag("--again", options->again, "Even if a good pack is there");

  options = std::make_shared<ModelOptions>();
  add_text(*add(*parent, run, "tokenize", "Text to token ids; special tokens are parsed", options,
                print_tokens),
           *options);

  options = std::make_shared<ModelOptions>();
  command =
      add(*parent, run, "logits", "The largest logits after some token ids", options, print_logits);
  command->add_option("--ids", options->ids, "Token ids: 1,2,3")->delimiter(',')->required();
  command->add_option("--top", options->top, "How many (default 20)");
  add_compute(*command, *options);

  options = std::make_shared<ModelOptions>();
  command = add(*parent, run, "perplexity", "Mean negative log-likelihood of a text", options,
                print_perplexity);
  add_text(*command, *options);
  command->add_option("--window", options->window,
                      "Tokens of each window (default 512); 0: the whole text at once");
  add_compute(*command, *options);
}

}  // namespace aorta::services
