// How thousands of streams are found at once: tables of pointers beside the entries themselves.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::log {

/// Only a hint; `at` may be anything.
inline void prefetch_front(const void* at, std::size_t bytes) {
    constexpr std::size_t line = 64;
    for (std::size_t i = 0; i < bytes && i < 6 * line; i += line)
        __builtin_prefetch(static_cast<const char*>(at) + i, 1);
}

/// Entries with a StreamId as `first`, found by it; they live elsewhere and do not move. Stream
/// numbers are given one after the other, so the low bits of one are its place (open addressing,
/// at most two thirds full), and those of one topic are neighbours here. The table has the numbers,
/// too: an entry that is only to be pointed to is not looked at.
template <class Entry>
class StreamTable {
public:
    StreamTable() = default;
    StreamTable(StreamTable&& from) noexcept { swap(from); }
    StreamTable& operator=(StreamTable&& from) noexcept {
        StreamTable(std::move(from)).swap(*this);
        return *this;
    }
    Entry* find(StreamId id) const {
        if (places_.empty()) return nullptr;
        for (std::size_t at = id & mask(); places_[at].entry != nullptr; at = (at + 1) & mask())
            if (places_[at].id == id) return places_[at].entry;
        return nullptr;
    }
    /// It is not in the table yet.
    void put(Entry* entry) {
        if ((count_ + 1) * 3 > places_.size() * 2) grow();
        place({entry, entry->first});
        ++count_;
    }
    void erase(StreamId id) {
        if (find(id) == nullptr) return;
        std::size_t hole = id & mask();
        while (places_[hole].id != id) hole = (hole + 1) & mask();
        // What was put behind for want of this place moves up.
        for (std::size_t at = (hole + 1) & mask(); places_[at].entry != nullptr;
             at = (at + 1) & mask()) {
            const std::size_t home = places_[at].id & mask();
            if (((at - home) & mask()) < ((at - hole) & mask())) continue;
            places_[hole] = places_[at];
            hole = at;
        }
        places_[hole] = {};
        --count_;
    }
    void clear() { StreamTable().swap(*this); }

private:
    struct Place {
        Entry* entry = nullptr;
        StreamId id = 0;
    };
    void swap(StreamTable& other) noexcept {
        places_.swap(other.places_);
        std::swap(count_, other.count_);
    }
    std::size_t mask() const { return places_.size() - 1; }
    void place(const Place& one) {
        std::size_t at = one.id & mask();
        while (places_[at].entry != nullptr) at = (at + 1) & mask();
        places_[at] = one;
    }
    void grow() {
        std::vector<Place> old(places_.empty() ? 8 : places_.size() * 2);
        old.swap(places_);
        for (const Place& one : old)
            if (one.entry != nullptr) place(one);
    }
    std::vector<Place> places_;  ///< a power of two of them, or none
    std::size_t count_ = 0;
};

/// A few small things: the first `Near` of them need no memory of their own.
template <class T, std::uint32_t Near>
class Few {
public:
    Few() = default;
    Few(const Few& from) { assign(from.begin(), from.size()); }
    Few(Few&& from) noexcept { take(from); }
    Few& operator=(const Few& from) {
        if (this != &from) assign(from.begin(), from.size());
        return *this;
    }
    Few& operator=(Few&& from) noexcept {
        if (this != &from) {
            far_.clear();
            take(from);
        }
        return *this;
    }
    Few& operator=(const std::vector<T>& from) {
        assign(from.data(), from.size());
        return *this;
    }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T* begin() const { return size_ > Near ? far_.data() : near_; }
    const T* end() const { return begin() + size_; }
    T* begin() { return size_ > Near ? far_.data() : near_; }
    T* end() { return begin() + size_; }
    const T& front() const { return *begin(); }
    const T& back() const { return begin()[size_ - 1]; }
    const T& operator[](std::size_t at) const { return begin()[at]; }
    void reserve(std::size_t count) {
        if (count > Near) far_.reserve(count);
    }
    /// Far more memory than is needed goes back.
    void assign(const T* from, std::size_t count) {
        size_ = static_cast<std::uint32_t>(count);
        const std::size_t far = count > Near ? count : 0;
        if (far_.capacity() > 2 * far) std::vector<T>().swap(far_);
        far_.assign(from, from + far);
        if (far == 0) std::copy(from, from + count, near_);
    }
    void push_back(const T& one) {
        if (size_ == Near) far_.assign(near_, near_ + Near);
        if (size_ < Near)
            near_[size_] = one;
        else
            far_.push_back(one);
        ++size_;
    }

private:
    void take(Few& from) noexcept {
        size_ = std::exchange(from.size_, 0);
        far_.swap(from.far_);
        for (std::uint32_t i = 0; i < Near; ++i) near_[i] = from.near_[i];
    }
    T near_[Near];
    std::uint32_t size_ = 0;
    std::vector<T> far_;
};

}  // namespace leat::log
