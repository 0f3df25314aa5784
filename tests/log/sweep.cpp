#include "tests/log/sweep_run.hpp"

namespace leat::log::test {

void Sweep::declare(Rig& rig, Policies policies) const {
    for (StreamId id = streams_first; id < streams_first + streams_count; ++id) {
        StreamPolicy policy;
        if (policies == Policies::keep_all) {
            policy.compact = compacts(id);  // the looker has no filter: it compacts nothing
            (void)rig.log->declare_stream(id, policy);
            continue;
        }
        if (compacts(id)) {
            policy = {.compact = true, .dirty_permille_min = 200};
            policy.tombstone_retention = milliseconds(id == 1 ? 500 : 86'400'000);
            (void)rig.log->declare_stream(id, policy);
            rig.log->set_release(id, INT64_MAX);
            continue;
        }
        if (options_.workload == Workload::clean) {
            (void)rig.log->declare_stream(id, policy);
            rig.log->set_release(id, 0);
            continue;
        }
        if (options_.workload == Workload::shrink && id >= 3) {  // what is kept has to move
            (void)rig.log->declare_stream(id, policy);
            rig.log->set_release(id, 0);
            continue;
        }
        if (id == 1) policy.retention_bytes = 15'000;
        if (id == 2) policy.retention = milliseconds(3'000);
        if (id == 3) policy.retention_bytes = 6'000;
        if (drops(id)) {
            policy = {.when_full = WhenFull::drop_oldest};
            policy.priority = id == 1 ? 2 : 9;
        }
        (void)rig.log->declare_stream(id, policy);
        const bool routed = id == 4 || (id == 3 && drops(id));
        rig.log->set_release(id, routed ? 0 : INT64_MAX);
    }
}

bool Sweep::start() {
    LogConfig config = usual_config();
    // Small groups, so that commits are many; some runs let them grow.
    config.group_bytes_max = options_.seed / 9 % 3 == 0 ? 64 * KiB : 16 * KiB;
    config.compaction_every = milliseconds(200);
    if (options_.seed % 3 == 0) config.compaction_map_bytes = 24 * 8;  // several passes
    if (options_.workload == Workload::shrink) {  // on a card that may be larger again
        config.budget_bytes =
            bytes_for(random_.chance(40) ? shrink_least()
                                         : shrink_least() + random_.below(shrink_most() - shrink_least() + 1));
        if (device_.image().size() < config.budget_bytes)
            device_.image().resize(config.budget_bytes);
    }
    device_.on_write = [this] { at_write(); };  // the start itself is swept too
    rig_ = std::make_unique<Rig>(device_, config, options_.faults, options_.seed * 100 + ++runs_,
                                 topics::filter_records);
    if (!rig_->open()) {
        fail("open: " + rig_->log->open_error_text());
        return false;
    }
    declare(*rig_, Policies::expire);
    opened_ = true;
    return true;
}

SweepResult Sweep::run() {
    if (start()) {
        for (std::uint32_t i = 0; i < options_.steps && !done(); ++i) step();
    }
    device_.on_write = {};
    if (opened_) count_run();
    result_.wraps = device_.counts().bytes_written / (std::uint64_t{16} * segment_);
    return result_;
}

void Sweep::count_run() {
    result_.dropped += rig_->log->counters().lost_records;
    result_.cleaned += rig_->log->counters().cleaner_freed;
    result_.superseded += rig_->log->counters().superseded_records;
    result_.moved += rig_->log->counters().moved_bytes;
    result_.given_back += rig_->log->counters().given_back;
}

/// Few keys, so that most records are superseded soon; some are deleted.
std::vector<std::uint8_t> Sweep::keyed_batch(StreamId id, std::int32_t sequence,
                                             std::vector<KeyedValue>& records) {
    for (std::uint64_t i = 0, count = 1 + random_.below(5); i < count; ++i) {
        KeyedValue& record = records.emplace_back();
        record.key = key_name(random_.below(10));
        record.timestamp = 1'000'000 + static_cast<std::int64_t>(++serial_) * 10;
        if (random_.chance(15)) continue;
        record.value = std::to_string(serial_);
        record.value->append(random_.below(random_.chance(90) ? 400 : 4'000), 'v');
    }
    KeyedSpec spec{.records = records};
    if (id % 2 == 0) {
        spec.producer_id = 7000 + id;
        spec.epoch = 0;
        spec.sequence = sequence;
    } else if (random_.chance(20)) {
        spec.codec = Codec::lz4;
    }
    return make_keyed_batch(spec);
}

void Sweep::append() {
    follow_rollback();
    StreamId id = streams_first + static_cast<StreamId>(random_.below(streams_count));
    if (options_.workload == Workload::drop && !drops(id) && random_.chance(80)) id = 1;
    if (options_.workload == Workload::compact && !compacts(id) && random_.chance(70)) id -= 2;
    SentStream& stream = model_.streams[id];
    BatchSpec spec;
    spec.count = 1 + static_cast<std::uint32_t>(random_.below(5));
    spec.size = random_.chance(85) ? 20 + random_.below(900)
                                   : 2'000 + random_.below(random_.chance(10) ? 30'000 : 7'000);
    // Small and each in a commit of its own, so that segments hold little.
    if (options_.workload == Workload::clean && random_.chance(95)) spec.size %= 400;
    if (options_.workload == Workload::shrink && random_.chance(50))
        spec.size = 2'000 + random_.below(5'000);
    // Two to five fill a segment.
    if (options_.workload == Workload::fill && random_.chance(80))
        spec.size = 8'000 + random_.below(21'000);
    spec.salt = ++serial_;
    spec.timestamp = 1'000'000 + static_cast<std::int64_t>(serial_) * 10;
    if (id % 2 == 0) {
        spec.producer_id = 7000 + id;
        spec.epoch = 0;
        spec.sequence = stream.sequence;
    }
    std::vector<KeyedValue> records;
    std::vector<std::uint8_t> bytes =
        compacts(id) ? keyed_batch(id, stream.sequence, records) : make_batch(spec);
    if (compacts(id)) {
        spec.count = static_cast<std::uint32_t>(records.size());
        spec.sequence = id % 2 == 0 ? stream.sequence : -1;
    }
    const auto appended = rig_->log->append(rig_->at(), wall_ms(rig_->wall),
                                            {.stream = id, .batch = bytes, .log_append_time = {}});
    if (!appended) {
        if (appended.error() == Error::would_block) rig_->settle();
        if (appended.error() == Error::full) {
            ++result_.full;
            if (random_.chance(50)) recycle_some();
        }
        return;
    }
    if (appended->base_offset != stream.end)
        fail("offset " + std::to_string(appended->base_offset) + " was given twice or skipped");
    stream.sequence += static_cast<std::int32_t>(spec.count);
    const Offset end = appended->base_offset + spec.count;
    store_big<std::int64_t>(bytes.data(), appended->base_offset);
    stream.batches.push_back({appended->base_offset, end, appended->commit, spec.count,
                              spec.sequence, std::move(bytes), std::move(records)});
    stream.end = end;
    if (options_.workload == Workload::clean || options_.workload == Workload::compact)
        rig_->settle();
    if (done()) return;
    const StreamState* state = rig_->log->stream(id);
    while (!stream.batches.empty() && stream.batches.front().end <= state->log_start &&
           stream.batches.size() > 300)
        stream.batches.erase(
            stream.batches
                .begin());  // long expired: after a crash the log start may be an older one
}

void Sweep::fact() {
    follow_rollback();
    const std::string key = key_name(random_.below(12));
    std::vector<FactWrite>& writes = model_.facts[key];
    std::optional<std::string> value;
    if (!random_.chance(20)) {
        value = std::to_string(++serial_) + ":";
        value->append(random_.below(300), 'v');
    }
    const auto commit =
        value ? rig_->log->put_fact(rig_->at(), FactKind::cursor, bytes_of(key), bytes_of(*value))
              : rig_->log->erase_fact(rig_->at(), FactKind::cursor, bytes_of(key));
    if (commit) writes.push_back({value, *commit});
}

void Sweep::recycle_some() {
    follow_rollback();
    // Stream 4 is "routed": what upstream has may go when room is short.
    const StreamState* state = rig_->log->stream(4);
    const bool kept =
        options_.workload == Workload::clean || options_.workload == Workload::shrink;
    if (random_.chance(kept ? 3 : 60)) rig_->log->set_release(4, state->flushed);
    if (options_.workload == Workload::shrink) {  // all but the newest of it is upstream
        const StreamState* routed = rig_->log->stream(3);
        rig_->log->set_release(3, std::max<Offset>(routed->release, routed->flushed - 300));
        if (random_.chance(25))
            rig_->log->set_release(4, std::max<Offset>(state->release, state->flushed - 300));
    }
    if (drops(3) && random_.chance(10)) {  // and 3 is sometimes behind, sometimes in a batch
        const StreamState* slow = rig_->log->stream(3);
        rig_->log->set_release(3, std::max(slow->release, (slow->log_start + slow->flushed) / 2));
    }
    if (random_.chance(15)) {
        const StreamId id = streams_first + static_cast<StreamId>(random_.below(streams_count));
        const StreamState* any = rig_->log->stream(id);
        const Offset to =
            any->log_start + static_cast<Offset>(random_.below(
                                 static_cast<std::uint64_t>(any->flushed - any->log_start) + 1));
        const auto commit = rig_->log->set_log_start(rig_->at(), id, to);
        if (commit && to >= model_.streams[id].start_told) {
            model_.streams[id].start_told = to;
            model_.streams[id].start_commit = *commit;
        }
    }
    rig_->pass(200 + static_cast<std::int64_t>(random_.below(2'000)));
}

void Sweep::reopen() {
    const bool clean = !rig_->log->status().read_only && random_.chance(50);
    if (clean)
        rig_->close();
    else if (options_.workload != Workload::fill)  // else what is under way is torn
        rig_->settle();
    if (clean && !rig_->log->closed()) fail("does not close");
    const CommitId flushed = rig_->log->flushed_commit();
    starts_ = live_starts();
    const bool roomy =
        rig_->log->status().segments_free > 1;  // else there may be no place for the seal
    count_run();
    copied_ = 0;
    opened_ = false;
    given_up_.reset();
    rig_.reset();
    device_.power_cycle();
    device_.fail_next(0, 0);
    where_ = "after reopening";
    {  // A copy is looked at, which expires nothing meanwhile.
        SimStorage copy({.seed = 5}, device_.image());
        Rig rig(copy, usual_config(), options_.faults, options_.seed + 79);
        if (!rig.open()) return fail("recovery: " + rig.log->open_error_text());
        declare(rig, Policies::keep_all);
        if (roomy && clean != rig.log->status().was_sealed)
            return fail("a clean stop was not told from another");
        if (!check(rig, model_, flushed, starts_)) return;
        take_what_is_there(rig, flushed);
    }
    (void)start();
}

/// What was not acknowledged is there or not: from here on the model knows.
void Sweep::take_what_is_there(Rig& rig, CommitId flushed) {
    for (auto& [id, stream] : model_.streams) {
        const Offset end = rig.log->stream(id)->log_end;
        while (!stream.batches.empty() && stream.batches.back().end > end) {
            stream.sequence -= static_cast<std::int32_t>(stream.batches.back().count);
            stream.batches.pop_back();
        }
        stream.end = end;
        if (stream.start_commit > flushed) stream.start_told = 0;
        for (SentBatch& batch : stream.batches) batch.commit = 0;
        stream.start_commit = 0;
    }
    for (auto& [key, writes] : model_.facts) {
        const auto found = rig.log->find_fact(FactKind::cursor, bytes_of(key));
        writes = {{found ? std::optional<std::string>(text_of(*found)) : std::nullopt, 0}};
    }
}

void Sweep::step() {
    const std::uint64_t burst = 1 + random_.below(options_.workload == Workload::facts ? 3 : 8);
    for (std::uint64_t i = 0; i < burst && !done(); ++i) {
        if (options_.workload == Workload::facts ? random_.chance(70) : random_.chance(12))
            fact();
        else
            append();
        if (random_.chance(30)) rig_->log->on_storage(rig_->at());
        if (random_.chance(30)) rig_->log->on_deadline(rig_->at(), wall_ms(rig_->wall));
    }
    if (done()) return;
    if (random_.chance(50)) rig_->settle();
    rig_->now += 5;
    rig_->wall += 5;
    if (random_.chance(options_.workload == Workload::recycle ? 40 : 15)) recycle_some();
    if (options_.workload == Workload::reopen && random_.chance(6) && !done()) reopen();
    if (options_.workload == Workload::clean && random_.chance(2) && !done()) reopen();
    if (options_.workload == Workload::fill && random_.chance(12) && !done()) reopen();
    if (options_.workload == Workload::compact) {
        for (std::uint64_t i = random_.below(12); i > 0 && !done(); --i) rig_->pass(25);
        if (random_.chance(2) && !done()) reopen();
    }
    if (options_.workload == Workload::shrink) {
        for (std::uint64_t i = random_.below(16); i > 0 && !done(); --i) rig_->pass(25);
        const bool busy = !done() && rig_->log->status().shrinking != Shrinking::no;
        if (random_.chance(busy ? 4 : 9) && !done()) reopen();
    }
    const bool fails = options_.workload == Workload::clean || options_.workload == Workload::shrink;
    if (fails && random_.chance(2))
        device_.fail_next(random_.below(6), 1);
    if (options_.workload == Workload::errors && random_.chance(8))
        device_.fail_next(random_.below(6), random_.chance(60) ? 1 : 1 + random_.below(3));
    if (done()) return;  // after a reopening that failed there is no log
    follow_rollback();
    for (const auto& [id, stream] : model_.streams)
        if (const std::string wrong = books_problem(*rig_->log, id, drops(id)); !wrong.empty())
            return fail("live: stream " + std::to_string(id) + " " + wrong);
    if (!rig_->log->status().read_only) return;
    // One that failed where all successors of the open segment are taken waits for a new run.
    const bool waits = fails && rig_->log->counters().write_errors > 0;
    if (options_.workload != Workload::errors && !waits) return fail("read only without an error");
    if (waits || random_.chance(60)) recover_by_itself();
    if (!done() && rig_->log->status().read_only) reopen();
}

/// The device works again some time later, and so does the log, without a restart.
void Sweep::recover_by_itself() {
    device_.fail_next(random_.below(2), random_.below(12));
    std::int64_t wait = 1'000;
    for (int i = 0; i < 40 && rig_->log->status().read_only && !done(); ++i) {
        rig_->pass(wait);
        wait = std::min<std::int64_t>(wait * 2, 60'000);
    }
    if (done()) return;
    follow_rollback();
    if (!rig_->log->status().read_only)
        ++result_.self_recoveries;
    else if (rig_->log->status().segments_free > 2)
        fail("does not recover by itself");
}

/// What was given up may come back while nothing was written since; from the first commit after it
/// on it must not.
void Sweep::follow_rollback() {
    if (!opened_) return;
    while (const auto rolled = rig_->log->poll_rolled_back()) {
        if (rolled->first != rig_->log->flushed_commit())
            fail("rolled back to something else than the flushed commit");
        given_up_ = {given_up_ ? given_up_->first : rolled->first, rolled->last};
    }
    if (!given_up_ || rig_->log->status().read_only) return;
    const auto [first, last] = *std::exchange(given_up_, std::nullopt);
    const auto gone = [first = first, last = last](CommitId id) {
        return id > first && id <= last;
    };
    for (auto& [id, stream] : model_.streams) {
        while (!stream.batches.empty() && gone(stream.batches.back().commit)) {
            stream.sequence -= static_cast<std::int32_t>(stream.batches.back().count);
            stream.batches.pop_back();
        }
        stream.end = rig_->log->stream(id)->log_end;
        if (gone(stream.start_commit)) stream.start_told = 0, stream.start_commit = 0;
    }
    for (auto& [key, writes] : model_.facts)
        std::erase_if(writes, [&](const FactWrite& write) { return gone(write.commit); });
}

SweepResult run_sweep(const SweepOptions& options, Seen& seen) {
    return Sweep(options, seen).run();
}

}  // namespace leat::log::test
