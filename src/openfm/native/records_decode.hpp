// Records to compressed sparse rows of float32.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "records_column.hpp"
#include "records_frame.hpp"
#include "records_kernels.hpp"
#include "records_schema.hpp"
#include "records_usual.hpp"

namespace openfm::records {

// Feature indices are int32 in memory, so this is the widest input.
constexpr std::int64_t kMaxFeatureDim = INT32_MAX;
constexpr std::int64_t kUnknownFeatureDim = -1;

enum class Labels { required, optional, ignored };

// Why a record was refused. `kind` is empty when none was; openfm.data.faults has the words for each kind.
struct Fault {
    std::string_view kind;
    std::uint64_t found = 0;
    std::uint64_t expected = 0;

    explicit operator bool() const { return !kind.empty(); }
};

// Of each record the fields `uid` and `metadata`, as they stand in a message: what to append to the answer's record.
struct Identities {
    Column<std::int64_t> offsets;  // of each record's first byte, and the end
    Column<std::uint8_t> fields;
};

class Decoder {
public:
    // feature_dim may be kUnknownFeatureDim: the records then say how wide they are.
    // collect_identities: whether `identities` are wanted.
    Decoder(std::int64_t feature_dim, Labels labels, bool collect_identities, const RecordKernels& kernels)
        : kernels_(kernels),
          feature_dim_(feature_dim),
          infers_width_(feature_dim == kUnknownFeatureDim),
          label_mode_(labels),
          collects_identities_(collect_identities) {
        indptr.push(0);
        identities.offsets.push(0);
    }

    // Decodes the whole framed records that `data` starts with. Unless `final`, an incomplete last one is left for the
    // next time. Stops at the first fault; `consumed` then is where the faulty record starts, `rows()` its number.
    void decode_framed(Span data, bool final);

    // Decodes one record without a frame.
    void decode_bare(Span message);

    std::size_t rows() const { return indptr.size() - 1; }
    Labels label_mode() const { return label_mode_; }

    // The feature_dim given, or else the width that the records have: declared by a shape or a dense length, or else
    // one more than the largest key.
    std::int64_t feature_dim() const;

    std::size_t consumed = 0;
    std::size_t dense_records = 0;
    std::size_t usual_records = 0;  // decoded in the straight way
    Fault fault;
    Column<std::int64_t> indptr;
    Column<std::int32_t> indices;
    Column<float> values;
    Column<float> labels;   // as many as rows, or none
    Column<float> weights;  // likewise; none as long as no record has one
    Identities identities;

private:
    // Appends a record if it is as nearly all are: laid out in the usual way and without a fault, its keys ascending.
    // False, and nothing appended, if not. kReadAhead bytes behind the keys must lie before `readable_end`.
    bool append_usual(Span message, const std::uint8_t* readable_end);
    bool append_usual_features(const UsualRecord& record, const std::uint8_t* readable_end);

    void foresee(std::size_t decoded, std::size_t total);

    // Appends any record, or says what is wrong with it.
    Fault append(Span message);
    Fault append_features(const Value& features);
    Fault append_dense(const std::uint8_t* row, std::size_t count);
    Fault append_sparse(const std::uint8_t* row, std::size_t count, Span keys);
    Fault append_unsorted(const std::uint8_t* row, std::size_t count, Span keys);
    Fault find_label(std::optional<float>& label);
    Fault find_weight(std::optional<float>& weight);
    void append_weight(float weight);
    void append_identity();
    Fault check_shape(Span shape);
    Fault declare_width(std::uint64_t width);
    std::uint64_t key_limit() const;
    Span to_float32(const Value& tensor);

    bool may_have_labels(std::size_t count) const;

    const RecordKernels& kernels_;
    std::int64_t feature_dim_;
    bool infers_width_;
    std::int64_t widest_key_ = 0;  // one more than the largest key, while feature_dim_ is unknown
    Labels label_mode_;
    bool collects_identities_;
    RecordParser parser_;
    Record record_;
    std::vector<std::uint8_t> joined_values_, joined_keys_;
    std::vector<float> converted_;
    std::vector<std::pair<std::uint64_t, float>> unsorted_;
    std::vector<std::int32_t> usual_keys_;
};

}  // namespace openfm::records
