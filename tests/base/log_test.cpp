// What a line of the log says: one event a line, whatever the values hold.
#include "base/log.hpp"

#include <gtest/gtest.h>

namespace aorta::log {
namespace {

TEST(Log, TextKeepsAnEventOnALine) {
  EXPECT_EQ(format_text("placed", {{"executor", "executor-1"}, {"slots", 3u}, {"ok", true}}),
            "placed executor=executor-1 slots=3 ok=true");
  EXPECT_EQ(format_text("two\nlines", {{"reason", "a \"b\"\nc"}}),
            "two lines reason=\"a \\\"b\\\"\\u000ac\"");
  EXPECT_EQ(format_text("empty", {{"name", ""}}), "empty name=\"\"");
}

TEST(Log, JsonQuotesTextAndLeavesNumbers) {
  EXPECT_EQ(format_json("it \"died\"", {{"pid", 7}, {"cause", "SIGKILL"}, {"counted", false}}),
            "\"message\":\"it \\\"died\\\"\",\"pid\":7,\"cause\":\"SIGKILL\",\"counted\":false");
}

TEST(Log, RequestIdsAreHex) {
  EXPECT_EQ(format_text("accepted", {{"request_id", RequestId{1, 2}}}),
            "accepted request_id=00000000000000010000000000000002");
}

TEST(Log, LevelsHaveNames) {
  EXPECT_EQ(*parse_level("warning"), Level::warning);
  EXPECT_FALSE(parse_level("loud").ok());
}

}  // namespace
}  // namespace aorta::log
