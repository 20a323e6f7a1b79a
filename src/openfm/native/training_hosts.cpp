// Python bindings of training in two halves, between which several hosts add up their gradients.
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <stdexcept>

#include "training_arrays.hpp"

namespace openfm {
namespace {

using Places = Vector<int32_t>;
using Gradients = nb::ndarray<float, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;

// The features of a batch, in its own order.
Array<int32_t> listed_features(const BatchIndex& index, int64_t batch, int64_t& count) {
    if (!index.dense) {
        count = index.sparse.feature_count(batch);
        Array<int32_t> features(count);
        std::copy_n(index.sparse.features_of(batch), count, features.get());
        return features;
    }
    const DenseView view = index.dense->view(batch);
    Array<int32_t> features(view.features);
    count = 0;
    for (int64_t f = 0; f < view.features; ++f)
        if (view.occurring(f / kLanes) >> f % kLanes & 1) features[count++] = static_cast<int32_t>(f);
    return features;
}

int64_t count_features(const BatchIndex& index, int64_t batch) {
    if (!index.dense) return index.sparse.feature_count(batch);
    const DenseView view = index.dense->view(batch);
    int64_t count = 0;
    for (int64_t group = 0; group < view.feature_groups(); ++group) count += __builtin_popcount(view.occurring(group));
    return count;
}

void check_batch(const BatchBlock& block, int64_t batch) {
    if (batch < 0 || batch >= block.index.batches) throw std::invalid_argument("the block has no such batch");
}

Result<int32_t> features_of(const BatchBlock& block, int64_t batch) {
    check_batch(block, batch);
    int64_t count = 0;
    Array<int32_t> features = listed_features(block.index, batch, count);
    return to_numpy(std::move(features), {static_cast<size_t>(count)});
}

int64_t rows_of(const BatchBlock& block, int64_t batch) {
    check_batch(block, batch);
    return std::min(block.batch_size, block.count() - batch * block.batch_size);
}

Result<double> to_array(const HostSums& sums) {
    Array<double> fields(HostSums::kFields);
    std::copy(sums.fields, sums.fields + HostSums::kFields, fields.get());
    return to_numpy(std::move(fields), {size_t{HostSums::kFields}});
}

void check_width(const Trainer& trainer, size_t width) {
    if (static_cast<int64_t>(width) != trainer.table().num_factors() + 1)
        throw std::invalid_argument("the gradients are not num_factors + 1 wide");
}

Result<double> gradients(Trainer& trainer, const BatchBlock& block, int64_t batch, Places places, Gradients out) {
    check_batch(block, batch);
    if (block.feature_dim != trainer.table().feature_dim() || block.batch_size != trainer.batch_size())
        throw std::invalid_argument("the block was indexed for another feature_dim or batch size");
    check_width(trainer, out.shape(1));
    if (static_cast<int64_t>(places.shape(0)) != count_features(block.index, batch))
        throw std::invalid_argument("there is not one place for each of the batch's features");
    for (size_t i = 0; i < places.shape(0); ++i)
        if (places(i) < 0 || static_cast<size_t>(places(i)) >= out.shape(0))
            throw std::invalid_argument("a place lies outside the gradients");
    HostSums sums;
    {
        nb::gil_scoped_release release;
        sums = trainer.gradients(block.training_rows(), batch, places.data(), out.data());
    }
    return to_array(sums);
}

Result<double> padding_sums(Trainer& trainer, int64_t count) {
    if (count < 0) throw std::invalid_argument("count must not be negative");
    return to_array(trainer.padding_sums(count));
}

nb::tuple apply(Trainer& trainer, Vector<int32_t> features, Matrix<float> gradients, Vector<double> totals) {
    check_width(trainer, gradients.shape(1));
    if (features.shape(0) != gradients.shape(0)) throw std::invalid_argument("features and gradients differ in number");
    if (totals.shape(0) != HostSums::kFields) throw std::invalid_argument("the totals have another length");
    for (size_t i = 0; i < features.shape(0); ++i) {
        const int32_t before = i ? features(i - 1) : -1;
        if (features(i) <= before || features(i) >= trainer.table().feature_dim())
            throw std::invalid_argument("the features do not ascend within feature_dim");
    }
    HostSums of_hosts;
    std::copy(totals.data(), totals.data() + HostSums::kFields, of_hosts.fields);
    Array<double> sums(BatchSums::kFields);
    uint32_t bad = 0;
    {
        nb::gil_scoped_release release;
        bad = trainer.apply(features.data(), static_cast<int64_t>(features.shape(0)), gradients.data(), of_hosts,
                            *reinterpret_cast<BatchSums*>(sums.get()));
    }
    return nb::make_tuple(to_numpy(std::move(sums), {size_t{BatchSums::kFields}}), bad);
}

}  // namespace

void register_host_steps(nb::class_<BatchBlock>& block, nb::class_<Trainer>& trainer) {
    block.def("features", &features_of, nb::arg("batch")).def("rows", &rows_of, nb::arg("batch"));
    trainer
        .def("gradients", &gradients, nb::arg("block"), nb::arg("batch"), nb::arg("places"), nb::arg("out"))
        .def("padding_sums", &padding_sums, nb::arg("count"))
        .def("apply", &apply, nb::arg("features"), nb::arg("gradients"), nb::arg("totals"));
}

}  // namespace openfm
