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

Fault append(ParsedColumn& column, const RowScanner& scanner, std::size_t field, std::uint64_t hash) {
    const std::string_view text = scanner.fields()[field];
    if (column.kind == ColumnKind::category) {
        column.codes.push(text.empty() ? -1 : column.dictionary.code(text, hash));
    } else {
        double value = 0;
        const NumberKind kind = parse_number(text, value);
        if (kind == NumberKind::infinite || kind == NumberKind::not_a_number) return scanner.fault(name_of(kind), field);
        if (kind != NumberKind::finite) value = std::numeric_limits<double>::quiet_NaN();
        column.numbers.push(value);
    }
    return {};
}

Fault append_row(std::vector<ParsedColumn>& columns, const RowScanner& scanner, std::vector<std::uint64_t>& hashes) {
    const std::size_t count = scanner.fields().size();
    if (count != columns.size()) {
        return scanner.fault("columns", 0, static_cast<std::int64_t>(count), static_cast<std::int64_t>(columns.size()));
    }
    for (std::size_t i = 0; i < count; ++i) {  // first, since each column's dictionary is somewhere else
        if (columns[i].kind != ColumnKind::category) continue;
        hashes[i] = Dictionary::hash(scanner.fields()[i]);
        columns[i].dictionary.prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (Fault fault = append(columns[i], scanner, i, hashes[i])) return fault;
    }
    return {};
}

}  // namespace

// FNV-1a over words of eight bytes, mixed at the end. Of texts of up to eight bytes that are equally long it is a
// bijection, whatever the seed.
std::uint64_t Dictionary::hash(std::string_view text) {
    constexpr std::uint64_t prime = 0x9E3779B97F4A7C15U;
    std::uint64_t hash = hash_seed ^ text.size() * prime;
    const char* data = text.data();
    std::size_t left = text.size();
    for (; left >= sizeof hash; left -= sizeof hash, data += sizeof hash) {
        std::uint64_t word;
        std::memcpy(&word, data, sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
    }
    if (left != 0) {
        std::uint64_t word = 0;
        std::memcpy(&word, data, left);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
    }
    hash *= prime;  // texts that differ in their last bytes only differ in high bits so far
    return hash ^ hash >> 29;
}

std::int32_t Dictionary::code(std::string_view wanted, std::uint64_t hash) {
    if (4 * (size() + 1) > 3 * slots_.size()) grow();
    Slot& slot = slots_[slot_of(wanted, hash)];
    if (slot.code < 0) {
        slot = {hash, static_cast<std::int32_t>(size()), static_cast<std::uint32_t>(wanted.size())};
        bytes_.append(wanted);
        offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
    }
    return slot.code;
}

// Where a text is, or else the free slot where it would be.
std::size_t Dictionary::slot_of(std::string_view wanted, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    for (; slots_[at].code >= 0; at = (at + 1) & mask) {
        const Slot& slot = slots_[at];
        if (slot.hash != hash || slot.size != static_cast<std::uint32_t>(wanted.size())) continue;
        if (wanted.size() <= sizeof hash || text(static_cast<std::size_t>(slot.code)) == wanted) break;
    }
    return at;
}

std::size_t Dictionary::nbytes() const {
    return bytes_.capacity() + offsets_.capacity() * sizeof(std::int64_t) + slots_.capacity() * sizeof(Slot);
}

std::string_view Dictionary::text(std::size_t code) const {
    const auto begin = static_cast<std::size_t>(offsets_[code]);
    return std::string_view(bytes_).substr(begin, static_cast<std::size_t>(offsets_[code + 1]) - begin);
}

void Dictionary::grow() {
    std::vector<Slot> slots(slots_.empty() ? 64 : 2 * slots_.size());
    const std::size_t mask = slots.size() - 1;
    for (const Slot& slot : slots_) {
        if (slot.code < 0) continue;
        std::size_t at = slot.hash & mask;
        while (slots[at].code >= 0) at = (at + 1) & mask;
        slots[at] = slot;
    }
    slots_.swap(slots);
}

void parse_columns(std::string_view text, char delimiter, bool final, Columns& out) {
    RowScanner scanner(text, delimiter, final);
    std::vector<std::uint64_t> hashes(out.columns.size());
    for (;;) {
        const RowScanner::Status status = scanner.next();
        if (status == RowScanner::Status::row) {
            out.fault = append_row(out.columns, scanner, hashes);
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
