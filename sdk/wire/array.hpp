// Array<T>: the one array type of all messages.
//
// To be encoded it is a span of the caller's elements. Decoded, it is a view of the frame: `count`
// elements lie between two addresses, and each is decoded as the iteration reaches it. The reader
// has walked all of them once before it hands out the view, so iteration cannot fail and needs no
// heap. Copies are cheap; both kinds borrow.
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>

#include "sdk/wire/primitives.hpp"

namespace leat::wire {

template <class T>
class Array : public ArrayView {
public:
    using value_type = T;

    constexpr Array() = default;  ///< empty, which is not null
    constexpr Array(std::nullptr_t) { count = -1; }
    constexpr Array(std::span<const T> items) {
        first = items.data();
        count = static_cast<std::int32_t>(items.size());
    }
    template <class Items>
        requires(!std::same_as<Items, Array> && !std::same_as<Items, std::span<const T>> &&
                 std::convertible_to<const Items&, std::span<const T>>)
    constexpr Array(const Items& items) : Array(std::span<const T>(items)) {}

    class Iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;

        constexpr Iterator() = default;
        constexpr explicit Iterator(const ArrayView& array)
            : at_(array.first), array_(&array), left_(array.size()) {
            load();
        }
        /// For a decoded array the reference lives until ++; its views borrow the frame.
        constexpr const T& operator*() const {
            return array_->decode ? item_ : *static_cast<const T*>(at_);
        }
        constexpr const T* operator->() const { return &**this; }
        constexpr Iterator& operator++() {
            --left_;
            if (!array_->decode) at_ = static_cast<const T*>(at_) + 1;
            load();
            return *this;
        }
        constexpr Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        friend constexpr bool operator==(const Iterator& i, std::default_sentinel_t) {
            return i.left_ == 0;
        }
        friend constexpr bool operator==(const Iterator& a, const Iterator& b) {
            return a.left_ == b.left_;
        }

    private:
        /// A decoded element is taken out of the frame at once, so at_ is where the next one
        /// begins.
        constexpr void load() {
            if (left_ > 0 && array_->decode) at_ = array_->take(at_, &item_);
        }

        const void* at_ = nullptr;
        const ArrayView* array_ = nullptr;
        std::size_t left_ = 0;
        T item_{};
    };

    /// The array object must outlive its iterators.
    constexpr Iterator begin() const { return Iterator(*this); }
    constexpr std::default_sentinel_t end() const { return {}; }
    /// The first element; the array must not be empty.
    constexpr T front() const { return *begin(); }
    /// The caller's elements of an array to be encoded; empty for a decoded one.
    constexpr std::span<const T> items() const {
        return decode ? std::span<const T>()
                      : std::span<const T>(static_cast<const T*>(first), size());
    }
};

}  // namespace leat::wire
