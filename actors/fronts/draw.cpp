#include "actors/fronts/draw.hpp"

#include <sys/random.h>

#include "base/request_owner.hpp"
#include "base/result.hpp"

namespace aorta::fronts {

RequestId draw_request_id() {
  RequestId id;
  // Up to 256 bytes are never cut short once the kernel's pool is ready.
  const ssize_t got = getrandom(&id, sizeof id, 0);
  AORTA_CHECK(got == sizeof id, "the kernel gave no random bytes");
  return id;
}

void draw_identity(admission::GenerateRequest& request) {
  request.id = owned_id(draw_request_id(), request.tenant);
  if (request.seed_given) return;
  request.sampling.seed = request.idempotency_key.empty()
                              ? draw_request_id().low
                              : stable_hash(request.idempotency_key, stable_hash(request.tenant));
}

}  // namespace aorta::fronts
