// Reads and writes of a start, which nobody waits behind but the start itself.
#include <algorithm>

#include "broker/log/recovery.hpp"

namespace leat::log {

Result<ByteView> WaitingStorage::read(std::uint64_t at, std::size_t size, int tries) {
    constexpr std::uint64_t unit = 4096;
    const std::uint64_t from = at / unit * unit;
    const std::uint64_t to = std::min(round_up(at + size, unit), core_.geometry.size / unit * unit);
    if (to < at + size) return fail(Error::truncated);
    memory_.reserve(to - from, 0);
    // A read that failed is tried once more: what is taken for lost here may have been all that
    // knew of something (a checkpoint's facts), and a sector that was hard to read may still give
    // in. Where the device does not give either what it gave before, it is away.
    bool came = false;
    for (int left = tries; left > 0 && !came && !away_; --left) came = once(from, to - from);
    if (!came && tries > 1 && !away_ && gave_ != UINT64_MAX) {
        away_ = !once(gave_, unit);
        came = !away_ && once(from, to - from);
    }
    if (!came) return fail(Error::storage);
    gave_ = std::min(gave_, from);
    return ByteView(memory_.data() + (at - from), size);
}

bool WaitingStorage::once(std::uint64_t at, std::size_t size) {
    const std::uint64_t ticket = core_.ticket(Owner::reads);
    if (!core_.storage.start_read(ticket, at, {memory_.data(), size})) return false;
    core_.counters.read_at_open += size;
    return static_cast<bool>(wait(ticket));
}

std::vector<std::size_t> WaitingStorage::read_what_holds(std::uint64_t at, MutableBytes into) {
    constexpr std::size_t piece = 256 * KiB, page = 4 * KiB;
    std::vector<std::size_t> lost;
    bool gives = false;  // since something was lost
    const auto take = [&](std::size_t from, std::size_t size, int tries) {
        const auto bytes = read(at + from, size, tries);
        if (bytes) copy_bytes(*bytes, into.subspan(from));
        gives = gives || (bytes && !lost.empty());
        return bool{bytes};
    };
    std::size_t row = 0;  // so many pages before this one were refused
    const auto take_page = [&](std::size_t from) {
        if (row >= patience_.row || refused_ >= patience_.all) return false;
        const bool taken = take(from, std::min(page, into.size() - from), 1);
        row = taken ? 0 : row + 1;
        refused_ += taken ? 0 : 1;
        return taken;
    };
    for (std::size_t from = 0, to = 0; from < into.size(); from = to) {
        to = std::min(from + piece, into.size());
        if (take(from, to - from, 2)) continue;
        row = 0;
        for (std::size_t done = from; done < to; done += page) {
            if (take_page(done)) continue;
            const std::size_t size = std::min(page, to - done);
            std::fill_n(into.begin() + static_cast<std::ptrdiff_t>(done), size, std::uint8_t{0});
            lost.push_back(done);
        }
    }
    // A device that was away for a moment is asked once more for what it did not give.
    row = 0;
    if (gives) std::erase_if(lost, take_page);
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
