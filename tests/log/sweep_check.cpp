// Images of the device against the model of what was promised.
#include "broker/log/checkpoint.hpp"
#include "broker/log/inspect.hpp"
#include "tests/log/sweep_run.hpp"

namespace leat::log::test {

// The books add up to the log end, agree with the log start, and nothing was lost; of a stream that
// drops its oldest, what is gone was delivered, deleted or is in the ledger: it has no retention.
std::string books_problem(const Log& log, StreamId id, bool drops) {
    const Books books = log.books(id);
    const StreamState& state = *log.stream(id);
    if (!books.balanced() || books.log_end != state.log_end)
        return "has books of " + std::to_string(books.sum()) + " records, and ends at " +
               std::to_string(state.log_end);
    if (books.log_start != state.log_start)
        return "starts at " + std::to_string(state.log_start) + ", its books at " +
               std::to_string(books.log_start);
    for (const Loss& loss : books.losses)
        if (!drops || loss.reason != LossReason::no_room || loss.to > books.log_start)
            return "has an entry in the ledger: reason " +
                   std::to_string(static_cast<int>(loss.reason)) + " for " +
                   std::to_string(loss.from) + " to " + std::to_string(loss.to) + ", starts at " +
                   std::to_string(books.log_start);
    const auto freed = [&](Freed how) {
        return books.freed[static_cast<std::size_t>(how)].records;
    };
    if (drops && freed(Freed::expired) != 0) return "dropped records as expired";
    if (drops && id == 1 && freed(Freed::delivered) != 0) return "dropped records as delivered";
    if (log.counters().unexplained_records != 0) return "lost records that no book explains";
    return {};
}

void Sweep::at_write() {
    ++result_.writes;
    follow_rollback();
    if (options_.hurt != Hurt::nothing) return hurt_at_write();
    std::uint32_t variants = options_.variants;
    if (options_.workload == Workload::clean ||
        options_.workload == Workload::compact) {  // most of them while the cleaner is at work
        const std::uint64_t copied = opened_ ? rig_->log->counters().cleaner_copied : 0;
        if (std::exchange(copied_, copied) != copied) copied_at_write_ = result_.writes;
        variants = copied != 0 && result_.writes < copied_at_write_ + 12 ? 8 : 1;
    }
    if (options_.workload == Workload::shrink)
        variants = opened_ && rig_->log->status().shrinking != Shrinking::no ? 6 : 1;
    // It carries a footer, and the next segment's opening.
    const bool rides = device_.newest_write_crosses(bytes_for(0), segment_);
    if (options_.workload == Workload::fill) variants = rides ? 12 : 2;
    for (std::uint32_t i = 0; i < variants && !done(); ++i) {
        const Tear tear = choose_tear();
        SimImage image = device_.crash_image(tear, random_);
        if (!seen_.emplace(image.hash(), cell_of(tear)).second) continue;
        ++result_.images;
        if (rides) ++result_.rides;
        ++result_.by_tear[static_cast<std::size_t>(tear)];
        where_ = "tear " + std::to_string(static_cast<int>(tear));
        check_image(std::move(image), result_.images % 16 == 0);
    }
}

/// Everything finished, and then a bit is lost of what tells where the rest is: no record may be.
void Sweep::hurt_at_write() {
    if (result_.writes % 8 != 0) return;
    SimImage image = device_.crash_image(Tear::kept, random_);
    std::optional<Superblock> newest;
    std::uint64_t at = 0, holding = 0;
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
        std::vector<std::uint8_t> bytes(superblock_bytes);
        image.read(slot * 16 * KiB, bytes);
        const auto super = decode_superblock(bytes);
        if (super) ++holding;
        if (!super || (newest && newest->sequence > super->sequence)) continue;
        newest = *super;
        at = slot * 16 * KiB + random_.below(superblock_bytes);
    }
    if (!newest || newest->checkpoint.segment == no_segment) return;
    // A write of the other one has failed and is tried again: nobody says that both may be lost.
    if (options_.hurt == Hurt::slot && holding < 2) return;
    const auto address = [&](std::uint32_t segment, std::uint64_t position) {
        return newest->pool_start + std::uint64_t{segment} * newest->segment_bytes + position;
    };
    const CheckpointPlace& last = newest->checkpoint;
    if (options_.hurt == Hurt::checkpoint)
        at = address(last.segment, last.position + random_.below(last.bytes));
    if (options_.hurt == Hurt::body) {
        std::vector<std::uint8_t> bytes(last.bytes);
        image.read(address(last.segment, last.position), bytes);
        const auto end = decode_end(ByteView(bytes).subspan(commit_header_bytes + frame_header_bytes));
        const CheckpointExtent& extent = end->extents[random_.below(end->extents.size())];
        at = address(extent.segment, extent.from + random_.below(extent.to - extent.from));
    }
    if (options_.hurt == Hurt::slot) {
        image.write(at / superblock_bytes * superblock_bytes,
                    std::vector<std::uint8_t>(superblock_bytes, 0xA5));
    } else {
        std::uint8_t byte = 0;
        image.read(at, {&byte, 1});
        byte ^= static_cast<std::uint8_t>(1u << random_.below(8));
        image.write(at, {&byte, 1});
    }
    if (!seen_.emplace(image.hash(), cells).second) return;
    ++result_.images;
    where_ = "damage " + std::to_string(static_cast<int>(options_.hurt));
    const std::map<StreamId, Offset> starts = opened_ ? live_starts() : starts_;
    const CommitId flushed = opened_ ? rig_->log->flushed_commit() : 0;
    for (int start = 0; start < 2; ++start) {  // the second one after nothing but the first
        SimStorage device({.seed = 5}, std::move(image));
        {
            Rig rig(device, usual_config(), options_.faults, options_.seed + 77);
            if (!rig.open()) return fail("recovery: " + rig.log->open_error_text());
            declare(rig, Policies::keep_all);
            if (!check(rig, model_, flushed, starts)) return;
        }
        image = device.crash_image(Tear::dropped, random_);
        where_ += ", second start";
    }
}

