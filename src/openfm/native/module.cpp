// The Python module openfm.native._core: one registration per part.
#include <nanobind/nanobind.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace openfm {
void register_random(nanobind::module_& m);
void register_records(nanobind::module_& m);
void register_training(nanobind::module_& m);

namespace {

// glibc keeps what is freed in one heap for every few threads, for whoever asks next.
void trim_memory() {
#ifdef __GLIBC__
    const nanobind::gil_scoped_release release;
    malloc_trim(0);
#endif
}

}  // namespace
}  // namespace openfm

NB_MODULE(_core, m) {
    m.doc() = "Native core of openfm: training and scoring kernels, record decoding, random streams.";
    openfm::register_random(m);
    openfm::register_records(m);
    openfm::register_training(m);
    m.def("trim_memory", &openfm::trim_memory, "Gives the memory that was freed back to the system.");
}
