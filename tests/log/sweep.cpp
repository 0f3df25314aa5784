#include "tests/log/sweep.hpp"

#include <set>

namespace leat::log::test {

namespace {

/// One batch that the log took: its bytes as it must come back.
struct SentBatch {
    Offset base = 0, end = 0;
    CommitId commit = 0;
    BatchSpec spec;
};
struct SentStream {
    std::vector<SentBatch> batches;
    Offset end = 0;
    Offset start_told = 0;      ///< the newest DeleteRecords ...
    CommitId start_commit = 0;  ///< ... and its commit
    bool producer = false;
    std::int32_t sequence = 0;
};
struct FactWrite {
    std::optional<std::string> value;
    CommitId commit = 0;
};

/// What was done, and so what may and must be found.
struct Model {
    std::map<StreamId, SentStream> streams;
    std::map<std::string, std::vector<FactWrite>> facts;
    CommitId base =
        0;  ///< commit ids of a run start anew: everything of earlier runs that survived has 0
};

std::string key_name(std::uint64_t i) { return "key-" + std::to_string(i); }

/// The books add up to the log end, agree with the log start, and nothing was lost: this workload
/// has no policy that allows it.
std::string books_problem(const Log& log, StreamId id) {
    const Books books = log.books(id);
    const StreamState& state = *log.stream(id);
    if (!books.balanced() || books.log_end != state.log_end)
        return "has books of " + std::to_string(books.sum()) + " records, and ends at " +
               std::to_string(state.log_end);
    if (books.log_start != state.log_start)
        return "starts at " + std::to_string(state.log_start) + ", its books at " +
               std::to_string(books.log_start);
    if (!books.losses.empty()) return "has an entry in the ledger";
    if (log.counters().unexplained_records != 0) return "lost records that no book explains";
    return {};
}

class Sweep {
public:
    Sweep(const SweepOptions& options, std::unordered_set<std::uint64_t>& seen)
        : options_(options), seen_(seen), random_(options.seed), device_(device_options()) {}
    SweepResult run();

private:
    SimStorageOptions device_options() const {
        SimStorageOptions device{.seed = options_.seed, .size = small_device};
        device.shuffle = options_.seed % 2 == 1;
        device.lies_for_writes = options_.lies_for_writes;
        return device;
    }
    bool start();
    enum class Policies : std::uint8_t {
        expire,
        keep_all
    };  ///< a check must not expire what it looks at
    void declare(Rig& rig, Policies policies) const;
    void step();
    void append();
    void fact();
    void recycle_some();
    void reopen();
    void take_what_is_there(Rig& rig, CommitId flushed);
    void at_write();
    std::map<StreamId, Offset> live_starts() const {
        std::map<StreamId, Offset> starts;
        for (const auto& [id, stream] : model_.streams)
            if (const StreamState* state = rig_->log->stream(id)) starts[id] = state->log_start;
        return starts;
    }
    void check_image(SimImage image, bool deeper);
    bool check(Rig& rig, const Model& model, CommitId flushed,
               const std::map<StreamId, Offset>& starts);
    void fail(const std::string& text) {
        if (result_.failure.empty())
            result_.failure = "seed " + std::to_string(options_.seed) + " workload " +
                              name_of(options_.workload) + " write " +
                              std::to_string(result_.writes) + " " + where_ + ": " + text;
    }
    bool done() const { return !result_.failure.empty() || result_.images >= options_.images_max; }