/// Half of them those that were seen least: every class gets its share.
Tear Sweep::choose_tear() {
    // They are few: the page of a commit that is one page is as if it was dropped.
    if (options_.page_bytes > 4 * KiB && random_.chance(50)) return Tear::page_lost;
    const std::uint64_t any = random_.below(leat::test::tears);
    if (random_.chance(50)) return static_cast<Tear>(any);
    const auto* least = std::min_element(std::begin(result_.by_tear), std::end(result_.by_tear));
    return static_cast<Tear>(least - std::begin(result_.by_tear));
}

/// `leatd log verify`: a power cut is no damage to a footer, nor does it cost a record.
bool Sweep::verify(const SimImage& image) {
    SimStorage copy({.seed = 5}, image);
    std::string why;
    const Result<Inspection> log = inspect(copy, nullptr, why);
    if (!log) return fail("verify: " + why), false;
    // But for a segment whose next life the cut took at its header: nothing in it is needed.
    std::uint32_t headless = no_segment;
    for (const Damage& damage : log->damages) {
        if (damage.kind == Damage::Kind::segment_header) headless = damage.segment;
        const bool footer = damage.kind == Damage::Kind::footer && damage.segment != headless;
        if (footer || damage.from >= 0)
            return fail("verify finds damage of kind " +
                        std::to_string(static_cast<int>(damage.kind)) + " in segment " +
                        std::to_string(damage.segment) + " at " +
                        std::to_string(damage.position)),
                   false;
    }
    return true;
}

