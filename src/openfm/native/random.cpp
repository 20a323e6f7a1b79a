// MXNet's CPU random streams (MXNet src/common/random_generator.h, src/operator/random/sampler.h), so that training
// starts from the values that Amazon's container starts from.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "numerics.hpp"

namespace nb = nanobind;

namespace openfm {
namespace {

using FloatArray = nb::ndarray<float, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

// 1024 Mersenne Twisters, number i seeded with seed + i. A draw of N values splits them among the engines in runs of
// equal length, at least 64 values each; the engines' states persist from draw to draw.
class ParallelGenerator {
public:
    explicit ParallelGenerator(uint32_t seed) : engines_(kEngines) {
        for (uint32_t i = 0; i < kEngines; ++i) engines_[i].seed(seed + i);
    }

    void fill_normal(FloatArray out, float sigma) {
        fill(out, [sigma](std::mt19937& engine) { return normal(engine) * sigma; });
    }

    void fill_uniform(FloatArray out, float low, float high) {
        fill(out, [low, range = high - low](std::mt19937& engine) { return low + range * canonical(engine); });
    }

private:
    static constexpr uint32_t kEngines = 1024;
    static constexpr int64_t kMinimumRun = 64;

    template <class Draw>
    void fill(FloatArray out, Draw draw) {
        const int64_t n = static_cast<int64_t>(out.shape(0));
        if (n == 0) return;
        nb::gil_scoped_release release;
        const int64_t runs = std::min<int64_t>((n + kMinimumRun - 1) / kMinimumRun, kEngines);
        const int64_t step = (n + runs - 1) / runs;
        float* values = out.data();
        for (int64_t run = 0; run < runs; ++run) {
            std::mt19937& engine = engines_[static_cast<size_t>(run)];
            const int64_t end = std::min(n, (run + 1) * step);
            for (int64_t i = run * step; i < end; ++i) values[i] = draw(engine);
        }
    }

    // A float in [0, 1): std::generate_canonical<float, 24> of one 32-bit draw, as libstdc++ forms it.
    static float canonical(std::mt19937& engine) {
        const float u = static_cast<float>(engine()) / 4294967296.0f;
        return u < 1.0f ? u : std::nextafter(1.0f, 0.0f);
    }

    // std::log(float) differs in its last bit between C libraries; this one is correctly rounded everywhere.
    static float log_f32(float x) { return static_cast<float>(log_f64(x)); }

    // A fresh std::normal_distribution<float> for each value: the polar method, its second value thrown away.
    static float normal(std::mt19937& engine) {
        float x, y, r2;
        do {
            x = 2.0f * canonical(engine) - 1.0f;
            y = 2.0f * canonical(engine) - 1.0f;
            r2 = x * x + y * y;
        } while (r2 > 1.0f || r2 == 0.0f);
        return y * std::sqrt(-2.0f * log_f32(r2) / r2);
    }

    std::vector<std::mt19937> engines_;
};

}  // namespace

void register_random(nb::module_& m) {
    nb::class_<ParallelGenerator>(m, "ParallelGenerator")
        .def(nb::init<uint32_t>(), nb::arg("seed"))
        .def("fill_normal", &ParallelGenerator::fill_normal, nb::arg("out"), nb::arg("sigma"))
        .def("fill_uniform", &ParallelGenerator::fill_uniform, nb::arg("out"), nb::arg("low"), nb::arg("high"));
}

}  // namespace openfm