    SweepOptions options_;
    std::unordered_set<std::uint64_t>& seen_;
    SimRandom random_;
    SimStorage device_;
    std::unique_ptr<Rig> rig_;
    Model model_;
    SweepResult result_;
    std::string where_;
    std::map<StreamId, Offset> starts_;  ///< log starts when the last run ended
    bool opened_ = false;
    std::uint64_t serial_ = 0, runs_ = 0;
};

constexpr StreamId streams_first = 1;
constexpr StreamId streams_count = 4;

void Sweep::declare(Rig& rig, Policies policies) const {
    for (StreamId id = streams_first; id < streams_first + streams_count; ++id) {
        StreamPolicy policy;
        if (policies == Policies::keep_all) {
            (void)rig.log->declare_stream(id, policy);
            continue;
        }
        if (id == 1) policy.retention_bytes = 15'000;
        if (id == 2) policy.retention = milliseconds(3'000);
        if (id == 3) policy.retention_bytes = 6'000;
        (void)rig.log->declare_stream(id, policy);
        rig.log->set_release(id, id == 4 ? 0 : INT64_MAX);
    }
}

bool Sweep::start() {
    LogConfig config = small_config();
    // Small groups, so that commits are many; some runs let them grow.
    config.group_bytes_max = options_.seed % 3 == 0 ? 64 * KiB : 16 * KiB;
    device_.on_write = [this] { at_write(); };  // the start itself is swept too
    rig_ = std::make_unique<Rig>(device_, config, options_.faults, options_.seed * 100 + ++runs_);
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
    result_.wraps = device_.counts().bytes_written / (16 * small_segment);
    return result_;
}

void Sweep::append() {
    const StreamId id = streams_first + static_cast<StreamId>(random_.below(streams_count));
    SentStream& stream = model_.streams[id];
    BatchSpec spec;
    spec.count = 1 + static_cast<std::uint32_t>(random_.below(5));
    spec.size = random_.chance(85) ? 20 + random_.below(900)
                                   : 2'000 + random_.below(random_.chance(10) ? 30'000 : 7'000);
    spec.salt = ++serial_;
    spec.timestamp = 1'000'000 + static_cast<std::int64_t>(serial_) * 10;
    if (id % 2 == 0) {
        spec.producer_id = 7000 + id;
        spec.epoch = 0;
        spec.sequence = stream.sequence;
    }
    const auto appended = rig_->append(id, spec);
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
    stream.batches.push_back({appended->base_offset, end, appended->commit, spec});
    stream.end = end;
    const StreamState* state = rig_->log->stream(id);
    while (!stream.batches.empty() && stream.batches.front().end <= state->log_start &&
           stream.batches.size() > 300)
        stream.batches.erase(
            stream.batches
                .begin());  // long expired: after a crash the log start may be an older one
}

void Sweep::fact() {
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
    // Stream 4 is "routed": what upstream has may go when room is short.
    const StreamState* state = rig_->log->stream(4);
    if (random_.chance(60)) rig_->log->set_release(4, state->flushed);
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
    else
        rig_->settle();
    if (clean && !rig_->log->closed()) fail("does not close");
    const CommitId flushed = rig_->log->flushed_commit();
    starts_ = live_starts();
    const bool roomy =
        rig_->log->status().segments_free > 1;  // else there may be no place for the seal
    opened_ = false;
    rig_.reset();
    device_.power_cycle();
    device_.fail_next(0, 0);
    where_ = "after reopening";
    {  // A copy is looked at, which expires nothing meanwhile.
        SimStorage copy({.seed = 5}, device_.image());
        Rig rig(copy, small_config(), options_.faults, options_.seed + 79);
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
            stream.sequence -= static_cast<std::int32_t>(stream.batches.back().spec.count);
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
    if (options_.workload == Workload::errors && random_.chance(8))
        device_.fail_next(random_.below(6), random_.chance(70) ? 1 : 1 + random_.below(3));
    for (const auto& [id, stream] : model_.streams)
        if (const std::string wrong = books_problem(*rig_->log, id); !wrong.empty() && !done())
            fail("live: stream " + std::to_string(id) + " " + wrong);
    if (rig_->log->status().read_only && !done()) {
        if (options_.workload != Workload::errors) fail("read only without an error");
        const auto rolled = rig_->log->poll_rolled_back();
        if (rolled && rolled->first != rig_->log->flushed_commit())
            fail("rolled back to something else than the flushed commit");
        reopen();
    }
}

void Sweep::at_write() {
    ++result_.writes;
    for (std::uint32_t i = 0; i < options_.variants && !done(); ++i) {
        const auto tear = static_cast<Tear>(random_.below(leat::test::tears));
        SimImage image = device_.crash_image(tear, random_);
        if (!seen_.insert(image.hash()).second) continue;
        ++result_.images;
        ++result_.by_tear[static_cast<std::size_t>(tear)];
        where_ = "tear " + std::to_string(static_cast<int>(tear));
        check_image(std::move(image), result_.images % 16 == 0);
    }
}

void Sweep::check_image(SimImage image, bool deeper) {
    SimStorage device({.seed = 5}, std::move(image));
    const std::map<StreamId, Offset> starts = opened_ ? live_starts() : starts_;
    const CommitId flushed =
        opened_ ? rig_->log->flushed_commit() : 0;  // what earlier runs made durable has 0
    std::map<StreamId, Offset> ends;
    std::map<StreamId, std::int32_t> grown;
    {
        Rig rig(device, small_config(), options_.faults, options_.seed + 77);
        if (!rig.open()) return fail("recovery: " + rig.log->open_error_text());
        declare(rig, Policies::keep_all);
        if (!check(rig, model_, flushed, starts) || !deeper) return;
        for (const auto& [id, stream] : model_.streams) ends[id] = rig.log->stream(id)->log_end;
        // Work goes on after the crash, and the power fails again.
        for (StreamId id = streams_first; id < streams_first + streams_count; ++id) {
            if (rig.append_durably(id, {.count = 2, .size = 300, .salt = 900'000 + id}))
                grown[id] = 2;
        }
    }
    SimRandom random(options_.seed);
    SimStorage again({.seed = 6}, device.crash_image(Tear::dropped, random));
    Rig rig(again, small_config(), options_.faults, options_.seed + 78);
    where_ += ", second crash";
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
        if (const std::string wrong = books_problem(*rig.log, id); !wrong.empty())
            return fail(name + " " + wrong), false;
        // Every batch from log start to log end, byte-equal and in order.
        ByteView left = all.bytes;
        Offset at = state.log_start;
        auto sent = std::lower_bound(
            stream.batches.begin(), stream.batches.end(), at,
            [](const SentBatch& batch, Offset offset) { return batch.end <= offset; });
        while (!left.empty()) {
            const ByteView got = next_batch(left);
            if (got.empty() || sent == stream.batches.end())
                return fail(name + " reads bytes that were never sent"), false;
            std::vector<std::uint8_t> expect = make_batch(sent->spec);
            store_big<std::int64_t>(expect.data(), sent->base);
            if (got.size() != expect.size() || !equal(got.first(12), ByteView(expect).first(12)) ||
                !equal(got.subspan(16), ByteView(expect).subspan(16)))
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
                    batch.first_sequence != kept[kept.size() - 1 - i]->spec.sequence)
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

}  // namespace

SweepResult run_sweep(const SweepOptions& options, std::unordered_set<std::uint64_t>& seen) {
    return Sweep(options, seen).run();
}

}  // namespace leat::log::test
