// A piece of memory with the grant that allowed it. Freed and given back together.
#pragma once

#include <memory>

#include "broker/session/byte_pool.hpp"
#include "leat/check.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::session {

/// Move-only bytes on the heap, with a window [begin, end) of what counts: a response may be
/// written with a gap in front and be narrowed to its frame afterwards, without moving what was
/// read into its middle.
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t size, Grant grant = {})
        : size_(size), end_(size), grant_(std::move(grant)) {
        if (grant_.pool() != nullptr)
            chunk_ = grant_.pool()->take_chunk(size);
        else
            chunk_ = {std::make_unique_for_overwrite<std::uint8_t[]>(size), size};
    }
    static Buffer copy_of(ByteView bytes, Grant grant = {}) {
        Buffer buffer(bytes.size(), std::move(grant));
        copy_bytes(bytes, buffer.all());
        return buffer;
    }
    Buffer(Buffer&& other) noexcept { take(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        if (this != &other) {
            give_back();
            take(other);
        }
        return *this;
    }
    ~Buffer() { give_back(); }

    MutableBytes all() { return {chunk_.memory.get(), size_}; }
    ByteView bytes() const { return {chunk_.memory.get() + begin_, end_ - begin_}; }
    std::size_t size() const { return end_ - begin_; }
    bool empty() const { return begin_ == end_; }
    void narrow(std::size_t begin, std::size_t end) {
        LEAT_CHECK(begin <= end && end <= size_);
        begin_ = begin;
        end_ = end;
    }
    Grant& grant() { return grant_; }

private:
    void take(Buffer& other) {
        chunk_ = std::exchange(other.chunk_, {});
        size_ = std::exchange(other.size_, 0);
        begin_ = std::exchange(other.begin_, 0);
        end_ = std::exchange(other.end_, 0);
        grant_ = std::move(other.grant_);
    }
    void give_back() {
        if (grant_.pool() != nullptr) grant_.pool()->give_chunk(std::move(chunk_));
        chunk_ = {};
    }

    BytePool::Chunk chunk_;
    std::size_t size_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    Grant grant_;
};

}  // namespace leat::session
