// Python bindings of the training kernels.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "trainer.hpp"
#include "training_arrays.hpp"

namespace nb = nanobind;

namespace openfm {
namespace {

BatchIndexer* new_indexer(int64_t feature_dim, int64_t batch_size, bool all_features, std::optional<bool> dense) {
    if (feature_dim < 1 || batch_size < 1) throw std::invalid_argument("feature_dim and batch_size must be at least 1");
    return new BatchIndexer(feature_dim, batch_size, all_features, dense);
}

BatchBlock index_batches(BatchIndexer& indexer, Vector<int64_t> indptr, Vector<int32_t> indices, Vector<float> values,
                         Vector<float> labels, std::optional<Vector<float>> weights) {
    if (labels.shape(0) + 1 != indptr.shape(0)) throw std::invalid_argument("labels and rows differ in number");
    if (weights && weights->shape(0) != labels.shape(0))
        throw std::invalid_argument("weights and rows differ in number");
    BatchBlock block{BatchBlock::Rows{indptr, indices, values}, labels, weights, {}, {}, indexer.feature_dim(),
                     indexer.batch_size()};
    {
        nb::gil_scoped_release release;
        block.view = checked_rows(indptr, indices, values, indexer.feature_dim());
        block.index = indexer.index(block.view, block.count());
    }
    if (block.index.dense) block.rows.reset();
    return block;
}

using Rates = std::tuple<double, double, bool>;

GroupRates group_rates(const Rates& rates) {
    return {std::get<0>(rates), std::get<1>(rates), std::get<2>(rates)};
}

Trainer* new_trainer(int64_t feature_dim, int64_t num_factors, bool logistic, int64_t batch_size, const Rates& bias,
                       const Rates& linear, const Rates& factors, double rescale, double epsilon, double clip,
                       int threads, const std::string& instruction_set) {
    if (feature_dim < 1 || num_factors < 1 || batch_size < 1 || threads < 1)
        throw std::invalid_argument("feature_dim, num_factors, batch_size and threads must be at least 1");
    const TrainerOptions options{logistic ? Loss::kLogistic : Loss::kSquared,
                                 batch_size,
                                 group_rates(bias),
                                 group_rates(linear),
                                 group_rates(factors),
                                 rescale,
                                 epsilon,
                                 clip,
                                 threads};
    return new Trainer(feature_dim, num_factors, options, kernels_named(instruction_set));
}

// A part of what a trainer holds, of w0, w and V.
using Part = std::tuple<float, Vector<float>, Matrix<float>>;

void check_shapes(const Table& table, const Vector<float>& linear, const Matrix<float>& factors) {
    if (static_cast<int64_t>(linear.shape(0)) != table.feature_dim() ||
        static_cast<int64_t>(factors.shape(0)) != table.feature_dim() ||
        static_cast<int64_t>(factors.shape(1)) != table.num_factors())
        throw std::invalid_argument("the arrays do not have the trainer's shapes");
}

Table::Part part_named(const std::string& name) {
    if (name == "parameters") return Table::kParameters;
    if (name == "means") return Table::kMeans;
    if (name == "variances") return Table::kVariances;
    throw std::invalid_argument("a trainer has no part '" + name + "'");
}

float bias_of(const Trainer& trainer, const std::string& part) {
    const Trainer::Bias& bias = trainer.bias();
    switch (part_named(part)) {
        case Table::kMeans: return bias.mean;
        case Table::kVariances: return bias.variance;
        default: return bias.parameter;
    }
}

Result<float> linear_of(const Trainer& trainer, const std::string& part) {
    const Table::Part wanted = part_named(part);
    const int64_t d = trainer.table().feature_dim();
    Array<float> linear(d);
    {
        nb::gil_scoped_release release;
        trainer.table().get_linear(wanted, linear.get());
    }
    return to_numpy(std::move(linear), {static_cast<size_t>(d)});
}

using Rows = nb::ndarray<float, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;

void copy_factors(const Trainer& trainer, const std::string& part, int64_t first, Rows out) {
    const Table::Part wanted = part_named(part);
    const Table& table = trainer.table();
    const auto count = static_cast<int64_t>(out.shape(0));
    if (first < 0 || first > table.feature_dim() - count ||
        static_cast<int64_t>(out.shape(1)) != table.num_factors())
        throw std::invalid_argument("the factors have no such rows");
    nb::gil_scoped_release release;
    table.get_factors(wanted, first, count, out.data());
}

nb::ndarray<nb::numpy, float> packed_factors(Trainer& trainer) {
    Table& table = trainer.table();
    return {table.packed_factors(),
            {static_cast<size_t>(table.feature_dim()), static_cast<size_t>(table.num_factors())},
            nb::find(trainer)};
}

nb::tuple release(Trainer& trainer) {
    Table& table = trainer.table();
    const auto d = static_cast<size_t>(table.feature_dim()), k = static_cast<size_t>(table.num_factors());
    Array<float> linear(table.feature_dim());
    float* factors = nullptr;
    {
        nb::gil_scoped_release release;
        factors = table.release(linear.get());
    }
    nb::capsule owner(factors, [](void* p) noexcept { std::free(p); });
    return nb::make_tuple(trainer.bias().parameter, to_numpy(std::move(linear), {d}),
                          Result<float>(factors, {d, k}, owner));
}

void set_parameters(Trainer& trainer, float bias, Vector<float> linear, Matrix<float> factors) {
    check_shapes(trainer.table(), linear, factors);
    nb::gil_scoped_release release;
    trainer.set_parameters(bias, linear.data(), factors.data());
}

void set_optimizer(Trainer& trainer, int64_t step, const Part& means, const Part& variances) {
    const auto& [bias_mean, linear_means, factor_means] = means;
    const auto& [bias_variance, linear_variances, factor_variances] = variances;
    check_shapes(trainer.table(), linear_means, factor_means);
    check_shapes(trainer.table(), linear_variances, factor_variances);
    if (step < 0 || step > int64_t{1} << 53) throw std::invalid_argument("step is out of range");
    nb::gil_scoped_release release;
    trainer.set_optimizer(step, {trainer.bias().parameter, bias_mean, bias_variance}, linear_means.data(),
                          linear_variances.data(), factor_means.data(), factor_variances.data());
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const char* name : {"baseline", "avx2", "avx512"})
        if (find_kernels(name)) names.emplace_back(name);
    return names;
}

}  // namespace

