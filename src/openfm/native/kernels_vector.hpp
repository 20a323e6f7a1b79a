// Vectors of eight floats. A part of kernels_body.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "kernels.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// Eight floats; the compiler splits it where registers are narrower. may_alias: it reads arrays of float. It may lie
// anywhere: factors are read where a model file has them.
typedef float Vector __attribute__((vector_size(32), aligned(1), may_alias));
typedef float AnyFloat __attribute__((aligned(1), may_alias));  // as Vector: anywhere

// A register's floats, by their number. Like Vector they may lie anywhere.
template <int Floats>
struct Piece;
template <>
struct Piece<4> {
    typedef float Type __attribute__((vector_size(16), aligned(1), may_alias));
};
template <>
struct Piece<8> {
    typedef Vector Type;
};
template <>
struct Piece<16> {
    typedef float Type __attribute__((vector_size(64), aligned(1), may_alias));
};

// What one register takes of N vectors: two vectors with AVX-512, half a vector with SSE and NEON, for which compilers
// split longer ones badly. Lanes never meet, so that this changes no result.
template <int N>
struct Register {
#if defined(__AVX512F__)
    static constexpr int kFloats = N % 2 == 0 ? 16 : 8;
#elif defined(__AVX__)
    static constexpr int kFloats = 8;
#else
    static constexpr int kFloats = 4;
#endif
    typedef typename Piece<kFloats>::Type Type;
    static_assert(alignof(Type) == 1, "the compiler dropped an attribute");
    static constexpr int kCount = N * kLanes / kFloats;
    static Type* at(Vector* vectors) { return reinterpret_cast<Type*>(vectors); }
    static const Type* at(const Vector* vectors) { return reinterpret_cast<const Type*>(vectors); }
};

constexpr int64_t kPrefetchNonZeros = 24;  // ahead in a row's features
constexpr int64_t kPrefetchFeatures = 4;   // ahead in a batch's features
constexpr int kMaxVectors = 8;             // vectors held in registers at once; wider factors go in blocks
constexpr int kCacheLine = 16;             // floats

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline const Vector* vectors_at(const float* floats) { return reinterpret_cast<const Vector*>(floats); }
inline Vector* vectors_at(float* floats) { return reinterpret_cast<Vector*>(floats); }

// The order of this sum is part of the result.
inline float sum_lanes(const Vector& a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

// The first `lanes` lanes of a, zeros in the others, whatever they held.
inline Vector first_lanes(const Vector& a, int lanes) {
    typedef int32_t Mask __attribute__((vector_size(32)));
    const Mask lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return lane < Mask{} + lanes ? a : Vector{};
}

inline Vector square_root(const Vector& a) {
    Vector r;
#if defined(__AVX__)
    r = reinterpret_cast<Vector>(_mm256_sqrt_ps(reinterpret_cast<__m256>(a)));
#elif defined(__SSE2__)
    const float* in = reinterpret_cast<const float*>(&a);
    float* out = reinterpret_cast<float*>(&r);
    _mm_storeu_ps(out, _mm_sqrt_ps(_mm_loadu_ps(in)));
    _mm_storeu_ps(out + 4, _mm_sqrt_ps(_mm_loadu_ps(in + 4)));
#else
    for (int i = 0; i < kLanes; ++i) r[i] = std::sqrt(a[i]);
#endif
    return r;
}

}  // namespace
}  // namespace openfm::OPENFM_ISA
