#include "text_write.hpp"

#include <charconv>

#include "text_numbers.hpp"

namespace openfm::text {
namespace {

constexpr std::size_t kLongestIndex = 11;  // 2147483647 and a colon

std::size_t length(const RowsView& rows, std::size_t row) {
    return static_cast<std::size_t>(rows.indptr[row + 1] - rows.indptr[row]);
}

}  // namespace

void write_libsvm(const RowsView& rows, std::int64_t index_base, records::Column<char>& out) {
    for (std::size_t row = 0; row < rows.count; ++row) {
        char* const begin = out.reserve(length(rows, row) * (kLongestIndex + kLongestFloat + 1) + kLongestFloat + 1);
        char* p = write_float(begin, rows.labels[row]);
        for (std::int64_t i = rows.indptr[row]; i < rows.indptr[row + 1]; ++i) {
            *p++ = ' ';
            p = std::to_chars(p, p + kLongestIndex, rows.indices[i] + index_base).ptr;
            *p++ = ':';
            p = write_float(p, rows.values[i]);
        }
        *p++ = '\n';
        out.commit(static_cast<std::size_t>(p - begin));
    }
}

void write_csv(const RowsView& rows, std::int64_t feature_dim, char delimiter, records::Column<char>& out) {
    for (std::size_t row = 0; row < rows.count; ++row) {
        const std::size_t zeros = 2 * static_cast<std::size_t>(feature_dim);
        char* const begin = out.reserve(zeros + (length(rows, row) + 2) * (kLongestFloat + 1) + 1);
        char* p = begin;
        if (rows.labels != nullptr) {
            p = write_float(p, rows.labels[row]);
            *p++ = delimiter;
        }
        if (rows.weights != nullptr) {
            p = write_float(p, rows.weights[row]);
            *p++ = delimiter;
        }
        std::int64_t feature = 0;
        for (std::int64_t i = rows.indptr[row]; i < rows.indptr[row + 1]; ++i) {
            for (; feature < rows.indices[i]; ++feature) {
                *p++ = '0';
                *p++ = delimiter;
            }
            p = write_float(p, rows.values[i]);
            *p++ = delimiter;
            ++feature;
        }
        for (; feature < feature_dim; ++feature) {
            *p++ = '0';
            *p++ = delimiter;
        }
        if (p == begin) ++p;  // no column at all
        p[-1] = '\n';
        out.commit(static_cast<std::size_t>(p - begin));
    }
}

}  // namespace openfm::text
