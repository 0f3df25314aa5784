#include "broker/api/parked_fetches.hpp"

#include <algorithm>
#include <cstring>

#include "broker/api/answer.hpp"
#include "broker/api/asked_topic.hpp"
#include "broker/api/fetch_frame.hpp"
#include "broker/api/fetch_in_session.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;

constexpr std::size_t partitions_per_turn = 1024;
constexpr int reads_per_turn = 16;  // of some 25 us, where the log has in memory what is read
constexpr std::int16_t zstd_since = 10;  // KIP-110: an older consumer cannot read zstd

// The batches before the first that `version` does not allow, and of the others the first, and what
// keeps the sum within bytes_max: a small device has a small buffer for its answer.
std::size_t allowed_bytes(ByteView batches, std::int16_t version, std::size_t bytes_max) {
    if (version >= zstd_since && batches.size() <= bytes_max) return batches.size();
    std::size_t at = 0;
    while (at < batches.size()) {
        const auto batch = wire::BatchView::parse(batches.subspan(at));
        if (!batch || (version < zstd_since && batch->codec() == Codec::zstd)) break;
        if (at > 0 && at + batch->whole().size() > bytes_max) break;
        at += batch->whole().size();
    }
    return at;
}

// Looks up offsets and errors anew: topics come and go while a request is parked.
void refresh(Context& context, bool by_id, FetchedPartition& partition) {
    if (partition.stream == 0) return;
    const log::StreamState* state = context.log.stream(partition.stream);
    if (state == nullptr) {
        partition.error = unknown_topic(by_id);
        return;
    }
    partition.high_watermark = state->flushed;
    partition.log_start = state->log_start;
    if (partition.diverging.epoch >= 0) return;
    if (partition.offset < state->log_start || partition.offset > state->log_end)
        partition.error = ErrorCode::offset_out_of_range;
    else if (state->log_end > state->flushed && partition.offset >= state->flushed)
        context.log.flush_soon(context.now);
}

// How much may be there to read: who is nearly at the end does not wait for a megabyte of memory.
// A guess that is too small makes a short answer, so it is not made where bytes_min is to be
// judged.
std::size_t bytes_ahead(const log::StreamState& state, const FetchedPartition& partition,
                        std::uint64_t bytes_min) {
    constexpr double spread = 2, some = 4096;
    const auto all = static_cast<double>(std::max<std::int64_t>(state.bytes, 0));
    const log::Offset records = state.log_end - state.log_start;
    if (bytes_min > 1 || records <= 0) return static_cast<std::size_t>(all);
    const double ahead = static_cast<double>(state.flushed - partition.offset);
    return static_cast<std::size_t>(
        std::min(all, some + spread * ahead * all / static_cast<double>(records)));
}

void await(std::set<std::pair<log::StreamId, std::uint64_t>>& waiting, const Fetching& fetching) {
    for (const FetchedPartition& partition : fetching.partitions)
        if (partition.stream != 0) waiting.emplace(partition.stream, fetching.id);
}

/// A batch without records over [from, to), as Kafka's compaction leaves one: who reads steps over
/// it. returns  its bytes
std::size_t write_gap(MutableBytes into, log::Offset from, log::Offset to) {
    wire::BatchHeader gap;
    gap.base_offset = from;
    gap.last_offset_delta =
        static_cast<std::int32_t>(std::min<log::Offset>(to - from - 1, INT32_MAX));
    gap.base_timestamp = gap.max_timestamp = -1;
    wire::seal_batch_header(gap, {}, into.data());
    return wire::batch_header_size;
}

}  // namespace

Fetching* ParkedFetches::find(std::uint64_t id) {
    const auto at = all_.find(id);
    return at == all_.end() ? nullptr : at->second.get();
}

std::unique_ptr<Fetching> ParkedFetches::blank() {
    if (spare_.empty()) return std::make_unique<Fetching>();
    std::unique_ptr<Fetching> one = std::move(spare_.back());
    spare_.pop_back();
    return one;
}

