// The newest offset of every key, in memory of a fixed size: what compaction compares with.
//
// Keys are known by a hash of 128 bits (SipHash-2-4 with a random key for each map), so two keys
// are never taken for one, whatever a client chooses. A full map says so, and more than one pass is
// made.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::log {

struct KeyHash {
    std::uint64_t low = 0, high = 0;
    friend bool operator==(const KeyHash&, const KeyHash&) = default;
};
/// The reference's output is `low` and `high`, little-endian, one behind the other.
KeyHash siphash128(const KeyHash& secret, ByteView bytes);

class KeyMap {
public:
    /// Takes the memory; three quarters of it hold keys.
    KeyMap(std::size_t bytes, KeyHash secret);

    /// The larger offset of a key stays. false: full, and nothing has changed
    bool put(StreamId stream, ByteView key, Offset offset);
    Offset find(StreamId stream, ByteView key) const;  ///< -1: not there
    std::size_t size() const { return size_; }

private:
    struct Entry {
        KeyHash hash;
        Offset offset = -1;
    };
    KeyHash hash_of(StreamId stream, ByteView key) const;
    std::size_t place_of(const KeyHash& hash) const;

    KeyHash secret_;
    std::vector<Entry> entries_;
    std::size_t size_ = 0;
};

}  // namespace leat::log
