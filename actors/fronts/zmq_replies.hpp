#pragma once
// What ZeroMQ clients are told, as a verb and a map.
#include <nlohmann/json.hpp>
#include <string>

#include "actors/admission/client.hpp"
#include "actors/fronts/api_error.hpp"
#include "actors/fronts/text_api.hpp"

namespace aorta::fronts {

struct ZmqReply {
  const char* verb;
  nlohmann::json body;
};

ZmqReply reply_of(const admission::ClientEvent& event);
ZmqReply rejected(const ApiError& error);   // a request that is not taken
ZmqReply unreadable(std::string sentence);  // a message that is none
ZmqReply models_reply(const admission::Readiness& readiness);
ZmqReply text_reply(const char* verb, TextAnswer answer);
ZmqReply status_reply(const admission::Readiness& readiness);

}  // namespace aorta::fronts