void ParkedFetches::start(Context& context, std::unique_ptr<Fetching> fetching) {
    fetching->id = next_id_++;
    Fetching& mine = *fetching;
    if (auto* session = context.fetch_sessions.find(mine.session_id)) session->running = mine.id;
    sessions_.emplace(mine.address.reply.session(), mine.id);
    mine.asked = mine.partitions.size();
    mine.last_try |= mine.asked > fetched_few && partitions_ > fetched_partitions_max;
    partitions_ += mine.asked;
    all_.emplace(mine.id, std::move(fetching));
    consider(context, mine);
}

void ParkedFetches::consider(Context& context, Fetching& fetching) {
    fetching.looked = fetching.wanted = 0;
    fetching.readable = 0;
    fetching.looks_since = advances_;
    if (fetching.partitions.empty()) fetching.last_try = true;
    look_on(context, fetching);
}

void ParkedFetches::look_on(Context& context, Fetching& fetching) {
    const bool by_id = fetching.address.version >= fetch_topic_ids_since;
    const std::size_t upto =
        std::min(fetching.partitions.size(), fetching.looked + partitions_per_turn);
    for (; fetching.looked < upto; ++fetching.looked) {
        FetchedPartition& partition = fetching.partitions[fetching.looked];
        refresh(context, by_id, partition);
        if (partition.error != ErrorCode::none || partition.diverging.epoch >= 0)
            fetching.last_try = true;
        if (!partition.readable()) continue;
        ++fetching.readable;
        fetching.wanted += std::min<std::size_t>(
            partition.bytes_max,
            bytes_ahead(*context.log.stream(partition.stream), partition, fetching.bytes_min));
    }
    if (upto == fetching.partitions.size()) return looked_at_all(context, fetching);
    if (fetching.state != Fetching::State::looking) await(waiting_, fetching);
    fetching.state = Fetching::State::looking;
    context.turns.next([this, &context, id = fetching.id](Instant now, WallTime wall) {
        Fetching* looking = find(id);
        if (looking == nullptr) return;
        context.now = now;
        context.wall = wall;
        look_on(context, *looking);
    });
}

void ParkedFetches::looked_at_all(Context& context, Fetching& fetching) {
    if (context.now >= fetching.give_up) fetching.last_try = true;
    const bool enough = fetching.readable > 0 &&
                        (!fetching.counted || fetching.known >= fetching.bytes_min);
    if (!enough && !fetching.last_try) {
        // Some were looked at turns ago.
        if (fetching.looks_since != advances_) return consider(context, fetching);
        return park(fetching);
    }
    if (fetching.state == Fetching::State::looking) unpark(fetching);
    if (fetching.readable == 0) return respond(context, fetching);
    std::size_t wanted = fetching.wanted;
    // One flush brings records to many, and the first of them wakes it: then more is there than is
    // counted.
    if (fetching.counted && fetching.readable <= fetching.known_of)
        wanted = std::min<std::size_t>(wanted, fetching.known);
    wanted = std::max<std::size_t>(std::min(wanted, fetching.bytes_max), 1024);
    plan_fetch_frame(context, fetching);
    fetching.state = Fetching::State::wants_memory;
    // One at a time per connection: answers leave in order, and a client that pipelines fetches
    // without reading would else take the whole pool for itself.
    fetching.address.reply.hold_session();
    fetching.grown = 0;
    if (auto grant = ask_fetch_memory(context, fetching, wanted))
        begin(context, fetching, std::move(*grant));
}

void ParkedFetches::park(Fetching& fetching) {
    fetching.state = Fetching::State::parked;
    fetching.request = session::Buffer();
    fetching.memory = session::Buffer();
    fetching.total = 0;  // what was read is gone with it
    for (FetchedPartition& partition : fetching.partitions) partition.size = 0;
    await(waiting_, fetching);
    deadlines_.add(fetching.give_up, fetching.id);
}

void ParkedFetches::unpark(Fetching& fetching) {
    for (const FetchedPartition& partition : fetching.partitions)
        waiting_.erase({partition.stream, fetching.id});
    deadlines_.remove(fetching.give_up, fetching.id);
}

