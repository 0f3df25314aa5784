// A device in front of another one: passes everything on. Tests override what they look at or hurt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "leat/port/storage.hpp"

namespace leat::test {

class StorageOver : public port::Storage {
public:
    port::StorageGeometry geometry() const override { return below_.geometry(); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        return below_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        return below_.start_read(ticket, at, into);
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override {
        return below_.start_erase(ticket, at, size);
    }
    Status start_shrink(std::uint64_t ticket, std::uint64_t size) override {
        return below_.start_shrink(ticket, size);
    }
    std::optional<port::StorageDone> poll_done() override { return below_.poll_done(); }
    void wait_done() override { below_.wait_done(); }

protected:
    explicit StorageOver(port::Storage& below) : below_(below) {}
    ~StorageOver() = default;

    port::Storage& below_;  ///< borrowed
};

}  // namespace leat::test
