// Reads and writes of a start, which nobody waits behind but the start itself.
#include <algorithm>

#include "broker/log/recovery.hpp"

namespace leat::log {

Result<ByteView> WaitingStorage::read(std::uint64_t at, std::size_t size) {
    constexpr std::uint64_t unit = 4096;
    const std::uint64_t from = at / unit * unit;
    const std::uint64_t to = std::min(round_up(at + size, unit), core_.geometry.size / unit * unit);
    if (to < at + size) return fail(Error::truncated);
    memory_.reserve(to - from, 0);
    // A read that failed is tried once more: what is taken for lost here may have been all that
    // knew of something (a checkpoint's facts), and a sector that was hard to read may still give
    // in.
    for (int tries = 0; tries < 2; ++tries) {
        const std::uint64_t ticket = core_.ticket(Owner::reads);
        if (!core_.storage.start_read(ticket, from,
                                      {memory_.data(), static_cast<std::size_t>(to - from)}))
            break;
        core_.counters.read_at_open += to - from;
        if (wait(ticket)) return ByteView(memory_.data() + (at - from), size);
    }
    return fail(Error::storage);
}

std::vector<std::size_t> WaitingStorage::read_what_holds(std::uint64_t at, MutableBytes into) {
    constexpr std::size_t piece = 256 * KiB, page = 4 * KiB;
    std::vector<std::size_t> lost;
    std::size_t size = piece, step = piece;
    for (std::size_t done = 0; done < into.size(); done += size) {
        if (done % piece == 0) step = piece;
        size = std::min(step, into.size() - done);
        auto bytes = read(at + done, size);
        if (!bytes && step == piece) {
            step = page;
            size = std::min(step, into.size() - done);
            bytes = read(at + done, size);
        }
        if (bytes) {
            copy_bytes(*bytes, into.subspan(done));
        } else {
            std::fill_n(into.begin() + static_cast<std::ptrdiff_t>(done), size, std::uint8_t{0});
            lost.push_back(done);
        }
    }
    return lost;
}

Status WaitingStorage::write(std::uint64_t at, ByteView bytes) {
    const std::uint64_t ticket = core_.ticket(Owner::superblock);
    memory_.reserve(bytes.size(), 0);
    copy_bytes(bytes, {memory_.data(), bytes.size()});
    if (!core_.storage.start_write(ticket, at, {memory_.data(), bytes.size()}))
        return fail(Error::storage);
    return wait(ticket);
}

Status WaitingStorage::wait(std::uint64_t ticket) {
    for (;;) {
        core_.storage.wait_done();
        bool any = false;
        while (const auto done = core_.storage.poll_done()) {
            any = true;
            if (done->ticket == ticket) return done->status;
        }
        if (!any) return fail(Error::storage);  // nothing is under way: the device has forgotten us
    }
}

}  // namespace leat::log