void ParkedFetches::on_advance(Context& context, const topics::Advance& advance) {
    std::vector<std::uint64_t> woken;
    for (auto at = waiting_.lower_bound({advance.stream, 0});
         at != waiting_.end() && at->first == advance.stream; ++at)
        woken.push_back(at->second);
    for (const std::uint64_t id : woken) {
        Fetching* fetching = find(id);
        if (fetching == nullptr) continue;
        // Others' records are no reason to look again: where enough come there would be no end.
        if (fetching->state == Fetching::State::looking) ++advances_;
        if (fetching->state != Fetching::State::parked) continue;
        // Parked with nothing readable means that nothing is known to be there: counting starts at
        // zero.
        if (!fetching->counted) {
            fetching->counted = true;
            fetching->known = fetching->known_of = 0;
        }
        fetching->known += advance.bytes;
        ++fetching->known_of;
        if (fetching->known < fetching->bytes_min) continue;
        unpark(*fetching);
        consider(context, *fetching);
    }
}

void ParkedFetches::on_deadline(Context& context) {
    while (const std::uint64_t id = deadlines_.take_due(context.now)) {
        Fetching* fetching = find(id);
        if (fetching == nullptr || fetching->state != Fetching::State::parked) continue;
        unpark(*fetching);
        fetching->last_try = true;
        consider(context, *fetching);
    }
}

void ParkedFetches::on_memory(Context& context) {
    while (auto granted = context.pool.poll_granted(session::PoolClass::response)) {
        Fetching* fetching = find(granted->first);
        if (fetching == nullptr || fetching->state != Fetching::State::wants_memory) continue;
        begin(context, *fetching, std::move(granted->second));
    }
}

void ParkedFetches::begin(Context& context, Fetching& fetching, session::Grant grant) {
    const std::size_t bytes = grant.bytes();
    fetching.memory = session::Buffer(bytes, std::move(grant));
    fetching.state = Fetching::State::reading;
    fetching.next = fetching.write_at = fetching.total = 0;
    fetching.cut = false;
    for (FetchedPartition& partition : fetching.partitions) partition.at = partition.size = 0;
    read_next(context, fetching);
}

void ParkedFetches::read_next(Context& context, Fetching& fetching) {
    for (; fetching.next < fetching.chosen.size(); ++fetching.next) {
        FetchedPartition& partition = fetching.partitions[fetching.chosen[fetching.next]];
        partition.at = fetching.write_at + partition.piece;
        fetching.write_at = partition.at;
        if (!partition.readable()) continue;
        const std::size_t used =
            partition.at + partition.later;  // what the other pieces need stays free
        const std::size_t free =
            fetching.memory.all().size() > used ? fetching.memory.all().size() - used : 0;
        std::size_t room =
            std::min({free, std::size_t{partition.bytes_max},
                      fetching.bytes_max - std::min(fetching.bytes_max, fetching.total)});
        fetching.cramped =
            free < std::min(std::size_t{partition.bytes_max},
                            fetching.bytes_max - std::min(fetching.bytes_max, fetching.total));
        // The first records come whole even if larger than asked for: the log tells their size if
        // this is too little.
        if (fetching.total == 0)
            room = std::max({room, fetching.grown, std::min<std::size_t>(free, 1024)});
        if (room < 61) {
            fetching.cut |= fetching.cramped;
            continue;
        }
        const auto ticket =
            context.log.start_read(context.now,
                                   {.stream = partition.stream,
                                    .from = partition.offset,
                                    .until = partition.high_watermark,
                                    .first_may_exceed = true},
                                   fetching.memory.all().subspan(partition.at, room));
        if (!ticket) {
            partition.error = ticket.error() == Error::not_found ? ErrorCode::offset_out_of_range
                                                                 : ErrorCode::kafka_storage_error;
            continue;
        }
        fetching.ticket = *ticket;
        reads_.emplace(*ticket, fetching.id);
        return;
    }
    all_read(context, fetching);
}

