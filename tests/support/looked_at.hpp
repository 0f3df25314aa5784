// A device that somebody else has and works on, as who looks at it sees it: reads are answered at
// once, and nothing is ever written.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "leat/port/storage.hpp"

namespace leat::test {

class LookedAt : public port::Storage {
public:
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) final {
        done_.push_back({ticket, look(at, into)});
        return ok();
    }
    Status start_write(std::uint64_t, std::uint64_t, std::span<const std::uint8_t>) final {
        return fail(Error::invalid);
    }
    Status start_erase(std::uint64_t, std::uint64_t, std::uint64_t) final {
        return fail(Error::invalid);
    }
    Status start_shrink(std::uint64_t, std::uint64_t) final { return fail(Error::invalid); }
    std::optional<port::StorageDone> poll_done() final {
        if (done_.empty()) return std::nullopt;
        const port::StorageDone done = done_.front();
        done_.pop_front();
        return done;
    }
    void wait_done() final {}

protected:
    ~LookedAt() = default;
    /// What stands there now, after whatever its owner does meanwhile.
    virtual Status look(std::uint64_t at, std::span<std::uint8_t> into) = 0;

private:
    std::deque<port::StorageDone> done_;
};

}  // namespace leat::test
