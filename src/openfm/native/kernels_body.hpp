// The kernels' code, compiled once for each instruction set. The including file defines OPENFM_ISA, the namespace.
// Nothing here may call a function that the linker could share with another instruction set's copy: hence the
// static helpers in place of the standard library's templates.
#include "kernels_dense.hpp"
#include "kernels_features.hpp"
#include "kernels_gradients.hpp"
#include "kernels_rows.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// Calls function<N> for the table's number of vectors; N = 0 stands for more than fit into registers.
#define OPENFM_BY_WIDTH(layout, function, ...)               \
    switch (layout.vectors) {                                \
        case 1: return function<1>(__VA_ARGS__);             \
        case 2: return function<2>(__VA_ARGS__);             \
        case 3: return function<3>(__VA_ARGS__);             \
        case 4: return function<4>(__VA_ARGS__);             \
        case 5: return function<5>(__VA_ARGS__);             \
        case 6: return function<6>(__VA_ARGS__);             \
        case 7: return function<7>(__VA_ARGS__);             \
        case 8: return function<8>(__VA_ARGS__);             \
        default: return function<0>(__VA_ARGS__);            \
    }

void score_any(const FactorArrays& arrays, float bias, const RowsView& rows, int64_t begin, int64_t end, bool sigmoid,
               float* out) {
    OPENFM_BY_WIDTH(arrays, score, arrays, bias, rows, begin, end, sigmoid, out)
}

void forward_any(const FactorTable& table, float bias, Loss loss, const RowsView& rows, const RowTargets& targets,
                 int64_t begin, int64_t end, const RowResults& results) {
    OPENFM_BY_WIDTH(table, forward, table, bias, loss, rows, targets, begin, end, results)
}

template <class Row>
uint32_t update_any(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                    const AdamStep& linear, const AdamStep& factors, int64_t begin, int64_t end) {
    OPENFM_BY_WIDTH(table, update, table, batch, results, linear, factors, begin, end)
}

template <class Row>
void gradients_any(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                   const GradientRows& out, int64_t begin, int64_t end) {
    OPENFM_BY_WIDTH(table, gradients, table, batch, results, out, begin, end)
}

#undef OPENFM_BY_WIDTH

}  // namespace

#define OPENFM_TEXT(x) #x
#define OPENFM_NAME(x) OPENFM_TEXT(x)
extern const Kernels kernels;
const Kernels kernels = {
    OPENFM_NAME(OPENFM_ISA),
    score_any,
    forward_any,
    forward_dense,
    update_any<uint16_t>,
    update_any<uint32_t>,
    update_dense,
    gradients_any<uint16_t>,
    gradients_any<uint32_t>,
    gradients_dense,
    apply,
    refresh_norms,
    measure_norms,
};
#undef OPENFM_NAME
#undef OPENFM_TEXT

}  // namespace openfm::OPENFM_ISA
