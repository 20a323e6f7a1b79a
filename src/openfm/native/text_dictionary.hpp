// The different texts of a column, and the numbers that texts get while they are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace openfm::text {

// The different texts of a column, each once, in the order in which they were first seen.
class Dictionary {
public:
    // A text's hash. It never leaves this process.
    static std::uint64_t hash(std::string_view text);

    // The number of a text, which is added if it is new. Throws std::length_error when there are 2^31 - 1 already.
    std::int32_t code(std::string_view text, std::uint64_t hash) {
        if (room_ == 0) grow();
        const Slot& slot = slots_[slot_of(text, hash)];
        return slot.code >= 0 ? slot.code : add(text, hash);
    }

    // The number of a text, -1 if it is not there. Safe to call from several threads while nothing is added.
    std::int32_t find(std::string_view text, std::uint64_t hash) const {
        return slots_.empty() ? -1 : slots_[slot_of(text, hash)].code;
    }

    // Calls `use(i, text, hash)` with each of `count` texts, for which memory was asked some texts before.
    template <class TextAt, class Use>
    void each(std::size_t count, TextAt text_at, Use use) const {
        constexpr std::size_t ahead = 32;
        std::uint64_t hashes[ahead];
        for (std::size_t i = 0; i < count + ahead; ++i) {
            if (i >= ahead) use(i - ahead, text_at(i - ahead), hashes[i % ahead]);
            if (i < count) {
                hashes[i % ahead] = hash(text_at(i));
                prefetch(hashes[i % ahead]);
            }
        }
    }

    std::size_t size() const { return offsets_.size() - 1; }
    std::string_view text(std::size_t code) const;
    std::size_t nbytes() const;  // of memory

    const std::vector<std::int64_t>& offsets() const { return offsets_; }  // where each text begins, and the end
    const std::string& bytes() const { return bytes_; }

private:
    // All that is needed to tell short texts apart, so that a look-up takes one line of memory.
    struct Slot {
        std::uint64_t hash = 0;
        std::int32_t code = -1;  // where free
        std::uint32_t size = 0;  // of the text; its lower 32 bits
    };

    void prefetch(std::uint64_t hash) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
    }

    // Where a text is, or else the free slot where it would be.
    std::size_t slot_of(std::string_view wanted, std::uint64_t hash) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t at = hash & mask;
        for (; slots_[at].code >= 0; at = (at + 1) & mask) {
            const Slot& slot = slots_[at];
            if (slot.hash != hash || slot.size != static_cast<std::uint32_t>(wanted.size())) continue;
            if (wanted.size() <= sizeof hash || text(static_cast<std::size_t>(slot.code)) == wanted) break;
        }
        return at;
    }

    std::int32_t add(std::string_view text, std::uint64_t hash);
    void grow();

    std::vector<std::int64_t> offsets_{0};
    std::string bytes_;
    std::vector<Slot> slots_;  // of an open hash table, at most three quarters of which are taken
    std::size_t room_ = 0;     // for so many more texts
};

// A text's bucket: FNV-1a of 64 bits (draft-eastlake-fnv), the upper half folded onto the lower, modulo the number of
// buckets. It is in artifacts: it must never change.
std::int32_t bucket_of(std::string_view text, std::uint64_t buckets);

// What becomes of the texts of a column while they are read.
struct Coder {
    enum class Kind : std::uint8_t { add, find, hash, ignore };

    static constexpr std::int32_t kMissing = -1;  // the code of an empty field
    static constexpr std::int32_t kUnknown = -2;  // of a text that is not in the dictionary, where none is added

    Kind kind = Kind::ignore;
    Dictionary* dictionary = nullptr;
    std::uint64_t buckets = 0;

    // The codes of `count` texts.
    void codes(const std::string_view* texts, std::size_t count, std::int32_t* out) const;
};

}  // namespace openfm::text
