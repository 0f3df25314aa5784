// Memory that the caller brings, or (Profile) that lies in the object itself, so that its address
// and its size are constants. One spelling for both, so that there is one text of what works in it.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "leat/check.hpp"

namespace leat {

/// N things, with as much of std::span as is used. All zero at first, so that it costs no code.
template <class T, std::size_t N>
class OwnRoom {
public:
    constexpr OwnRoom() = default;
    /// Nothing can be handed in where the profile says what there is.
    constexpr OwnRoom(std::span<T> brought) { LEAT_CHECK(brought.empty()); }
    constexpr operator std::span<T>() { return items_; }
    static constexpr std::size_t size() { return N; }
    static constexpr bool empty() { return false; }
    constexpr T* data() { return items_; }
    constexpr const T* data() const { return items_; }
    constexpr T& operator[](std::size_t i) { return items_[i]; }
    constexpr const T& operator[](std::size_t i) const { return items_[i]; }
    constexpr std::span<T> first(std::size_t count) { return {items_, count}; }
    constexpr std::span<const T> first(std::size_t count) const { return {items_, count}; }
    constexpr std::span<T> subspan(std::size_t from) { return {items_ + from, N - from}; }
    constexpr std::span<T> subspan(std::size_t from, std::size_t count) {
        return {items_ + from, count};
    }
    constexpr std::span<const T> subspan(std::size_t from, std::size_t count) const {
        return {items_ + from, count};
    }

private:
    T items_[N]{};
};

/// A T that is a part of who works with it, spelled like the T* to one that is lent. So that its
/// address is a constant, and nothing has to be loaded to find it.
template <class T>
class Inner {
public:
    constexpr Inner() = default;
    /// Nothing else can be lent where it is a part.
    constexpr Inner(T* lent) { LEAT_CHECK(lent == &part_ || lent == nullptr); }
    constexpr Inner& operator=(T* lent) {
        LEAT_CHECK(lent == &part_);
        return *this;
    }
    constexpr T& operator*() { return part_; }
    constexpr const T& operator*() const { return part_; }
    constexpr T* operator->() { return &part_; }
    constexpr const T* operator->() const { return &part_; }
    friend constexpr bool operator==(const Inner&, std::nullptr_t) { return false; }

private:
    T part_{};
};

template <class T, bool own>
using InnerOrLent = std::conditional_t<own, Inner<T>, T*>;

/// N = 0: a borrowed span.
template <class T, std::size_t N>
using Room = std::conditional_t<N == 0, std::span<T>, OwnRoom<T, N + (N == 0)>>;

}  // namespace leat
