// The Runner's reading side: who may read, and how much.
#include <algorithm>
#include <utility>

#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"

namespace leat::uplink {
namespace {

constexpr std::size_t chunk_bytes_min = 16 * KiB;
constexpr std::size_t chunk_bytes_max = 256 * KiB;
constexpr milliseconds read_again{1000};  // after a read that failed for the device's reasons

}  // namespace

std::size_t Runner::chunk_bytes() const {
    return std::clamp<std::size_t>(route_.in_flight_bytes / 16, chunk_bytes_min, chunk_bytes_max);
}

/// So that one large backlog does not starve the others, and a lone one may fill the way.
std::size_t Runner::share_of_tap() const {
    return std::max(chunk_bytes(), route_.in_flight_bytes / 2 / std::max<std::size_t>(behind_, 1));
}

void Runner::make_hungry(Tap& tap) {
    if (tap.hungry) return;
    tap.hungry = true;
    hungry_.push_back(&tap);
}

void Runner::make_all_hungry() {
    for (const auto& [stream, tap] : taps_) make_hungry(*tap);
}

bool Runner::wants_to_read(Instant now, const Tap& tap) const {
    if (tap.reading_into || tap.retry_read_at > now) return false;
    const log::StreamState* state = shared_.log.stream(tap.stream());
    return state != nullptr && tap.read_from() < state->flushed &&
           tap.outstanding_bytes() < share_of_tap() && can_deliver(tap);
}

std::int32_t Runner::broker_of(const Tap& tap) const {
    if (tap.lane == nullptr) return cluster::no_broker;
    return router_.metadata().leader(tap.lane->topic(), tap.lane->partition());
}

/// A broker that dies keeps what its partitions had in flight, for as long as it is away. So each
/// may hold at most twice what it leaves to the others; and whoever holds nothing may read once.
bool Runner::may_hold(std::int32_t broker, std::size_t more) {
    const std::size_t all = route_.in_flight_bytes, held = held_by(broker);
    // A batch larger than all memory of the route still has to go: alone, then.
    if (memory_ == 0) return true;
    const std::size_t left = all > memory_ ? all - memory_ : 0;
    // One longer than a usual read would wait for as long as others are refused and hold theirs.
    const bool long_one = more > chunk_bytes() && memory_ <= all;
    if (router_.metadata().brokers().size() < 2) return more <= left || long_one;
    return held == 0 || (more <= left && held + more <= 2 * left) || (long_one && held <= left);
}

bool Runner::somebody_may_hold(std::size_t more) {
    for (const auto& [broker, endpoint] : router_.metadata().brokers())
        if (may_hold(broker, more)) return true;
    return false;
}

/// Gives memory to the taps that want to read, first come first served.
void Runner::feed(Instant now) {
    if (stopped_) return;
    std::size_t reading = 0;
    for (std::size_t turns = hungry_.size(); turns > 0; --turns) {
        Tap& tap = *hungry_.front();
        if (!wants_to_read(now, tap)) {
            hungry_.pop_front();
            tap.hungry =
                false;  // an acknowledgement, new records or a better link make it hungry again
            continue;
        }
        const std::size_t next = std::max<std::size_t>(chunk_bytes(), tap.bytes_needed);
        const bool may = may_hold(broker_of(tap), next);
        if (!may && !somebody_may_hold(chunk_bytes())) break;
        hungry_.pop_front();
        if (!may) {
            hungry_.push_back(&tap);
            continue;
        }
        tap.hungry = false;
        if (start_read(now, tap)) ++reading;
    }
    if (reading > 0 || hungry_.empty())
        behind_ = std::max<std::size_t>(reads_.size() + hungry_.size(), 1);
}

void Runner::read_later(Instant now, Tap& tap) {
    tap.retry_read_at = now + read_again;
    read_again_at_ = earlier(read_again_at_, tap.retry_read_at);
}

bool Runner::start_read(Instant now, Tap& tap) {
    const log::StreamState* state = shared_.log.stream(tap.stream());
    auto chunk = std::make_shared<Chunk>(memory_, held_by(broker_of(tap)));
    chunk->bytes.resize(std::max<std::size_t>(chunk_bytes(), tap.bytes_needed));
    chunk->count();
    const log::ReadRequest request{
        .stream = tap.stream(), .from = tap.read_from(), .until = state->flushed};
    const Result<log::ReadTicket> ticket = shared_.log.start_read(now, request, chunk->bytes);
    if (!ticket) {
        read_later(now, tap);
        return false;
    }
    tap.ticket = *ticket;
    tap.discard_read = false;
    tap.reading_into = std::move(chunk);
    reads_.emplace(*ticket, &tap);
    return true;
}

bool Runner::on_read(Instant now, const log::ReadDone& done) {
    now_ = now;
    if (orphans_.erase(done.ticket) > 0) return true;
    const auto found = reads_.find(done.ticket);
    if (found == reads_.end()) return false;
    Tap& tap = *found->second;
    reads_.erase(found);
    std::shared_ptr<Chunk> chunk = std::move(tap.reading_into);
    tap.reading_into = nullptr;
    if (!tap.discard_read) {
        if (!done.bytes) {
            read_failed(now, tap, done);
        } else {
            take_read(now, tap, chunk, done);
        }
    }
    chunk = nullptr;  // before others are fed: what nobody took is free now
    tap.discard_read = false;
    make_hungry(tap);
    pump(now);
    return true;
}

void Runner::take_read(Instant now, Tap& tap, const std::shared_ptr<Chunk>& chunk,
                       const log::ReadDone& done) {
    const log::Offset before = tap.read_from();
    const std::size_t count = *done.bytes;
    tap.bytes_needed = 0;
    // A few small batches must not hold a whole chunk while they wait for their answer.
    if (count < chunk->bytes.size() / 2) {
        chunk->bytes.resize(count);
        chunk->bytes.shrink_to_fit();
        chunk->count();
    }
    if (count > 0)
        hand_out(now, tap, chunk, ByteView(chunk->bytes).first(count));
    else if (done.next > before)
        pass_over_hole(now, tap, done.next);  // offsets that hold nothing
    // Whatever the log meant by it, asking again at once would be a loop.
    if (tap.read_from() == before) read_later(now, tap);
}

void Runner::read_failed(Instant now, Tap& tap, const log::ReadDone& done) {
    const std::string where = tap.topic() + "-" + std::to_string(tap.partition());
    const log::StreamState* state = shared_.log.stream(tap.stream());
    if (state == nullptr) return read_later(now, tap);  // just deleted: topics_changed is to come
    switch (done.bytes.error()) {
        case Error::too_large:
            tap.bytes_needed = done.needed;
            return;
        case Error::not_found:
            // Deleted on request (DeleteRecords) before it was delivered.
            if (state != nullptr && state->log_start > tap.read_from()) {
                counts_.lost_records +=
                    static_cast<std::uint64_t>(state->log_start - tap.read_from());
                tell(Event::Level::warn, where + ": records " + std::to_string(tap.read_from()) +
                                             " to " + std::to_string(state->log_start - 1) +
                                             " were deleted before they were delivered");
                pass_over_hole(now, tap, state->log_start);
                return;
            }
            break;
        case Error::corrupt:
            if (done.next > tap.read_from()) {
                counts_.lost_records += static_cast<std::uint64_t>(done.next - tap.read_from());
                tell(Event::Level::error, where + ": records " + std::to_string(tap.read_from()) +
                                              " to " + std::to_string(done.next - 1) +
                                              " are damaged on the device and cannot be delivered");
                pass_over_hole(now, tap, done.next);
                return;
            }
            break;
        default:
            break;
    }
    problem("read " + where, Event::Level::error,
            where + " cannot be read (" + error_text(done.bytes.error()) +
                "): check the device; it is tried again");
    read_later(now, tap);
}

/// Nothing up to `next` is for anybody upstream.
void Runner::pass_over(Instant now, Tap& tap, log::Offset next) {
    if (tap.part_done(tap.add_pending(next, 0, 0)))
        shared_.cursors.move(now, index_, tap.stream(), tap.cursor(),
                             shared_.cursors.sent_as(index_, tap.stream()));
}

/// The earlier life may have found records there, and have counted them.
void Runner::pass_over_hole(Instant now, Tap& tap, log::Offset next) {
    if (tap.lane != nullptr) tap.lane->limit_doubt(tap.read_from());
    pass_over(now, tap, next);
}

}  // namespace leat::uplink
