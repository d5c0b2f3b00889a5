#pragma once
// Which web pages of other origins may call: none, unless the settings name them (the Fetch
// standard's CORS protocol).
#include <string>
#include <string_view>
#include <vector>

#include "actors/fronts/http_message.hpp"

namespace aorta::fronts {

class Cors {
 public:
  // Origins with commas between them; "*": any; empty: none.
  explicit Cors(std::string_view origins);

  // What lets the page that asks read the answer; nothing for a page that is not named.
  void allow(const HttpRequest& request, HttpHeaders& headers) const;
  // The same for the question that browsers ask first, by OPTIONS. `methods`: of the path.
  void allow_preflight(const HttpRequest& request, std::string_view methods,
                       HttpHeaders& headers) const;

 private:
  bool allows(std::string_view origin) const;
  std::vector<std::string> origins_;
};

}  // namespace aorta::fronts
