#include "json_instances.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace openfm::json {
namespace {

// Members that have been seen. The last of several of the same name counts in JSON: rare enough to be left to orjson.
class Seen {
public:
    bool first(unsigned member) {
        const unsigned bit = 1u << member;
        const bool is_first = (members_ & bit) == 0;
        members_ |= bit;
        return is_first;
    }
    bool has(unsigned member) const { return (members_ >> member & 1) != 0; }

private:
    unsigned members_ = 0;
};

}  // namespace

bool InstanceDecoder::decode_document(const char* begin, const char* end) {
    Scanner text(begin, end);
    Seen seen;
    const bool taken = text.object([&](std::string_view name) {
        return name == "instances" && seen.first(0) && text.array([&] { return instance(text); });
    });
    return taken && seen.has(0) && text.at_end();
}

bool InstanceDecoder::decode_lines(const char* begin, const char* end) {
    while (begin != end) {
        const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', static_cast<std::size_t>(end - begin)));
        const char* const line_end = newline == nullptr ? end : newline;
        Scanner line(begin, line_end);
        if (!line.at_end() && !(instance(line) && line.at_end())) return false;
        begin = newline == nullptr ? end : newline + 1;
    }
    return true;
}

// {"features": [...]} or {"data": {...}}; what else there is does not matter.
bool InstanceDecoder::instance(Scanner& text) {
    enum : unsigned { kFeatures, kData };
    Seen seen;
    const bool taken = text.object([&](std::string_view name) {
        if (name == "features") return seen.first(kFeatures) && text.non_zeros(feature_dim_, rows.indices, rows.values);
        if (name == "data") return seen.first(kData) && data(text);
        return name != "columns" && text.skip_value();
    });
    if (seen.has(kFeatures)) rows.indptr.push(static_cast<std::int64_t>(rows.values.size()));
    return taken && seen.has(kFeatures) != seen.has(kData);
}

// {"features": {...}}
bool InstanceDecoder::data(Scanner& text) {
    Seen seen;
    const bool taken = text.object([&](std::string_view name) {
        return name == "features" ? seen.first(0) && tensor(text) : text.skip_value();
    });
    return taken && seen.has(0);
}

// {"values": [...]}, and perhaps "keys" and "shape".
bool InstanceDecoder::tensor(Scanner& text) {
    enum : unsigned { kValues, kKeys, kShape };
    Seen seen;
    bool sparse = false;
    const bool taken = text.object([&](std::string_view name) {
        if (name == "values") return seen.first(kValues) && text.floats(values_);
        if (name == "shape") return seen.first(kShape) && read_shape(text);
        if (name != "keys") return text.skip_value();
        if (!seen.first(kKeys)) return false;
        if (text.take_null()) return true;
        sparse = true;
        return read_keys(text);
    });
    return taken && seen.has(kValues) && (sparse ? append_sparse() : append_dense());
}

bool InstanceDecoder::read_keys(Scanner& text) {
    keys_.clear();
    return text.array([&] {
        std::int32_t key = 0;
        if (!text.index(feature_dim_, key)) return false;
        keys_.push_back(key);
        return true;
    });
}

// null, [] or [feature_dim]
bool InstanceDecoder::read_shape(Scanner& text) {
    if (text.take_null()) return true;
    Seen seen;
    return text.array([&] {
        std::int32_t width = 0;
        return seen.first(0) && text.index(feature_dim_ + 1, width) && width == feature_dim_;
    });
}

bool InstanceDecoder::append_dense() {
    if (static_cast<std::int64_t>(values_.size()) != feature_dim_) return false;
    std::int32_t* const indices = rows.indices.reserve(values_.size());
    float* const values = rows.values.reserve(values_.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
        indices[count] = static_cast<std::int32_t>(i);
        values[count] = values_[i];
        count += values_[i] != 0 ? 1 : 0;
    }
    rows.indices.commit(count);
    rows.values.commit(count);
    rows.indptr.push(static_cast<std::int64_t>(rows.values.size()));
    return true;
}

bool InstanceDecoder::append_sparse() {
    if (keys_.size() != values_.size()) return false;
    const auto not_increasing = [](std::int32_t a, std::int32_t b) { return a >= b; };
    if (std::adjacent_find(keys_.begin(), keys_.end(), not_increasing) != keys_.end()) {
        sort_keys();
        if (std::adjacent_find(keys_.begin(), keys_.end()) != keys_.end()) return false;
    }
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        if (values_[i] == 0) continue;
        rows.indices.push(keys_[i]);
        rows.values.push(values_[i]);
    }
    rows.indptr.push(static_cast<std::int64_t>(rows.values.size()));
    return true;
}

void InstanceDecoder::sort_keys() {
    std::vector<std::size_t> order(keys_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys_[a] < keys_[b]; });
    std::vector<std::int32_t> keys;
    std::vector<float> values;
    for (const std::size_t i : order) {
        keys.push_back(keys_[i]);
        values.push_back(values_[i]);
    }
    keys_.swap(keys);
    values_.swap(values);
}

}  // namespace openfm::json
