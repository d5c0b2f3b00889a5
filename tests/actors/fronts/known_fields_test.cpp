// The table of fields against the parser that reads them, and the manual that shows them.
#include "actors/fronts/known_fields.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "actors/fronts/request_parser.hpp"

namespace aorta::fronts {
namespace {

using nlohmann::json;

std::variant<ParsedRequest, ApiError> parse(const KnownField& field, const json& value) {
  const bool chat = field.where != Where::completion;
  json body = chat ? json{{"messages", {{{"role", "user"}, {"content", "Why?"}}}}}
                   : json{{"prompt", "Once"}};
  body[std::string(field.name)] = value;
  return parse_request(body, chat ? Endpoint::chat : Endpoint::completion, {});
}

TEST(KnownFields, EachHonouredOneIsRead) {
  const json nonsense = {{{"neither", "a word"}, {"nor", "a number"}}};
  for (const KnownField& field : known_fields()) {
    if (field.fate != Fate::honoured) continue;
    const auto parsed = parse(field, nonsense);
    const auto* error = std::get_if<ApiError>(&parsed);
    ASSERT_NE(error, nullptr) << field.name;
    EXPECT_TRUE(error->param.starts_with(field.name)) << field.name << ": " << error->param;
  }
}

TEST(KnownFields, TheOthersAreTakenOrRefusedAsTheTableSays) {
  for (const KnownField& field : known_fields()) {
    if (field.fate == Fate::honoured) continue;
    std::vector<json> taken = field.defaults;
    taken.insert(taken.end(), {nullptr, "", json::array(), json::object()});
    for (const json& value : taken) {
      const auto parsed = parse(field, value);
      ASSERT_TRUE(std::holds_alternative<ParsedRequest>(parsed)) << field.name << value;
      EXPECT_TRUE(std::get<ParsedRequest>(parsed).ignored.empty()) << field.name;
    }
    const auto parsed = parse(field, "something else");
    EXPECT_EQ(std::holds_alternative<ApiError>(parsed), field.fate == Fate::refused) << field.name;
  }
}

TEST(KnownFields, TheManualShowsThemAll) {
  std::ifstream file(AORTA_SOURCE_DIR "/docs/protocol.md");
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  for (const KnownField& field : known_fields()) {
    EXPECT_NE(manual.find("`" + std::string(field.name) + "`"), std::string::npos) << field.name;
  }
}

}  // namespace
}  // namespace aorta::fronts
