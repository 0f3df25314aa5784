#include "broker/log/key_map.hpp"

#include <algorithm>
#include <bit>

#include "broker/log/little.hpp"

namespace leat::log {

namespace {

struct Sip {
    std::uint64_t v0, v1, v2, v3;
    void rounds(int count) {
        for (; count > 0; --count) {
            v0 += v1;
            v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32) + v3;
            v2 += v1;
            v3 = std::rotl(v3, 21) ^ v0;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    }
    void word(std::uint64_t w) {
        v3 ^= w;
        rounds(2);
        v0 ^= w;
    }
    std::uint64_t all() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

KeyHash siphash128(const KeyHash& secret, ByteView bytes) {
    Sip sip{secret.low ^ 0x736f6d6570736575, secret.high ^ 0x646f72616e646f6d ^ 0xee,
            secret.low ^ 0x6c7967656e657261, secret.high ^ 0x7465646279746573};
    std::size_t at = 0;
    for (; bytes.size() - at >= 8; at += 8) sip.word(load_little<std::uint64_t>(bytes.data() + at));
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (std::size_t i = 0; at + i < bytes.size(); ++i)
        last |= static_cast<std::uint64_t>(bytes[at + i]) << (8 * i);
    sip.word(last);
    sip.v2 ^= 0xee;
    sip.rounds(4);
    KeyHash hash;
    hash.low = sip.all();
    sip.v1 ^= 0xdd;
    sip.rounds(4);
    hash.high = sip.all();
    return hash;
}

KeyMap::KeyMap(std::size_t bytes, KeyHash secret)
    : secret_(secret), entries_(std::max<std::size_t>(bytes / sizeof(Entry), 8)) {}

/// A stream's keys are its own: its number changes the secret.
KeyHash KeyMap::hash_of(StreamId stream, ByteView key) const {
    return siphash128({secret_.low ^ stream, secret_.high}, key);
}

std::size_t KeyMap::place_of(const KeyHash& hash) const {
    std::size_t at = hash.low % entries_.size();
    while (entries_[at].offset >= 0 && entries_[at].hash != hash)
        at = at + 1 == entries_.size() ? 0 : at + 1;
    return at;
}

bool KeyMap::put(StreamId stream, ByteView key, Offset offset) {
    const KeyHash hash = hash_of(stream, key);
    Entry& entry = entries_[place_of(hash)];
    if (entry.offset < 0) {
        if (size_ >= entries_.size() / 4 * 3) return false;
        ++size_;
        entry.hash = hash;
    }
    entry.offset = std::max(entry.offset, offset);
    return true;
}

Offset KeyMap::find(StreamId stream, ByteView key) const {
    return entries_[place_of(hash_of(stream, key))].offset;
}

}  // namespace leat::log
