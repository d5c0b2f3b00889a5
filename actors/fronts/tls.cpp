#include "actors/fronts/tls.hpp"

#include <utility>  // before Asio, for g++ 12 and C++20

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <fstream>

namespace aorta::fronts {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

// In the wire form of ALPN: a length, then the name.
constexpr unsigned char http_1_1[] = "\x08http/1.1";

// A client that speaks other protocols only is told so (RFC 7301); one without ALPN speaks ours.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned int offered_length, void*) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_length, http_1_1, sizeof http_1_1 - 1,
                                          offered, offered_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Error unusable(const char* setting, const std::string& path, const std::string& why) {
  return {ErrorCode::invalid_argument, fmt::format("{} is {}: {}", setting, path, why)};
}

Result<void> check_readable(const char* setting, const std::string& path) {
  if (std::ifstream(path).good()) return {};
  return unusable(setting, path, "the file cannot be read");
}

}  // namespace

struct TlsContext::Impl {
  ssl::context context{ssl::context::tls_server};
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;
ssl_ctx_st* TlsContext::handle() const { return impl_->context.native_handle(); }

Result<std::shared_ptr<TlsContext>> TlsContext::load(const std::string& certificate,
                                                     const std::string& key) {
  constexpr const char* certificate_setting = "http.tls_certificate";
  constexpr const char* key_setting = "http.tls_key";
  if (auto there = check_readable(certificate_setting, certificate); !there) return there.error();
  if (auto there = check_readable(key_setting, key); !there) return there.error();
  auto impl = std::make_unique<Impl>();
  error_code error;
  impl->context.use_certificate_chain_file(certificate, error);
  if (error) return unusable(certificate_setting, certificate, "it holds no certificate in PEM");
  impl->context.use_private_key_file(key, ssl::context::pem, error);
  SSL_CTX* context = impl->context.native_handle();
  if (error || SSL_CTX_check_private_key(context) != 1) {
    return unusable(key_setting, key,
                    fmt::format("it holds no private key in PEM that belongs to {}", certificate));
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A write may be cut short and repeated from another address, as a socket's may.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

}  // namespace aorta::fronts
