#include "mesh/zmq_curve.hpp"

#include <zmq.h>

#include <array>

namespace aorta::mesh {
namespace {

constexpr std::size_t key_bytes = 32, key_characters = 40;
using KeyText = std::array<char, key_characters + 1>;

void set_text(void* socket, int option, const std::string& text) {
  AORTA_CHECK(zmq_setsockopt(socket, option, text.data(), text.size()) == 0,
              "a CURVE key was checked where it was read");
}

}  // namespace

void use_curve(void* zmq_socket, const CurveServer& curve) {
  const int yes = 1;
  zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVER, &yes, sizeof yes);
  set_text(zmq_socket, ZMQ_CURVE_SECRETKEY, curve.secret_key);
  set_text(zmq_socket, ZMQ_ZAP_DOMAIN, curve.domain);
}

void use_curve(void* zmq_socket, const CurveClient& curve) {
  set_text(zmq_socket, ZMQ_CURVE_SERVERKEY, curve.server_key);
  set_text(zmq_socket, ZMQ_CURVE_PUBLICKEY, curve.own.public_key);
  set_text(zmq_socket, ZMQ_CURVE_SECRETKEY, curve.own.secret_key);
}

CurvePair draw_curve_pair() {
  KeyText public_key, secret_key;
  AORTA_CHECK(zmq_curve_keypair(public_key.data(), secret_key.data()) == 0,
              "libzmq was built without CURVE");
  return {public_key.data(), secret_key.data()};
}

Result<CurvePair> pair_of_secret(const std::string& secret_key) {
  KeyText public_key;
  if (!is_curve_key(secret_key) || zmq_curve_public(public_key.data(), secret_key.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument, "a CURVE key has 40 characters of Z85"};
  }
  return CurvePair{public_key.data(), secret_key};
}

bool is_curve_key(std::string_view text) {
  std::array<std::uint8_t, key_bytes> bytes;
  return text.size() == key_characters && text.find('\0') == text.npos &&
         zmq_z85_decode(bytes.data(), std::string(text).c_str()) != nullptr;
}

std::string curve_key_of(std::string_view bytes) {
  if (bytes.size() != key_bytes) return {};
  KeyText text;
  zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), key_bytes);
  return text.data();
}

}  // namespace aorta::mesh
