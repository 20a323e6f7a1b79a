// Predictions as JSON; openfm.codecs.json and openfm.codecs.jsonlines say how it looks.
#pragma once

#include <cstddef>

#include "records_column.hpp"

namespace openfm::json {

struct Answers {
    std::size_t count = 0;
    const float* scores = nullptr;
    const float* predicted_labels = nullptr;  // or none
};

// {"predictions":[{"score":0.58,"predicted_label":1.0}, ...]}
void encode_document(const Answers& answers, records::Column<char>& out);

// {"score":0.58,"predicted_label":1.0} and a newline for each
void encode_lines(const Answers& answers, records::Column<char>& out);

}  // namespace openfm::json
