#include "text_dictionary.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

namespace openfm::text {
namespace {

constexpr std::size_t kMostTexts = 0x7fffffff;  // their numbers are int32

// Another one in each process, so that nobody can prepare texts that all fall into one place.
const std::uint64_t hash_seed = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}();

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

std::int32_t Dictionary::add(std::string_view wanted, std::uint64_t hash) {
    if (size() == kMostTexts) throw std::length_error("there are more than 2^31 - 1 different texts");
    const auto code = static_cast<std::int32_t>(size());
    slots_[slot_of(wanted, hash)] = {hash, code, static_cast<std::uint32_t>(wanted.size())};
    bytes_.append(wanted);
    offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
    --room_;
    return code;
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
    room_ = slots_.size() / 4 * 3 - size();
}

void Coder::codes(const std::string_view* texts, std::size_t count, std::int32_t* out) const {
    const auto text_at = [texts](std::size_t i) { return texts[i]; };
    switch (kind) {
        case Kind::add:
            dictionary->each(count, text_at, [&](std::size_t i, std::string_view text, std::uint64_t hash) {
                out[i] = text.empty() ? kMissing : dictionary->code(text, hash);
            });
            return;
        case Kind::find:
            dictionary->each(count, text_at, [&](std::size_t i, std::string_view text, std::uint64_t hash) {
                const std::int32_t found = dictionary->find(text, hash);
                out[i] = text.empty() ? kMissing : found >= 0 ? found : kUnknown;
            });
            return;
        case Kind::hash:
            for (std::size_t i = 0; i < count; ++i) out[i] = texts[i].empty() ? kMissing : bucket_of(texts[i], buckets);
            return;
        case Kind::ignore: std::fill_n(out, count, kMissing);
    }
}

std::int32_t bucket_of(std::string_view text, std::uint64_t buckets) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return static_cast<std::int32_t>((hash ^ hash >> 32) % buckets);
}

}  // namespace openfm::text
