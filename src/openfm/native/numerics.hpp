// exp and log of our own, in double precision and without branches: the same bits on every machine, whatever its libm
// and instruction set, and loops over them vectorise. Static, not inline: each translation unit keeps its own, compiled
// with its own instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace openfm {

namespace numerics {
constexpr double kLn2 = 0.69314718055994530942;
constexpr double kLn2High = 0x1.62e42fee00000p-1;  // the leading 32 bits of ln 2: n * kLn2High is exact
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;  // ln 2 - kLn2High
constexpr double kRounder = 0x1.8p52;              // adding and subtracting it rounds to an integer

static inline uint64_t bits(double x) {
    uint64_t u;
    std::memcpy(&u, &x, sizeof u);
    return u;
}

static inline double from_bits(uint64_t u) {
    double x;
    std::memcpy(&x, &u, sizeof x);
    return x;
}
}  // namespace numerics

// e^x, relative error < 1e-15. Below -700 it is e^-700, above 700 e^700: float results saturate long before.
// NaN gives NaN.
static inline double exp_f64(double x) {
    using namespace numerics;
    x = x < -700.0 ? -700.0 : x;
    x = x > 700.0 ? 700.0 : x;
    const double shifted = x * (1.0 / kLn2) + kRounder;
    const double n = shifted - kRounder;
    const double r = (x - n * kLn2High) - n * kLn2Low;  // |r| <= ln(2) / 2
    double p = 1.0 / 6227020800.0;                      // Taylor to r^13: remainder < 5e-18
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // The low bits of `shifted` hold n; moved to the exponent they multiply by 2^n.
    return p * from_bits((bits(shifted) + 1023) << 52);
}

// Natural logarithm of a positive, normal x, relative error < 1e-14 away from 1 and absolute error < 1e-15 near it.
// For other x it gives some number: callers pass finite values.
static inline double log_f64(double x) {
    using namespace numerics;
    constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcdULL;  // sqrt(1/2)
    constexpr uint64_t kBias = 1023;
    const uint64_t u = bits(x) - kSqrtHalf;
    // The exponent, biased to be positive, becomes a double as the low bits of 2^52.
    const double biased = from_bits(((u + (kBias << 52)) >> 52) | bits(0x1p52));
    const double exponent = biased - (0x1p52 + static_cast<double>(kBias));
    const double m = from_bits((u & 0x000fffffffffffffULL) + kSqrtHalf);  // in [sqrt(1/2), sqrt(2))
    const double s = (m - 1.0) / (m + 1.0);                               // |s| < 0.1716
    const double z = s * s;
    double p = 1.0 / 21.0;  // atanh series to s^21
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    const double tail = 2.0 * s * z * p;
    return exponent * kLn2High + (2.0 * s + (tail + exponent * kLn2Low));
}

// 1 / (1 + e^-x), rounded once to float.
static inline float sigmoid(float x) {
    return static_cast<float>(1.0 / (1.0 + exp_f64(-static_cast<double>(x))));
}

}  // namespace openfm
