// Asks a question and prints the answer as it comes: example [ADDRESS]
#include <aorta/client.hpp>
#include <iostream>

int main(int argc, char** argv) {
  try {
    aorta::client::Client client(argc > 1 ? argv[1] : "tcp://127.0.0.1:8081");
    auto stream =
        client.generate(aorta::client::Request("Why is the sky blue?").set("max_tokens", 60));
    for (const auto& piece : stream) std::cout << piece.text << std::flush;
    std::cout << "\n[" << stream.result()->finish_reason << "]\n";
  } catch (const aorta::client::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
