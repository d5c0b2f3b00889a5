#pragma once
// What a front draws for a request that brings none: its id and its seed.
#include "actors/admission/client.hpp"

namespace aorta::fronts {

RequestId draw_request_id();  // 128 bits from the kernel: knowing an id is half of owning it

// Sets the id, of which the tenant is known; and the seed, if none was given: from the idempotency key, so that a retry that
// reaches another admission gives the same answer, else at random.
void draw_identity(admission::GenerateRequest& request);

}  // namespace aorta::fronts
