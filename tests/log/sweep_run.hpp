// One sweep: the model of what was promised, and the run that keeps it (sweep.cpp: the workload,
// sweep_check.cpp: an image against the model).
#pragma once

#include "tests/log/keyed.hpp"
#include "tests/log/sweep.hpp"

namespace leat::log::test {

/// One batch that the log took: its bytes as it must come back.
struct SentBatch {
    Offset base = 0, end = 0;
    CommitId commit = 0;
    std::uint32_t count = 0;
    std::int32_t sequence = -1;
    std::vector<std::uint8_t> bytes;
    std::vector<KeyedValue> records;  ///< of a compacted stream
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
    // Commit ids of a run start anew: everything of earlier runs that survived has 0.
};

inline std::string key_name(std::uint64_t i) { return "key-" + std::to_string(i); }

/// What does not add up in the books of a stream; only one that drops its oldest may lose records.
std::string books_problem(const Log& log, StreamId id, bool drops);

constexpr StreamId streams_first = 1;
constexpr StreamId streams_count = 4;

class Sweep {
public:
    Sweep(const SweepOptions& options, Seen& seen)
        : options_(with_page(options)),
          segment_(segment_for(options_)),
          seen_(seen),
          random_(options.seed),
          device_(device_options()) {
        // Two commits fill a segment: it turns as often as others.
        if (options_.page_bytes == segment_ / 4) options_.steps = options_.steps * 3 / 10;
        // Few of its commits are of many sectors.
        if (options_.workload == Workload::facts) options_.steps *= 2;
        // Every other dozen of seeds has more segments than anchors: the links in the footers lead.
        if (options_.seed / 12 % 2 == 1) options_.faults.anchors_max = 4;
    }
    SweepResult run();

private:
    static SweepOptions with_page(SweepOptions options) {
        // Of every five rounds of seeds each workload has large pages in one of each half.
        const std::uint64_t round = options.seed / 2 / workloads;
        const bool large = (options.seed / 2 + round + 2 * (options.seed % 2)) % 5 == 0;
        if (options.page_bytes == 0) options.page_bytes = large ? 16 * KiB : 4 * KiB;
        if (options.lost_page == 0) options.lost_page = options.page_bytes;
        return options;
    }
    /// With pages of 16 KiB a segment holds two of them beside its header and its footer, or 14.
    static std::uint32_t segment_for(const SweepOptions& options) {
        const bool large = options.page_bytes > 4 * KiB && options.seed / 2 / workloads % 2 == 1;
        return large ? 4 * small_segment : small_segment;
    }
    std::uint64_t shrink_most() const {
        return options_.device_bytes > small_device
                   ? (options_.device_bytes - 32 * KiB) / small_segment
                   : 27;
    }
    std::uint64_t shrink_least() const { return shrink_most() > 27 ? shrink_most() - 60 : 15; }
    std::uint64_t bytes_for(std::uint64_t segments) const {
        return 32 * KiB + segments * segment_;
    }
    LogConfig usual_config() const {
        LogConfig config = small_config();
        config.page_bytes = options_.page_bytes;
        config.segment_bytes = segment_;
        return config;
    }
    LogConfig looking_config() {
        LogConfig config = usual_config();
        if (options_.workload == Workload::shrink && random_.chance(30))
            config.budget_bytes = bytes_for(shrink_least());
        return config;
    }
    SimStorageOptions device_options() const {
        SimStorageOptions device{.seed = options_.seed, .size = options_.device_bytes};
        if (segment_ > small_segment) device.size = bytes_for(16);
        device.lost_page = options_.lost_page;
        device.shuffle = options_.seed % 2 == 1;
        device.lies_for_writes = options_.lies_for_writes;
        if (options_.tail_rewritten) device.tail_rewritten_in = segment_;
        if (options_.workload == Workload::fill && options_.seed % 3 == 0)
            device.size = bytes_for(64);  // several segments between two checkpoints
        if (options_.workload == Workload::shrink) {
            device.size = bytes_for(shrink_most());
            device.shrinks = options_.seed / 36 % 2 == 0;  // else old segments stay where they are
        }
        return device;
    }
    bool start();
    enum class Policies : std::uint8_t {
        expire,
        keep_all
    };  ///< a check must not expire what it looks at
    void declare(Rig& rig, Policies policies) const;
    bool drops(StreamId id) const {
        return options_.workload == Workload::drop && (id == 1 || id == 3);
    }
    bool compacts(StreamId id) const { return options_.workload == Workload::compact && id <= 2; }
    void step();
    void append();
    std::vector<std::uint8_t> keyed_batch(StreamId id, std::int32_t sequence,
                                          std::vector<KeyedValue>& records);
    void fact();
    void recycle_some();
    void reopen();
    void recover_by_itself();
    void follow_rollback();
    Tear choose_tear();
    std::uint8_t cell_of(Tear tear) const {
        const bool large = tear == Tear::page_lost && options_.page_bytes > 4 * KiB;
        const std::size_t column = large ? columns - 1 : static_cast<std::size_t>(tear);
        const std::size_t row = static_cast<std::size_t>(options_.workload);
        return static_cast<std::uint8_t>(row * columns + column);
    }
    void take_what_is_there(Rig& rig, CommitId flushed);
    void at_write();
    void count_run();
    std::map<StreamId, Offset> live_starts() const {
        std::map<StreamId, Offset> starts;
        for (const auto& [id, stream] : model_.streams)
            if (const StreamState* state = rig_->log->stream(id))
                // A group that is full may leave between a book and the log start that it tells.
                starts[id] = std::max(state->log_start, rig_->log->books(id).log_start);
        return starts;
    }
    void check_image(SimImage image, bool deeper);
    bool verify(const SimImage& image);
    void hurt_at_write();
    std::string keys_problem(const SentStream& stream, const StreamState& state, const Books& books,
                             ByteView bytes);
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
    std::uint32_t segment_;
    Seen& seen_;
    SimRandom random_;
    SimStorage device_;
    std::unique_ptr<Rig> rig_;
    Model model_;
    SweepResult result_;
    std::string where_;
    std::map<StreamId, Offset> starts_;  ///< log starts when the last run ended
    bool opened_ = false;
    std::optional<Log::RolledBack> given_up_;  ///< may still be found until the log writes again
    std::uint64_t serial_ = 0, runs_ = 0;
    std::uint64_t copied_ = 0, copied_at_write_ = 0;  ///< by the cleaner, at its last write
};

}  // namespace leat::log::test
