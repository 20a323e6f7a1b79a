// The Python module openfm.native._core: one registration per part.
#include <nanobind/nanobind.h>

namespace openfm {
void register_encoding(nanobind::module_& m);
void register_json(nanobind::module_& m);
void register_random(nanobind::module_& m);
void register_records(nanobind::module_& m);
void register_scoring(nanobind::module_& m);
void register_text(nanobind::module_& m);
void register_training(nanobind::module_& m);
}  // namespace openfm

NB_MODULE(_core, m) {
    m.doc() = "Native core of openfm: training and scoring kernels, record decoding, JSON, text formats, random streams.";
    openfm::register_encoding(m);
    openfm::register_json(m);
    openfm::register_random(m);
    openfm::register_records(m);
    openfm::register_scoring(m);
    openfm::register_text(m);
    openfm::register_training(m);
}