bool ParkedFetches::on_read(Context& context, const log::ReadDone& done) {
    const auto at = reads_.find(done.ticket);
    if (at == reads_.end()) return false;
    Fetching* found = find(at->second);
    reads_.erase(at);
    if (found == nullptr) return true;
    Fetching& fetching = *found;
    fetching.ticket = 0;
    if (fetching.abandoned) return drop(fetching), true;
    FetchedPartition& partition = fetching.partitions[fetching.chosen[fetching.next]];
    const bool empty = done.bytes ? *done.bytes == 0 : done.bytes.error() == Error::corrupt;
    if (empty && done.next >= partition.high_watermark && done.next > partition.offset) {
        // Nothing is left of all that was asked for. A client learns where it goes on from batches
        // only, and who wants everything up to the end would ask for ever.
        partition.size = write_gap(fetching.memory.all().subspan(partition.at), partition.offset,
                                   partition.high_watermark);
        fetching.write_at += partition.size;
        fetching.total += partition.size;
        ++fetching.next;
    } else if (done.bytes) {
        const std::size_t left = fetching.bytes_max - std::min(fetching.bytes_max, fetching.total);
        const std::size_t asked = std::min<std::size_t>(partition.bytes_max, left);
        partition.size = allowed_bytes(fetching.memory.all().subspan(partition.at, *done.bytes),
                                       fetching.address.version, asked);
        if (partition.size == 0 && *done.bytes > 0) {
            partition.error = ErrorCode::unsupported_compression_type;
            fetching.last_try = true;
        }
        fetching.write_at += partition.size;
        fetching.total += partition.size;
        fetching.cut |= fetching.cramped && done.next < partition.high_watermark;
        ++fetching.next;
    } else if (done.bytes.error() == Error::too_large && fetching.total == 0 && done.needed > 0) {
        // One batch at least. It is larger than planned: from the start, with more memory.
        fetching.memory = session::Buffer();
        fetching.grown = done.needed;
        fetching.state = Fetching::State::wants_memory;
        if (auto grant = ask_fetch_memory(context, fetching, done.needed + 64))
            begin(context, fetching, std::move(*grant));
        return true;
    } else if (done.bytes.error() == Error::too_large) {
        fetching.cut |= fetching.cramped;
        ++fetching.next;  // does not fit behind what is there: the next request starts with it
    } else if (done.bytes.error() == Error::corrupt && done.next > partition.offset) {
        // Damage is counted by the log and skipped here: the reader sees a gap, not an endless
        // error.
        partition.offset = done.next;
        fetching.write_at = partition.at - partition.piece;
    } else {
        partition.error = done.bytes.error() == Error::not_found ? ErrorCode::offset_out_of_range
                                                                 : ErrorCode::kafka_storage_error;
        fetching.last_try = true;
        ++fetching.next;
    }
    if (++fetching.reads % reads_per_turn != 0) return read_next(context, fetching), true;
    context.turns.next([this, &context, id = fetching.id](Instant now, WallTime wall) {
        Fetching* reading = find(id);
        context.now = now;
        context.wall = wall;
        if (reading->abandoned) return drop(*reading);
        read_next(context, *reading);
    });
    return true;
}

void ParkedFetches::all_read(Context& context, Fetching& fetching) {
    if (!fetching.last_try && fetching.total < fetching.bytes_min &&
        context.now < fetching.give_up) {
        fetching.counted = true;
        fetching.known = fetching.total;
        fetching.known_of = fetching.readable;
        return park(fetching);
    }
    // The guess was too small: batches of which only the end is asked for come whole, and the
    // newest may be larger than the mean. Once more, where memory is at hand.
    if (fetching.cut && fetching.total > 0 && fetching.total < fetching.bytes_max / 2 &&
        !fetching.again) {
        fetching.again = true;
        using session::PoolClass;
        if (auto grant = context.pool.ask(PoolClass::response,
                                          fetching.frame_bound + fetching.bytes_max, fetching.id,
                                          fetching.address.reply.asker()))
            return begin(context, fetching, std::move(*grant));
        context.pool.forget(PoolClass::response, fetching.id);
    }
    respond(context, fetching);
}

}  // namespace leat::api
