// What the machine can do at most: memory in order, memory at random (both in seconds), arithmetic.
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace {

// CPU time of this thread: other programs on the same core cost nothing of it.
double now() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif

typedef float Vector __attribute__((vector_size(VECTOR_BYTES)));

constexpr int CHAINS = 12;  // enough independent ones to hide an instruction's latency, few enough for all registers

}  // namespace

extern "C" {

// a = b + 3 c, over n floats.
double triad(float* a, const float* b, const float* c, int64_t n) {
    const double begin = now();
    for (int64_t i = 0; i < n; ++i) a[i] = b[i] + 3.0f * c[i];
    return now() - begin;
}

// The sum of n floats, in eight independent vectors.
double read(const float* a, int64_t n, float* sink) {
    const double begin = now();
    float sums[128] = {};
    for (int64_t i = 0; i + 128 <= n; i += 128)
        for (int j = 0; j < 128; ++j) sums[j] += a[i + j];
    for (float sum : sums) *sink += sum;
    return now() - begin;
}

// Read and change `lines` cache lines (16 floats each) side by side, at each of `count` places, in their order.
double update(float* table, const int64_t* places, int64_t count, int64_t lines) {
    const double begin = now();
    for (int64_t i = 0; i < count; ++i) {
        const float* ahead = table + 16 * lines * places[i + 8 < count ? i + 8 : i];
        for (int64_t line = 0; line < lines; ++line) __builtin_prefetch(ahead + 16 * line, 1);
        float* at = table + 16 * lines * places[i];
        for (int64_t line = 0; line < lines; ++line)
            for (int j = 0; j < 16; ++j) at[16 * line + j] += 1.0f;
    }
    return now() - begin;
}

// Multiply the cache line at each of `count` places by a number and add it up, `rounds` times: what rows do with factors.
double gather(const float* table, const int16_t* places, int64_t count, int64_t rounds, float* sink) {
    constexpr int PARTS = 64 / VECTOR_BYTES;
    constexpr int LINES = CHAINS / PARTS;  // at a time, so that no addition waits for the one before
    const double begin = now();
    Vector sums[LINES][PARTS] = {};
    for (int64_t round = 0; round < rounds; ++round) {
        for (int64_t i = 0; i + LINES <= count; i += LINES) {
#pragma GCC unroll 12
            for (int line = 0; line < LINES; ++line) {
                const auto* at = reinterpret_cast<const Vector*>(table + 16 * places[i + line]);
                for (int j = 0; j < PARTS; ++j) sums[line][j] += at[j] * 0.5f;
            }
        }
    }
    for (const auto& line : sums)
        for (const Vector& sum : line) *sink += sum[0];
    return now() - begin;
}

// Multiplications and additions in registers, n rounds of them; returns how many a second.
double multiply_add(int64_t n, float* sink) {
    const double begin = now();
    Vector sums[CHAINS];
    for (int j = 0; j < CHAINS; ++j) sums[j] = Vector{} + float(j);
    const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; ++j) sums[j] = sums[j] * factor + term;
    }
    const double seconds = now() - begin;
    for (const Vector& sum : sums) *sink += sum[0];
    return 2.0 * CHAINS * (VECTOR_BYTES / sizeof(float)) * double(n) / seconds;
}
}
