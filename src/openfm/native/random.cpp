#include <nanobind/nanobind.h>

namespace openfm {
void register_random(nanobind::module_&) {}
}  // namespace openfm
