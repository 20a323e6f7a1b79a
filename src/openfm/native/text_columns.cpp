#include "text_columns.hpp"

#include <cstring>
#include <limits>
#include <random>

#include "text_numbers.hpp"

namespace openfm::text {
namespace {

// Another one in each process, so that nobody can prepare texts that all fall into one place.
const std::uint64_t hash_seed = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}();

// FNV-1a over words of eight bytes, mixed at the end. It never leaves this process.
std::uint64_t hash_of(std::string_view text) {
    constexpr std::uint64_t prime = 0x9E3779B97F4A7C15U;
    std::uint64_t hash = hash_seed ^ text.size() * prime;
    while (!text.empty()) {
        std::uint64_t word = 0;
        const std::size_t size = text.size() < sizeof word ? text.size() : sizeof word;
        std::memcpy(&word, text.data(), size);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
        text.remove_prefix(size);
    }
    hash *= prime;  // texts that differ in their last bytes only differ in high bits so far
    return hash ^ hash >> 29;
}

Fault append(ParsedColumn& column, const RowScanner& scanner, std::size_t field) {
    const std::string_view text = scanner.fields()[field];
    if (column.kind == ColumnKind::category) {
        column.codes.push(text.empty() ? -1 : column.dictionary.code(text));
    } else {
        double value = 0;
        const NumberKind kind = parse_number(text, value);
        if (kind == NumberKind::infinite || kind == NumberKind::not_a_number) return scanner.fault(name_of(kind), field);
        if (kind != NumberKind::finite) value = std::numeric_limits<double>::quiet_NaN();
        column.numbers.push(value);
    }
    return {};
}

Fault append_row(std::vector<ParsedColumn>& columns, const RowScanner& scanner) {
    const std::size_t count = scanner.fields().size();
    if (count != columns.size()) {
        return scanner.fault("columns", 0, static_cast<std::int64_t>(count), static_cast<std::int64_t>(columns.size()));
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (Fault fault = append(columns[i], scanner, i)) return fault;
    }
    return {};
}

}  // namespace

std::int32_t Dictionary::code(std::string_view wanted) {
    if (2 * hashes_.size() >= slots_.size()) grow();
    const std::uint64_t hash = hash_of(wanted);
    const std::size_t slot = slot_of(wanted, hash);
    if (slots_[slot] >= 0) return slots_[slot];
    const auto added = static_cast<std::int32_t>(hashes_.size());
    slots_[slot] = added;
    hashes_.push_back(hash);
    bytes_.append(wanted);
    offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
    return added;
}

std::int32_t Dictionary::find(std::string_view wanted) const {
    return slots_.empty() ? -1 : slots_[slot_of(wanted, hash_of(wanted))];
}

// Where a text is, or else the free slot where it would be.
std::size_t Dictionary::slot_of(std::string_view wanted, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = hash & mask;
    for (; slots_[slot] >= 0; slot = (slot + 1) & mask) {
        const auto found = static_cast<std::size_t>(slots_[slot]);
        if (hashes_[found] == hash && text(found) == wanted) break;
    }
    return slot;
}

std::size_t Dictionary::nbytes() const {
    return bytes_.capacity() + offsets_.capacity() * sizeof(std::int64_t) + hashes_.capacity() * sizeof(std::uint64_t) +
           slots_.capacity() * sizeof(std::int32_t);
}

std::string_view Dictionary::text(std::size_t code) const {
    const auto begin = static_cast<std::size_t>(offsets_[code]);
    return std::string_view(bytes_).substr(begin, static_cast<std::size_t>(offsets_[code + 1]) - begin);
}

void Dictionary::grow() {
    slots_.assign(slots_.empty() ? 64 : 2 * slots_.size(), -1);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t code = 0; code < hashes_.size(); ++code) {
        std::size_t slot = hashes_[code] & mask;
        while (slots_[slot] >= 0) slot = (slot + 1) & mask;
        slots_[slot] = static_cast<std::int32_t>(code);
    }
}

void parse_columns(std::string_view text, char delimiter, bool final, Columns& out) {
    RowScanner scanner(text, delimiter, final);
    for (;;) {
        const RowScanner::Status status = scanner.next();
        if (status == RowScanner::Status::row) {
            out.fault = append_row(out.columns, scanner);
            if (out.fault) return;
            ++out.rows;
        } else if (status == RowScanner::Status::bad_quote) {
            out.fault = scanner.fault("bad_quote", scanner.fields().size() - 1);
            return;
        }
        out.consumed = scanner.position();
        out.lines = scanner.lines();
        if (status != RowScanner::Status::row) return;
    }
}

}  // namespace openfm::text
