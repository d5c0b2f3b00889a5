#pragma once
// Set by the build (services/CMakeLists.txt).

namespace aorta::services {

extern const char* const version_number;
extern const char* const version_commit;

}  // namespace aorta::services
