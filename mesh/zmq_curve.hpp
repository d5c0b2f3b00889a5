#pragma once
// CURVE's keys, as libzmq makes and takes them: 40 characters of Z85 each.
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::mesh {

struct CurvePair {
  std::string public_key, secret_key;
};

// How a socket that binds under CURVE decides who may connect: mesh/zmq_zap.hpp.
struct CurveServer {
  std::string secret_key;
  std::string domain;  // who decides
};

struct CurveClient {
  CurvePair own;
  std::string server_key;  // public: nobody else can answer
};

// Before the socket binds or connects; its keys are well-formed.
void use_curve(void* zmq_socket, const CurveServer& curve);
void use_curve(void* zmq_socket, const CurveClient& curve);

CurvePair draw_curve_pair();
// The pair of that secret; errors: invalid_argument, when it is no key.
Result<CurvePair> pair_of_secret(const std::string& secret_key);
bool is_curve_key(std::string_view text);
// The 32 bytes that a handshake shows, as text.
std::string curve_key_of(std::string_view bytes);

}  // namespace aorta::mesh
