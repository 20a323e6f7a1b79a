// Python bindings of what turns texts into features; openfm.encoding wraps them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string_view>
#include <vector>

#include "encoding_rows.hpp"
#include "python_buffers.hpp"
#include "python_coder.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace openfm {
namespace {

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kManyTexts = 1000;           // take long enough to look up for another thread to work meanwhile
constexpr std::size_t kManyCells = 10'000;         // likewise to put together
constexpr std::int64_t kMostBuckets = 0x7fffffff;  // features are int32

// Texts one after the other, and where each begins.
class Texts {
public:
    Texts(const Vector<std::int64_t>& offsets, const Vector<std::uint8_t>& utf8)
        : offsets_(offsets.data()), bytes_(reinterpret_cast<const char*>(utf8.data())) {
        if (offsets.shape(0) == 0) throw std::invalid_argument("offsets must not be empty");
        count_ = offsets.shape(0) - 1;
        bool fits = offsets_[0] == 0 && offsets_[count_] == static_cast<std::int64_t>(utf8.shape(0));
        for (std::size_t i = 0; i < count_; ++i) fits &= offsets_[i] <= offsets_[i + 1];
        if (!fits) throw std::invalid_argument("offsets do not divide the texts");
    }
    std::size_t size() const { return count_; }
    std::string_view operator[](std::size_t i) const {
        return {bytes_ + offsets_[i], static_cast<std::size_t>(offsets_[i + 1] - offsets_[i])};
    }

private:
    const std::int64_t* offsets_;
    const char* bytes_;
    std::size_t count_ = 0;
};

class Vocabulary {
public:
    nb::object add(const Vector<std::int64_t>& offsets, const Vector<std::uint8_t>& utf8) {
        const Texts texts(offsets, utf8);
        records::Column<std::int32_t> codes;
        std::int32_t* const out = codes.reserve(texts.size());
        each(texts, [&](std::size_t i, std::string_view text, std::uint64_t hash) {
            out[i] = dictionary_.code(text, hash);
        });
        codes.commit(texts.size());
        return to_numpy(codes);
    }

    nb::object find(const Vector<std::int64_t>& offsets, const Vector<std::uint8_t>& utf8) const {
        const Texts texts(offsets, utf8);
        records::Column<std::int32_t> codes;
        {
            const ReleaseIfLong release(texts.size() >= kManyTexts);
            std::int32_t* const out = codes.reserve(texts.size());
            each(texts, [&](std::size_t i, std::string_view text, std::uint64_t hash) {
                out[i] = dictionary_.find(text, hash);
            });
            codes.commit(texts.size());
        }
        return to_numpy(codes);
    }

    nb::bytes text(std::size_t code) const {
        if (code >= dictionary_.size()) throw nb::index_error("there is no such text");
        const std::string_view found = dictionary_.text(code);
        return nb::bytes(found.data(), found.size());
    }

    nb::object offsets() const { return copied(dictionary_.offsets().data(), dictionary_.offsets().size()); }
    nb::object utf8() const {
        return copied(reinterpret_cast<const std::uint8_t*>(dictionary_.bytes().data()), dictionary_.bytes().size());
    }
    std::size_t size() const { return dictionary_.size(); }
    std::size_t nbytes() const { return dictionary_.nbytes(); }
    text::Dictionary& dictionary() { return dictionary_; }

private:
    template <class Use>
    void each(const Texts& texts, Use use) const {
        dictionary_.each(texts.size(), [&](std::size_t i) { return texts[i]; }, use);
    }

    text::Dictionary dictionary_;
};

// That there may be so many buckets.
std::uint64_t checked_buckets(std::int64_t buckets) {
    if (buckets < 1 || buckets > kMostBuckets) throw std::invalid_argument("buckets must be from 1 to 2^31 - 1");
    return static_cast<std::uint64_t>(buckets);
}

nb::object hash_buckets(const Vector<std::int64_t>& offsets, const Vector<std::uint8_t>& utf8, std::int64_t buckets) {
    const std::uint64_t count = checked_buckets(buckets);
    const Texts texts(offsets, utf8);
    records::Column<std::int32_t> found;
    std::int32_t* const out = found.reserve(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) out[i] = text::bucket_of(texts[i], count);
    found.commit(texts.size());
    return to_numpy(found);
}

TextCoder adding(nb::object vocabulary) {
    return {{text::Coder::Kind::add, &nb::cast<Vocabulary&>(vocabulary).dictionary(), 0}, vocabulary};
}

TextCoder finding(nb::object vocabulary) {
    return {{text::Coder::Kind::find, &nb::cast<Vocabulary&>(vocabulary).dictionary(), 0}, vocabulary};
}

TextCoder hashing(std::int64_t buckets) {
    return {{text::Coder::Kind::hash, nullptr, checked_buckets(buckets)}, nb::none()};
}

TextCoder ignoring() { return {{}, nb::none()}; }

nb::tuple join_columns(const nb::list& columns, std::size_t rows) {
    std::vector<ColumnOfCodes> views;
    std::vector<Vector<std::int32_t>> codes;  // that hold the arrays meanwhile
    std::vector<Vector<float>> values;
    for (const nb::handle column : columns) {
        const auto parts = nb::cast<nb::tuple>(column);
        if (parts.size() != 3) throw std::invalid_argument("a column must be codes, the first feature, and values or None");
        codes.push_back(nb::cast<Vector<std::int32_t>>(parts[0]));
        ColumnOfCodes view{codes.back().data(), nb::cast<std::uint32_t>(parts[1]), nullptr};
        bool fits = codes.back().shape(0) == rows;
        if (!parts[2].is_none()) {
            values.push_back(nb::cast<Vector<float>>(parts[2]));
            view.values = values.back().data();
            fits &= values.back().shape(0) == rows;
        }
        if (!fits) throw std::invalid_argument("each column must have as many codes and values as there are rows");
        views.push_back(view);
    }
    JoinedRows joined;
    {
        const ReleaseIfLong release(rows * views.size() >= kManyCells);
        join(views, rows, joined);
    }
    return nb::make_tuple(to_numpy(joined.indptr), to_numpy(joined.indices), to_numpy(joined.values));
}

}  // namespace

void register_encoding(nb::module_& m) {
    nb::class_<Vocabulary>(m, "Vocabulary", "Different texts, numbered in the order in which they were added.")
        .def(nb::init<>())
        .def("__len__", &Vocabulary::size)
        .def_prop_ro("nbytes", &Vocabulary::nbytes)
        .def_prop_ro("offsets", &Vocabulary::offsets)
        .def_prop_ro("utf8", &Vocabulary::utf8)
        .def("add", &Vocabulary::add, "offsets"_a, "utf8"_a)
        .def("find", &Vocabulary::find, "offsets"_a, "utf8"_a)
        .def("text", &Vocabulary::text, "code"_a);
    nb::class_<TextCoder>(m, "TextCoder", "What numbers the texts of a column get while they are read.")
        .def_static("adding", &adding, "vocabulary"_a)
        .def_static("finding", &finding, "vocabulary"_a)
        .def_static("hashing", &hashing, "buckets"_a)
        .def_static("ignoring", &ignoring)
        .def_ro("vocabulary", &TextCoder::vocabulary);
    m.def("join_columns", &join_columns, "columns"_a, "rows"_a, "Columns of features to compressed sparse rows.");
    m.def("hash_buckets", &hash_buckets, "offsets"_a, "utf8"_a, "buckets"_a, "The bucket of each text.");
}

}  // namespace openfm