void Sweep::check_image(SimImage image, bool deeper) {
    if (deeper && opened_ && !verify(image)) return;
    SimStorage device({.seed = 5}, std::move(image));
    const std::map<StreamId, Offset> starts = opened_ ? live_starts() : starts_;
    const CommitId flushed =
        opened_ ? rig_->log->flushed_commit() : 0;  // what earlier runs made durable has 0
    std::map<StreamId, Offset> ends;
    std::map<StreamId, std::int32_t> grown;
    {
        Rig rig(device, looking_config(), options_.faults, options_.seed + 77);
        if (!rig.open()) return fail("recovery: " + rig.log->open_error_text());
        declare(rig, Policies::keep_all);
        if (!check(rig, model_, flushed, starts) || !deeper) return;
        for (const auto& [id, stream] : model_.streams) ends[id] = rig.log->stream(id)->log_end;
        // Work goes on after the crash, and the power fails again.
        for (StreamId id = streams_first; id < streams_first + streams_count; ++id) {
            if (rig.append_durably(id, {.count = 2, .size = 300, .salt = 900'000 + id}))
                grown[id] = 2;
        }
        if (options_.workload == Workload::shrink)
            for (std::uint64_t i = random_.below(60); i > 0; --i) rig.pass(20);
    }
    SimRandom random(options_.seed);
    SimStorage again({.seed = 6}, device.crash_image(Tear::dropped, random));
    Rig rig(again, looking_config(), options_.faults, options_.seed + 78);
    where_ += ", second crash";
    if (!verify(again.image())) return;
    if (!rig.open()) return fail("recovery: " + rig.log->open_error_text());
    declare(rig, Policies::keep_all);
    for (const auto& [id, more] : grown) {
        const Offset want = (ends.contains(id) ? ends[id] : 0) + more;
        if (rig.log->stream(id)->log_end != want)
            return fail("stream " + std::to_string(id) + " ends at " +
                        std::to_string(rig.log->stream(id)->log_end) + ", not at " +
                        std::to_string(want));
        auto all = rig.read_all(id, want - more);
        ByteView left = all.bytes;
        std::vector<std::uint8_t> expect =
            make_batch({.count = 2, .size = 300, .salt = 900'000 + id});
        const ByteView got = next_batch(left);
        if (got.size() != expect.size() || !equal(got.subspan(16), ByteView(expect).subspan(16)))
            return fail("what was appended after the first crash is not there");
    }
}

/// Of a compacted stream every record that is there was sent so, the last one is there, and who
/// reads all of it believes of every key what the newest record says.
std::string Sweep::keys_problem(const SentStream& stream, const StreamState& state,
                                const Books& books, ByteView bytes) {
    ByOffset found, sent;
    if (!take_records(bytes, found)) return "reads what is no batch";
    for (const SentBatch& batch : stream.batches)
        for (std::size_t i = 0; i < batch.records.size(); ++i)
            if (const Offset at = batch.base + static_cast<Offset>(i); at < state.log_end)
                sent.emplace_hint(sent.end(), at, batch.records[i]);
    for (const auto& [offset, record] : found)
        if (const auto is = sent.find(offset); is == sent.end() || !(is->second == record))
            return "record at " + std::to_string(offset) + " is not what was sent";
    sent.erase(sent.begin(), sent.lower_bound(state.log_start));
    found.erase(found.begin(), found.lower_bound(state.log_start));
    // Where the log start has moved, what is superseded is taken for what lay below it first.
    if (const std::uint64_t kept = books.kept_delivered + books.kept_buffered;
        state.log_start == 0 ? kept != found.size() : kept < found.size())
        return "keeps " + std::to_string(found.size()) + " records, by its books " +
               std::to_string(kept);
    if (!sent.empty() && !found.contains(state.log_end - 1)) return "reads not to its end";
    const auto is = view_of(found), ought = view_of(sent);
    for (const auto& [key, value] : ought)
        if (const auto at = is.find(key); at == is.end() || at->second != value)
            return key + (at == is.end() ? " is gone" : " has an older value");
    for (const auto& [key, value] : is)
        if (!ought.contains(key)) return key + " was deleted, and is back";
    return {};
}

bool Sweep::check(Rig& rig, const Model& model, CommitId flushed,
                  const std::map<StreamId, Offset>& starts) {
    for (const auto& [id, stream] : model.streams) {
        const std::string name = "stream " + std::to_string(id);
        const StreamState state = *rig.log->stream(id);
        Offset acked = 0;
        for (const SentBatch& batch : stream.batches)
            if (batch.commit <= flushed) acked = std::max(acked, batch.end);
        if (state.log_end < acked)
            return fail(name + " ends at " + std::to_string(state.log_end) +
                        ", acknowledged up to " + std::to_string(acked)),
                   false;
        if (state.log_end > stream.end) return fail(name + " has invented records"), false;
        const auto live = starts.find(id);
        if (live != starts.end() && state.log_start > live->second)
            return fail(name + " lost its oldest records"), false;
        if (stream.start_commit <= flushed && state.log_start < stream.start_told)
            return fail(name + " has deleted records again"), false;
        const auto all = rig.read_all(id, state.log_start);
        if (all.error)
            return fail(name + " reads " + std::string(error_text(*all.error)) + " at " +
                        std::to_string(all.next)),
                   false;
        if (const std::string wrong = books_problem(*rig.log, id, drops(id)); !wrong.empty())
            return fail(name + " " + wrong), false;
        if (compacts(id)) {
            if (const std::string wrong =
                    keys_problem(stream, state, rig.log->books(id), all.bytes);
                !wrong.empty())
                return fail(name + " " + wrong), false;
        }
        // Every batch from log start to log end, byte-equal and in order.
        ByteView left = compacts(id) ? ByteView{} : ByteView(all.bytes);
        Offset at = compacts(id) ? state.log_end : state.log_start;
        auto sent = std::lower_bound(
            stream.batches.begin(), stream.batches.end(), at,
            [](const SentBatch& batch, Offset offset) { return batch.end <= offset; });
        while (!left.empty()) {
            const ByteView got = next_batch(left);
            if (got.empty() || sent == stream.batches.end())
                return fail(name + " reads bytes that were never sent"), false;
            const ByteView expect = sent->bytes;
            if (got.size() != expect.size() || !equal(got.first(12), expect.first(12)) ||
                !equal(got.subspan(16), expect.subspan(16)))
                return fail(name + " batch at " + std::to_string(sent->base) +
                            " is not what was sent"),
                       false;
            at = sent->end;
            ++sent;
        }
        if (at != state.log_end && state.log_start < state.log_end)
            return fail(name + " reads only up to " + std::to_string(at) + " of " +
                        std::to_string(state.log_end)),
                   false;
        // The producer's last five are those of the records that are there.
        if (id % 2 == 0) {
            std::vector<const SentBatch*> kept;
            for (const SentBatch& batch : stream.batches)
                if (batch.end <= state.log_end) kept.push_back(&batch);
            const std::size_t want = std::min<std::size_t>(5, kept.size());
            const ProducerState* producer = rig.log->producer(id, 7000 + id);
            if (want > 0 && producer == nullptr) return fail(name + " forgot its producer"), false;
            if (want > 0 && producer->count < want)
                return fail(name + " remembers " + std::to_string(producer->count) +
                            " batches of its producer, not " + std::to_string(want)),
                       false;
            for (std::size_t i = 0; i < want; ++i) {
                const ProducerBatch& batch = producer->last[producer->count - 1 - i];
                if (batch.base_offset != kept[kept.size() - 1 - i]->base ||
                    batch.first_sequence != kept[kept.size() - 1 - i]->sequence)
                    return fail(name + " remembers another batch of its producer"), false;
            }
        }
    }
    std::map<std::string, std::string> found;
    rig.log->for_each_fact(FactKind::cursor, [&](ByteView key, ByteView value) {
        found[std::string(text_of(key))] = std::string(text_of(value));
    });
    for (const auto& [key, writes] : model.facts) {
        // Any write from the newest acknowledged one on is right; without one also nothing.
        std::size_t first = 0;
        bool acked = false;
        for (std::size_t i = 0; i < writes.size(); ++i)
            if (writes[i].commit <= flushed) {
                first = i;
                acked = true;
            }
        const auto it = found.find(key);
        bool right = !acked && it == found.end();
        for (std::size_t i = first; i < writes.size() && !right; ++i)
            right = writes[i].value ? it != found.end() && it->second == *writes[i].value
                                    : it == found.end();
        if (!right)
            return fail("fact " + key +
                        (it == found.end() ? " is missing" : " is older than acknowledged")),
                   false;
        if (it != found.end()) found.erase(it);
    }
    if (!found.empty()) return fail("fact " + found.begin()->first + " was invented"), false;
    return true;
}

}  // namespace leat::log::test
