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
#include "thread_team.hpp"

namespace nb = nanobind;

namespace openfm {
namespace {

using FloatArray = nb::ndarray<float, nb::shape<-1>, nb::c_contig, nb::device::cpu>;

#if defined(__x86_64__) && defined(__GLIBC__)
#define OPENFM_ALSO_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define OPENFM_ALSO_AVX2
#endif

// The arithmetic of the polar method: r2 is the squared length of a point in the unit circle, y one coordinate of it.
// std::log(float) differs in its last bit between C libraries; this logarithm is the same everywhere.
OPENFM_ALSO_AVX2
void scale_polar(const float* y, const float* r2, int64_t count, float sigma, float* values) {
    for (int64_t i = 0; i < count; ++i) {
        const float log_r2 = static_cast<float>(log_f64(static_cast<double>(r2[i])));
        values[i] = y[i] * std::sqrt(-2.0f * log_r2 / r2[i]) * sigma;
    }
}

// 1024 Mersenne Twisters, number i seeded with seed + i. A draw of N values splits them among the engines in runs of
// equal length, at least 64 values each; the engines' states persist from draw to draw.
class ParallelGenerator {
public:
    explicit ParallelGenerator(uint32_t seed) : engines_(kEngines) {
        for (uint32_t i = 0; i < kEngines; ++i) engines_[i].seed(seed + i);
    }

    void fill_normal(FloatArray out, float sigma, int threads) {
        fill(out, threads, [sigma](std::mt19937& engine, float* values, int64_t count) {
            for (int64_t done = 0; done < count; done += kBlock)
                draw_normals(engine, values + done, std::min(kBlock, count - done), sigma);
        });
    }

    void fill_uniform(FloatArray out, float low, float high, int threads) {
        fill(out, threads, [low, range = high - low](std::mt19937& engine, float* values, int64_t count) {
            for (int64_t i = 0; i < count; ++i) values[i] = low + range * canonical(engine);
        });
    }

private:
    static constexpr uint32_t kEngines = 1024;
    static constexpr int64_t kMinimumRun = 64;
    static constexpr int64_t kBlock = 256;

    // Each run of values is one engine's, so that the threads may share out the runs as they like.
    template <class Draw>
    void fill(FloatArray out, int threads, const Draw& draw) {
        const int64_t n = static_cast<int64_t>(out.shape(0));
        if (n == 0) return;
        nb::gil_scoped_release release;
        const int64_t runs = std::min<int64_t>((n + kMinimumRun - 1) / kMinimumRun, kEngines);
        const int64_t step = (n + runs - 1) / runs;
        float* values = out.data();
        run_parts(runs, threads, [&](int64_t run) {
            const int64_t begin = std::min(n, run * step), end = std::min(n, begin + step);
            draw(engines_[static_cast<size_t>(run)], values + begin, end - begin);
        });
    }

    // A float in [0, 1): std::generate_canonical<float, 24> of one 32-bit draw, as libstdc++ forms it.
    static float canonical(std::mt19937& engine) {
        const float u = static_cast<float>(engine()) / 4294967296.0f;
        return u < 1.0f ? u : std::nextafter(1.0f, 0.0f);
    }

    // For each value a fresh std::normal_distribution<float>: the polar method, its second value thrown away. The
    // draws come first and the arithmetic after them, in a loop that vectorises.
    static void draw_normals(std::mt19937& engine, float* values, int64_t count, float sigma) {
        float y[kBlock], r2[kBlock];
        for (int64_t i = 0; i < count;) {
            const float u = 2.0f * canonical(engine) - 1.0f;
            y[i] = 2.0f * canonical(engine) - 1.0f;
            r2[i] = u * u + y[i] * y[i];
            i += !(r2[i] > 1.0f || r2[i] == 0.0f);
        }
        scale_polar(y, r2, count, sigma, values);
    }

    std::vector<std::mt19937> engines_;
};

}  // namespace

void register_random(nb::module_& m) {
    nb::class_<ParallelGenerator>(m, "ParallelGenerator")
        .def(nb::init<uint32_t>(), nb::arg("seed"))
        .def("fill_normal", &ParallelGenerator::fill_normal, nb::arg("out"), nb::arg("sigma"),
             nb::arg("threads"))
        .def("fill_uniform", &ParallelGenerator::fill_uniform, nb::arg("out"), nb::arg("low"), nb::arg("high"),
             nb::arg("threads"));
}

}  // namespace openfm
