// Regular expressions over topic names, for groups that subscribe by one (KIP-848): RE2's language
// as far as it means something for names of [a-zA-Z0-9._-], matched against the whole name.
//
// Linear by construction: a program of at most pattern_ops_max steps is walked by all its threads
// at once, so no text and no pattern can make it run away. std::regex backtracks, and is large. Not
// in it, and refused with a word: back references and look-around (RE2 has none either) and classes
// by Unicode property.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leat::groups {

constexpr std::size_t pattern_ops_max = 2'000;
constexpr int pattern_nesting_max = 50;
constexpr int pattern_repeat_max = 1'000;  ///< as RE2

class Pattern {
public:
    /// Empty text if it was compiled, else why not.
    std::string compile(std::string_view text);
    /// Whether the whole name matches. `steps` grows by what it cost.
    bool matches(std::string_view name, std::uint64_t& steps) const;
    std::size_t bytes() const {
        return ops_.capacity() * sizeof(Op) + classes_.capacity() * sizeof(CharSet);
    }

private:
    friend class PatternParser;
    using CharSet = std::array<std::uint64_t, 2>;  // of ASCII
    enum class Kind : std::uint8_t {
        one_of,
        split,
        jump,
        begin,
        end,
        word_edge,
        no_word_edge,
        match
    };
    struct Op {  // targets are relative: a piece of program may be moved and copied
        Kind kind = Kind::match;
        std::int16_t to = 0, other = 0;  // one_of: `to` is the class
    };
    struct Threads;
    void follow(Threads& threads, std::size_t op, std::string_view name, std::size_t at) const;

    std::vector<Op> ops_;
    std::vector<CharSet> classes_;
};

}  // namespace leat::groups
