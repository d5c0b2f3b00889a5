#pragma once
// The TLS side of the HTTP front: its certificate, and what is spoken under it.
#include <memory>
#include <string>

#include "base/result.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace aorta::fronts {

// Immutable: a reload makes another, and connections keep the one that they began with.
class TlsContext {
 public:
  // From PEM files: the certificate with those above it, and its private key. TLS 1.2 and 1.3,
  // HTTP/1.1 by ALPN. The error names the file and says what is wrong with it.
  static Result<std::shared_ptr<TlsContext>> load(const std::string& certificate,
                                                  const std::string& key);
  ~TlsContext();
  ssl_ctx_st* handle() const;

 private:
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aorta::fronts
