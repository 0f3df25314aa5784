// Array<T>: the one array type of all messages.
//
// To be encoded it is a span of the caller's elements. Decoded, it is a view of the frame: `count`
// elements lie between two addresses, and each is decoded as the iteration reaches it. The decoder has
// walked all of them once before it hands out the view, so iteration cannot fail and needs no heap.
// Copies are cheap; both kinds borrow.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <span>

namespace leat::wire {

template <class T>
class Array {
public:
    using value_type = T;
    /// Decodes one element at `at` and returns where the next one begins.
    using Decode = const std::uint8_t* (*)(const std::uint8_t* at, const std::uint8_t* end,
                                           std::int16_t version, bool flexible, T& item);

    constexpr Array() = default;  ///< empty, which is not null
    constexpr Array(std::nullptr_t) : count_(-1) {}
    constexpr Array(std::span<const T> items)
        : begin_(items.data()), count_(static_cast<std::int32_t>(items.size())) {}
    template <class Items>
        requires(!std::same_as<Items, Array> && !std::same_as<Items, std::span<const T>> &&
                 std::convertible_to<const Items&, std::span<const T>>)
    constexpr Array(const Items& items) : Array(std::span<const T>(items)) {}

    /// The decoder's: `count` elements, walked before, lie in [begin, end).
    static constexpr Array of_frame(const std::uint8_t* begin, const std::uint8_t* end, std::int32_t count,
                                    Decode decode, std::int16_t version, bool flexible) {
        Array array;
        array.begin_ = begin;
        array.end_ = end;
        array.count_ = count;
        array.decode_ = decode;
        array.version_ = version;
        array.flexible_ = flexible;
        return array;
    }

    constexpr bool is_null() const { return count_ < 0; }
    constexpr std::size_t size() const { return count_ < 0 ? 0 : static_cast<std::size_t>(count_); }
    constexpr bool empty() const { return count_ <= 0; }

    class Iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;

        constexpr Iterator() = default;
        constexpr explicit Iterator(const Array& array) : left_(array.size()), array_(&array) {
            at_ = array.begin_;
            load();
        }
        /// For a decoded array the reference lives until ++; its views borrow the frame.
        constexpr const T& operator*() const {
            return array_->decode_ ? item_ : *static_cast<const T*>(at_);
        }
        constexpr const T* operator->() const { return &**this; }
        constexpr Iterator& operator++() {
            --left_;
            at_ = array_->decode_ ? static_cast<const void*>(next_)
                                  : static_cast<const void*>(static_cast<const T*>(at_) + 1);
            load();
            return *this;
        }
        constexpr Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        friend constexpr bool operator==(const Iterator& i, std::default_sentinel_t) { return i.left_ == 0; }
        friend constexpr bool operator==(const Iterator& a, const Iterator& b) { return a.left_ == b.left_; }

    private:
        constexpr void load() {
            if (left_ > 0 && array_->decode_)
                next_ = array_->decode_(static_cast<const std::uint8_t*>(at_), array_->end_,
                                        array_->version_, array_->flexible_, item_);
        }

        const void* at_ = nullptr;
        const std::uint8_t* next_ = nullptr;
        std::size_t left_ = 0;
        const Array* array_ = nullptr;
        T item_{};
    };

    /// The array object must outlive its iterators.
    constexpr Iterator begin() const { return Iterator(*this); }
    constexpr std::default_sentinel_t end() const { return {}; }
    /// The first element; the array must not be empty.
    constexpr T front() const { return *begin(); }

private:
    const void* begin_ = nullptr;
    const std::uint8_t* end_ = nullptr;
    Decode decode_ = nullptr;  ///< null: a span
    std::int32_t count_ = 0;   ///< -1: null
    std::int16_t version_ = 0;
    bool flexible_ = false;
};

}  // namespace leat::wire
