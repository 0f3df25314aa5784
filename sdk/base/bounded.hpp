// Containers with a named bound and no heap.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "leat/result.hpp"

namespace leat {

/// A first-in first-out queue in memory that the caller brings. push fails with `full` at the bound.
template <class T>
class RingView {
public:
    constexpr RingView() = default;
    constexpr explicit RingView(std::span<T> memory) : slots_(memory) {}

    constexpr std::size_t size() const { return count_; }
    constexpr std::size_t capacity() const { return slots_.size(); }
    constexpr bool empty() const { return count_ == 0; }
    constexpr bool is_full() const { return count_ == slots_.size(); }
    constexpr T& operator[](std::size_t i) {
        LEAT_CHECK(i < count_);
        return slots_[wrap(first_ + i)];
    }
    constexpr const T& operator[](std::size_t i) const {
        LEAT_CHECK(i < count_);
        return slots_[wrap(first_ + i)];
    }
    constexpr T& front() { return (*this)[0]; }
    constexpr T& back() { return (*this)[count_ - 1]; }
    constexpr Status push(T value) {
        if (is_full()) return fail(Error::full);
        slots_[wrap(first_ + count_)] = std::move(value);
        ++count_;
        return ok();
    }
    constexpr void pop() {
        LEAT_CHECK(count_ > 0);
        first_ = wrap(first_ + 1);
        --count_;
    }
    constexpr void clear() { first_ = count_ = 0; }

private:
    constexpr std::size_t wrap(std::size_t i) const { return i >= slots_.size() ? i - slots_.size() : i; }

    std::span<T> slots_{};
    std::size_t first_ = 0;
    std::size_t count_ = 0;
};

/// The same with its own memory of N slots.
template <class T, std::size_t N>
class Ring : public RingView<T> {
public:
    constexpr Ring() : RingView<T>(std::span<T>(memory_)) {}
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

private:
    std::array<T, N> memory_{};
};

}  // namespace leat
