# Writes OUTPUT with VERSION and the commit of SOURCE, unless it says so already.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT
"#include \"services/version.hpp\"

namespace aorta::services {
const char* const version_number = \"${VERSION}\";
const char* const version_commit = \"${commit}\";
}  // namespace aorta::services
")
