#include "tests/support/emmc_storage.hpp"

#include <algorithm>

namespace leat::test {

Status EmmcStorage::start_write(std::uint64_t ticket, std::uint64_t at,
                                std::span<const std::uint8_t> bytes) {
    writes_.push_back({Work::Kind::write, ticket, at, bytes, {}, 0});
    begin(now_us_);
    return ok();
}

Status EmmcStorage::start_read(std::uint64_t ticket, std::uint64_t at,
                               std::span<std::uint8_t> into) {
    reads_.push_back({Work::Kind::read, ticket, at, {}, into, 0});
    begin(now_us_);
    return ok();
}

Status EmmcStorage::start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) {
    erases_.push_back({Work::Kind::erase, ticket, at, {}, {}, size});
    begin(now_us_);
    return ok();
}

/// Takes the device no time.
Status EmmcStorage::start_shrink(std::uint64_t ticket, std::uint64_t size) {
    if (const Status started = below_.start_shrink(ticket, size); !started) return started;
    const auto done = below_.poll_done();
    LEAT_CHECK(done.has_value());
    done_.push_back(*done);
    return ok();
}

std::optional<port::StorageDone> EmmcStorage::poll_done() {
    if (done_.empty()) return std::nullopt;
    const port::StorageDone first = done_.front();
    done_.pop_front();
    return first;
}

void EmmcStorage::wait_done() {
    while (done_.empty() && current_) advance(finish_us_);
}

std::optional<std::uint64_t> EmmcStorage::next_us() const {
    return current_ ? std::optional(finish_us_) : std::nullopt;
}

void EmmcStorage::advance(std::uint64_t now_us) {
    while (current_ && finish_us_ <= now_us) {
        now_us_ = finish_us_;
        finish();
        begin(now_us_);
    }
    now_us_ = std::max(now_us_, now_us);
}

void EmmcStorage::begin(std::uint64_t at_us) {
    if (current_) return;
    std::deque<Work>* from = nullptr;
    if (!reads_.empty())
        from = &reads_;
    else if (!erases_.empty() && (erase_next_ || writes_.empty()))
        from = &erases_;
    else if (!writes_.empty())
        from = &writes_;
    if (from == nullptr) return;
    current_ = from->front();
    from->pop_front();
    finish_us_ = at_us;
    switch (current_->kind) {
        case Work::Kind::read:
            finish_us_ += times_.begin_us + current_->into.size() / times_.read_bytes_per_us;
            break;
        case Work::Kind::write:
            finish_us_ += times_.durable_write_us(current_->bytes.size());
            erase_next_ = true;
            break;
        case Work::Kind::erase: {
            const std::uint64_t slice = std::min(current_->left, times_.erase_slice_bytes);
            finish_us_ += times_.begin_us + slice / times_.write_bytes_per_us;
            erase_next_ = false;
            break;
        }
    }
}

void EmmcStorage::finish() {
    Work work = *current_;
    current_.reset();
    switch (work.kind) {
        case Work::Kind::read:
            LEAT_CHECK(static_cast<bool>(below_.start_read(work.ticket, work.at, work.into)));
            break;
        case Work::Kind::write:
            LEAT_CHECK(static_cast<bool>(below_.start_write(work.ticket, work.at, work.bytes)));
            break;
        case Work::Kind::erase: {
            const std::uint64_t slice = std::min(work.left, times_.erase_slice_bytes);
            LEAT_CHECK(static_cast<bool>(below_.start_erase(work.ticket, work.at, slice)));
            work.at += slice;
            work.left -= slice;
            if (work.left > 0) {
                LEAT_CHECK(below_.poll_done().has_value());
                erases_.push_front(work);
                return;
            }
            break;
        }
    }
    const auto done = below_.poll_done();
    LEAT_CHECK(done.has_value());
    done_.push_back(*done);
}

}  // namespace leat::test
