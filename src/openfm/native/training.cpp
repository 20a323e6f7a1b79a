#include <nanobind/nanobind.h>

namespace openfm {
void register_training(nanobind::module_&) {}
}  // namespace openfm
