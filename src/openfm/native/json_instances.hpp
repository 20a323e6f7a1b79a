// Instances of JSON requests to compressed sparse rows; openfm.codecs.instances has the forms, in Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "json_scanner.hpp"
#include "records_column.hpp"

namespace openfm::json {

// Rows in which indices increase strictly and no value is zero.
struct Rows {
    records::Column<std::int64_t> indptr;
    records::Column<std::int32_t> indices;
    records::Column<float> values;
};

class InstanceDecoder {
public:
    explicit InstanceDecoder(std::int64_t feature_dim) : feature_dim_(feature_dim) { rows.indptr.push(0); }

    // {"instances": [...]} and nothing else. False, and rows to be thrown away, where openfm.codecs.instances might have
    // something to say: text that is not JSON, an instance that is none, a number that is not finite.
    bool decode_document(const char* begin, const char* end);

    // One instance on each line that is not blank. False as above.
    bool decode_lines(const char* begin, const char* end);

    Rows rows;

private:
    bool instance(Scanner& text);
    bool data(Scanner& text);
    bool tensor(Scanner& text);
    bool read_keys(Scanner& text);
    bool read_shape(Scanner& text);
    bool append_dense();
    bool append_sparse();
    void sort_keys();

    std::int64_t feature_dim_;
    std::vector<float> values_;       // of the instance at hand
    std::vector<std::int32_t> keys_;  // likewise
};

}  // namespace openfm::json
