#include <nanobind/nanobind.h>

namespace openfm {
void register_records(nanobind::module_&) {}
}  // namespace openfm
