// The least of many numbers that change one by one, without looking at all of them each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace leat::groups {

class Tournament {
public:
    /// At least one number.
    void begin(std::vector<std::uint32_t> numbers) {
        numbers_ = std::move(numbers);
        for (leaves_ = 1; leaves_ < numbers_.size();) leaves_ *= 2;
        winners_.assign(2 * leaves_, nobody);
        for (std::size_t i = 0; i < numbers_.size(); ++i)
            winners_[leaves_ + i] = static_cast<std::uint32_t>(i);
        for (std::size_t i = leaves_; i-- > 1;) play(i);
    }
    void set(std::size_t place, std::uint32_t number) {
        numbers_[place] = number;
        for (std::size_t i = (leaves_ + place) / 2; i > 0; i /= 2) play(i);
    }
    /// The place of the least; of equals the first.
    std::uint32_t least() const { return winners_[1]; }
    std::uint32_t number(std::size_t place) const { return numbers_[place]; }

private:
    static constexpr std::uint32_t nobody = UINT32_MAX;

    void play(std::size_t i) {
        const std::uint32_t left = winners_[2 * i], right = winners_[2 * i + 1];
        winners_[i] = right == nobody || numbers_[left] <= numbers_[right] ? left : right;
    }

    std::size_t leaves_ = 0;
    std::vector<std::uint32_t> numbers_, winners_;  // winners: a tree, its root at 1
};

}  // namespace leat::groups