void register_training(nb::module_& m) {
    nb::class_<BatchBlock> block(m, "BatchBlock");
    block
        .def_prop_ro("batches", [](const BatchBlock& block) { return block.index.batches; })
        .def_prop_ro("dense", [](const BatchBlock& block) { return block.index.dense.has_value(); })
        .def_prop_ro("nbytes", &BatchBlock::bytes)
        .def("__len__", &BatchBlock::count);

    nb::class_<BatchIndexer>(m, "BatchIndexer")
        .def(nb::new_(&new_indexer), nb::arg("feature_dim"), nb::arg("batch_size"), nb::arg("all_features"),
             nb::arg("dense") = nb::none())
        .def("index", &index_batches, nb::arg("indptr"), nb::arg("indices"), nb::arg("values"), nb::arg("labels"),
             nb::arg("weights") = nb::none());

    nb::class_<Trainer> trainer(m, "Trainer");
    trainer
        .def(nb::new_(&new_trainer), nb::arg("feature_dim"), nb::arg("num_factors"), nb::arg("logistic"),
             nb::arg("batch_size"), nb::arg("bias"), nb::arg("linear"), nb::arg("factors"), nb::arg("rescale"),
             nb::arg("epsilon"), nb::arg("clip"), nb::arg("threads"), nb::arg("instruction_set") = "")
        .def("set_parameters", &set_parameters, nb::arg("bias"), nb::arg("linear"), nb::arg("factors"))
        .def("packed_factors", &packed_factors)
        .def("release", &release)
        .def("bias", &bias_of, nb::arg("part"))
        .def("linear", &linear_of, nb::arg("part"))
        .def("copy_factors", &copy_factors, nb::arg("part"), nb::arg("first"), nb::arg("out"))
        .def("set_optimizer", &set_optimizer, nb::arg("step"), nb::arg("means"), nb::arg("variances"))
        .def_prop_ro("step", &Trainer::step)
        .def_prop_ro("members", &Trainer::members)
        .def_prop_ro("nbytes", [](const Trainer& trainer) { return trainer.table().bytes(); })
        .def(
            "train",
            [](Trainer& trainer, const BatchBlock& block, int64_t first, int64_t last) {
                if (first < 0 || first > last || last > block.index.batches)
                    throw std::invalid_argument("the block has no such batches");
                if (block.feature_dim != trainer.table().feature_dim() || block.batch_size != trainer.batch_size())
                    throw std::invalid_argument("the block was indexed for another feature_dim or batch size");
                const int64_t count = last - first;
                Array<double> sums(count * BatchSums::kFields);
                Trainer::Outcome outcome;
                {
                    nb::gil_scoped_release release;
                    outcome = trainer.train(block.training_rows(), first, last,
                                            reinterpret_cast<BatchSums*>(sums.get()));
                }
                return nb::make_tuple(
                    to_numpy(std::move(sums), {static_cast<size_t>(outcome.batches), size_t{BatchSums::kFields}}),
                    outcome.bad);
            },
            nb::arg("block"), nb::arg("first"), nb::arg("last"));

    register_host_steps(block, trainer);

    m.def("instruction_sets", &instruction_sets);
}

}  // namespace openfm
