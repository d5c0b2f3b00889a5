// The HTTP front under TLS, against a client on the same loop; and files that are no certificate.
#include <gtest/gtest.h>

#include "tests/actors/fronts/http_client.hpp"
#include "tests/actors/fronts/scripted_port.hpp"
#include "tests/mesh/temp_dir.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/ssl/stream.hpp>
#include <fstream>

#include "actors/fronts/http_front.hpp"

namespace aorta::fronts {
namespace {

namespace ssl = boost::asio::ssl;
using tcp = boost::asio::ip::tcp;
using boost::system::error_code;

// A self-signed certificate and its key, as PEM files.
void write_certificate(const std::string& certificate, const std::string& key) {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* signed_by_itself = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(signed_by_itself), 0);
  X509_gmtime_adj(X509_getm_notAfter(signed_by_itself), 3600);
  X509_set_pubkey(signed_by_itself, pair);
  X509_sign(signed_by_itself, pair, EVP_sha256());
  FILE* file = std::fopen(certificate.c_str(), "w");
  PEM_write_X509(file, signed_by_itself);
  std::fclose(file);
  file = std::fopen(key.c_str(), "w");
  PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(signed_by_itself);
  EVP_PKEY_free(pair);
}

// Shakes hands, sends, and keeps what comes back.
class TlsClient {
 public:
  TlsClient(boost::asio::io_context& io, std::uint16_t port) : io_(io), stream_(io, context_) {
    stream_.next_layer().connect({boost::asio::ip::address_v4::loopback(), port});
  }
  ~TlsClient() {
    error_code ignored;
    stream_.next_layer().close(ignored);
    io_.restart();
    io_.poll();  // handlers that were cancelled name this
  }
  void send(const std::string& bytes) {
    stream_.async_handshake(ssl::stream_base::client, [this, bytes](error_code error) {
      if (error) return;
      boost::asio::async_write(stream_, boost::asio::buffer(bytes_ = bytes),
                               [](error_code, std::size_t) {});
      read();
    });
  }
  // Says that it sends no more, and leaves.
  void leave() {
    stream_.next_layer().cancel();  // Asio's shutdown would wait for the read
    boost::asio::post(io_, [this] { stream_.async_shutdown([](error_code) {}); });
  }
  bool has(const std::string& text) const { return received.find(text) != received.npos; }
  std::string received;
  bool ended = false;

 private:
  void read() {
    stream_.async_read_some(boost::asio::buffer(buffer_), [this](error_code error, std::size_t n) {
      if (error == boost::asio::error::operation_aborted) return;
      ended = static_cast<bool>(error);
      if (error) return;
      received.append(buffer_.data(), n);
      read();
    });
  }
  boost::asio::io_context& io_;
  ssl::context context_{ssl::context::tls_client};
  ssl::stream<tcp::socket> stream_;
  std::array<char, 16384> buffer_;
  std::string bytes_;
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    write_certificate(folder.file("c.pem"), folder.file("k.pem"));
    auto tls = TlsContext::load(folder.file("c.pem"), folder.file("k.pem"));
    EXPECT_TRUE(tls.ok());
    HttpOptions options;
    options.port = 0;
    options.max_connections = 1;
    front.emplace(io, port, options);
    front->use_tls(*tls);
    front->start(ConnectionId{1000});
  }

  TempDir folder;
  boost::asio::io_context io;
  ScriptedPort port;
  std::optional<HttpFront> front;
};

TEST_F(TlsTest, RequestsAreAnsweredOneAfterAnother) {
  TlsClient client(io, front->port());
  client.send(get("/health") + get("/health") + get("/health", "Connection: close\r\n"));
  run_until(io, [&] { return client.ended; });
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK"));
  std::size_t answers = 0;
  for (std::size_t at = 0;
       (at = client.received.find(R"({"status":"ok"})", at)) != std::string::npos; ++at) {
    ++answers;
  }
  EXPECT_EQ(answers, 3u);
}

TEST_F(TlsTest, ALongAnswerComesWhole) {
  port.on_generate = [this](const ScriptedPort::Generate& asked) {
    ScriptedPort::answer(*front, asked.connection, asked.request.id,
                         {std::string(3 << 20, 'x'), "end"});
  };
  TlsClient client(io, front->port());
  client.send(post("/v1/completions", R"({"prompt":"Why?"})", "Connection: close\r\n"));
  run_until(io, [&] { return client.ended; });
  EXPECT_GT(client.received.size(), std::size_t{3 << 20});
  EXPECT_TRUE(client.has("xend"));
}

TEST_F(TlsTest, AClientThatLeavesIsNoticed) {
  TlsClient client(io, front->port());
  client.send(post("/v1/completions", R"({"prompt":"Why?"})"));
  run_until(io, [&] { return port.generated.size() == 1; });
  client.leave();
  run_until(io, [&] { return port.gone_connections.size() == 1; });
}

TEST_F(TlsTest, OneTooManyIsToldSoUnderTls) {
  TlsClient first(io, front->port()), second(io, front->port());
  first.send(get("/health"));
  run_until(io, [&] { return first.has("200 OK"); });
  second.send(get("/health"));
  run_until(io, [&] { return second.ended; });
  EXPECT_TRUE(second.received.starts_with("HTTP/1.1 503"));
}

TEST_F(TlsTest, PlainHttpIsToldSo) {
  HttpClient client(io, front->port());
  client.send(get("/health"));
  run_until(io, [&] { return client.ended; });
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(client.has("https_required"));
}

TEST(TlsContext, FilesThatAreNoneAreNamed) {
  TempDir folder;
  const std::string good = folder.file("c.pem"), key = folder.file("k.pem"),
                    other = folder.file("other.pem"), junk = folder.file("junk");
  write_certificate(good, key);
  write_certificate(folder.file("unused.pem"), other);
  std::ofstream(junk) << "junk";
  const auto error_of = [](const std::string& certificate, const std::string& key) {
    const auto loaded = TlsContext::load(certificate, key);
    return loaded ? "" : loaded.error().message;
  };
  EXPECT_EQ(error_of(good, key), "");
  EXPECT_EQ(error_of(folder.file("none"), key),
            "http.tls_certificate is " + folder.file("none") + ": the file cannot be read");
  EXPECT_NE(error_of(junk, key).find("no certificate in PEM"), std::string::npos);
  EXPECT_NE(error_of(good, junk).find("no private key in PEM"), std::string::npos);
  EXPECT_NE(error_of(good, other).find("belongs to"), std::string::npos);
}

}  // namespace
}  // namespace aorta::fronts
