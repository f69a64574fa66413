#include "base/build_info.h"

#ifndef NB_VERSION
#define NB_VERSION "development"
#endif
#ifndef NB_REVISION
#define NB_REVISION "unknown"
#endif

namespace nb {
std::string_view build_version() {
  return NB_VERSION;
}
std::string_view build_revision() {
  return NB_REVISION;
}
}  // namespace nb
