// What the device refuses of a source. Its block is asked for again page by page; a page that does
// not come is in doubt, and with it its segment is left out of all runs: the others are packed
// without it. Where nothing else is left to be done the page is asked for again, more and more
// seldom, until it comes or is lost (refusals.hpp). What is lost is zeros, in which the walk goes
// on as over any damage.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

/// Reads the block that holds what comes next.
Cleaner::Walked Cleaner::fetch() {
    if (!by_pages_) {
        const Source& source = plan_[at_];
        const std::uint32_t from = walk_.position / core_.page * core_.page;
        const auto end = static_cast<std::uint32_t>(
            round_up(core_.segments[source.segment].data_end, core_.page));
        if (from >= end || (from == block_from_ && block_size_ > 0 && from + block_size_ >= end))
            return Walked::surprise;
        block_from_ = from;
        block_size_ = 0;
        reading_ = std::min(cleaner_block_bytes, end - from);
        block_.reserve(cleaner_block_bytes, 0);
        page_at_ = row_ = given_ = 0;
        in_doubt_ = false;
        by_pages_ = core_.refusals.knows(place_here(), from, from + reading_);
        if (!by_pages_) return start_read(0, reading_);
    }
    while (page_at_ < reading_ && !core_.refusals.due(core_.called_at, place_here()))
        skip_refused();
    // Each may take a second, and of a device that is away no page comes.
    if (row_ >= Patience{}.row) return Walked::refused;
    if (page_at_ < reading_) return start_read(page_at_, core_.page);
    if (in_doubt_) return Walked::refused;
    by_pages_ = false;
    block_size_ = reading_;
    return Walked::wait;  // it is here next time
}

Cleaner::Walked Cleaner::start_read(std::uint32_t at, std::uint32_t bytes) {
    ticket_ = core_.ticket(Owner::cleaner);
    doing_ = Doing::read;
    core_.counters.read += bytes;
    const Status started = core_.storage.start_read(
        ticket_, core_.address(plan_[at_].segment, block_from_ + at), {block_.data() + at, bytes});
    if (started) return Walked::wait;
    ticket_ = 0;
    doing_ = Doing::nothing;
    if (started.error() != Error::full) on_read(false);  // full: others keep the device busy
    return Walked::wait;
}

void Cleaner::on_read(bool good) {
    if (!by_pages_) {
        if (good) {
            core_.refusals.given(place_here(), reading_);
            block_size_ = reading_;
        }
        by_pages_ = !good;
        return;
    }
    if (good) {
        core_.refusals.given(place_here(), core_.page);
        page_at_ += core_.page;
        row_ = 0;
        ++given_;
        return;
    }
    core_.refused(place_here());
    if (!core_.refusals.lost(place_here())) ++row_;
    skip_refused();
}

void Cleaner::skip_refused() {
    if (core_.refusals.lost(place_here()))
        std::fill_n(block_.data() + page_at_, core_.page, std::uint8_t{0});
    else
        in_doubt_ = true;
    page_at_ += core_.page;
}

/// false: nothing is in doubt whose time has come. The segment's header goes first: tries count
/// only when the device gave something in between, and nobody else may be reading.
bool Cleaner::ask_again(Instant now) {
    const auto place = core_.refusals.to_ask(now, [this](const Refusals::Place& one) {
        if (one.segment >= core_.segments.size()) return false;
        const SegmentEntry& entry = core_.segments[one.segment];
        return entry.generation == one.generation && entry.state == SegmentState::sealed &&
               entry.in_ring() && one.position < entry.data_end;
    });
    if (!place) return false;
    asked_ = *place;
    next_at_ = now + cleaner_pace;
    ask(Doing::ask_header, 0);
    return true;
}

void Cleaner::ask(Doing what, std::uint32_t position) {
    block_.reserve(cleaner_block_bytes, 0);
    ticket_ = core_.ticket(Owner::cleaner);
    doing_ = what;
    core_.counters.read += core_.page;
    const Status started = core_.storage.start_read(
        ticket_, core_.address(asked_.segment, position), {block_.data(), core_.page});
    if (started) return;
    ticket_ = 0;
    doing_ = Doing::nothing;
    if (started.error() != Error::full) on_asked(what, false);
}

void Cleaner::on_asked(Doing what, bool good) {
    if (stopped_ || core_.segments[asked_.segment].generation != asked_.generation) return;
    if (what == Doing::ask_header) return ask(Doing::ask_page, asked_.position);
    if (good)
        core_.refusals.given(asked_, core_.page);
    else
        core_.refused(asked_);
    block_.free();
}

}  // namespace leat::log
