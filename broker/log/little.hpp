// Little-endian fields in order, for the structures of FORMAT.md.
#pragma once

#include <cstring>
#include <vector>

#include "sdk/base/bytes.hpp"

namespace leat::log {

/// Appends fields to a vector.
class LittleWriter {
public:
    explicit LittleWriter(std::vector<std::uint8_t>& out) : out_(out) {}
    template <class T>
    void put(T value) {
        const std::size_t at = out_.size();
        out_.resize(at + sizeof(T));
        store_little<T>(out_.data() + at, value);
    }
    void bytes(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    void pad_to(std::size_t multiple) {
        while (out_.size() % multiple != 0) out_.push_back(0);
    }

private:
    std::vector<std::uint8_t>& out_;
};

/// Puts fields one behind the other where there is room for them.
class InPlace {
public:
    explicit InPlace(std::uint8_t* at) : at_(at) {}
    template <class T>
    void put(T value) {
        store_little<T>(at_, value);
        at_ += sizeof(T);
    }

private:
    std::uint8_t* at_;
};

/// Takes fields out of borrowed bytes. Sticky: after an overrun reads yield zero and ok() is false.
class LittleReader {
public:
    explicit LittleReader(ByteView in) : left_(in) {}
    template <class T>
    T get() {
        if (left_.size() < sizeof(T)) {
            overrun();
            return T{};
        }
        const T value = load_little<T>(left_.data());
        left_ = left_.subspan(sizeof(T));
        return value;
    }
    ByteView bytes(std::size_t count) {
        if (left_.size() < count) {
            overrun();
            return {};
        }
        const ByteView taken = left_.first(count);
        left_ = left_.subspan(count);
        return taken;
    }
    void skip(std::size_t count) { (void)bytes(count); }
    bool ok() const { return ok_; }
    std::size_t left() const { return left_.size(); }

private:
    void overrun() {
        ok_ = false;
        left_ = {};
    }
    ByteView left_;
    bool ok_ = true;
};

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace leat::log
