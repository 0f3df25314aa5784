// The scrubber: reads every sealed segment now and then, so that damage is known before somebody
// needs what it hit. Header, commits, frames, batches and footer are held against their checksums,
// in blocks of 64 KiB, one at a time, spread over LogConfig::scrub_every and never faster than
// 1 MiB/s. What does not hold is told with its place on the device (LogStatus::damage); where it is
// records, a reader goes over them, and the ledger gets exactly those that are lost. What the
// device refuses is told when it is lost by the rule of the readers (refusals.hpp); until then the
// rest of the log has its turn. Nothing is repaired, and nothing is written but the ledger and, now
// and then, how far it came: a lazy fact, so that a gateway that is switched off every day gets
// round, too.
#pragma once

#include "broker/log/read.hpp"

namespace leat::log {

constexpr std::uint32_t scrub_block_bytes = 64 * 1024;
constexpr milliseconds scrub_pace_min{63};  ///< between two blocks: 1 MiB/s at most
constexpr milliseconds scrub_pace_max{60'000};
/// Records that the device refuses: how often they are asked for again, and when, before the rest
/// of the log has its turn.
constexpr std::uint32_t scrub_tries_max = 30;
constexpr milliseconds scrub_refused_wait{10'000};
/// So many blocks that were refused are asked for again, between others; more have their next turn.
constexpr std::size_t scrub_refused_max = 64;
constexpr std::uint8_t scrub_fact_kind = 65;  ///< beside FactKind, as the books'
/// How often the place is written: alone, and when a commit is to be made anyway.
constexpr milliseconds scrub_keep_every{3'600'000}, scrub_keep_riding{300'000};

/// Holds the commits of one segment against their checksums, fed in order, in pieces of any size.
class SegmentCheck {
public:
    /// `from`: where a commit begins; 0: behind the header.
    SegmentCheck(const SegmentEntry& entry, std::uint32_t page_bytes, std::uint32_t from = 0);
    /// false: what stands at position() does not hold.
    bool feed(ByteView bytes);
    std::uint32_t position() const { return at_; }

private:
    enum class State : std::uint8_t { commit, frame, body, zeros };
    bool take_commit();
    bool take_frame();
    bool take_body(ByteView piece);
    bool end_body();

    SegmentEntry entry_;
    std::uint32_t page_;
    State state_ = State::commit;
    std::uint32_t at_, read_;  ///< of the structure that is read; of the next byte
    std::uint32_t commit_end_ = 0, frames_end_ = 0, zeros_end_ = 0;
    std::uint64_t sequence_ = 0;
    std::uint32_t commit_at_ = 0, commit_tie_ = 0, tie_ = 0;  ///< tie_: of the frames so far
    std::uint8_t head_[256] = {};  ///< a header, as far as it came
    std::uint32_t have_ = 0, want_ = commit_header_bytes;
    FrameHeader frame_;
    std::uint32_t body_have_ = 0, frame_crc_ = 0;
    // The batch that the frames make up.
    std::uint8_t batch_head_[outside_kafka_crc] = {};
    std::uint32_t batch_have_ = 0, batch_total_ = 0, batch_crc_ = 0;
};

class Scrubber {
public:
    Scrubber(Core& core, Arrivals& arrivals, Reader& reader);

    void pump(Instant now);
    void on_done(Instant now, std::uint64_t ticket, bool good);
    Instant deadline() const;
    void stop() { stopped_ = true; }
    bool busy() const { return ticket_ != 0; }

private:
    enum class Phase : std::uint8_t { next, header, data, footer, records };
    bool choose(Instant now);
    bool choose_refused(Instant now);
    void begin(std::uint32_t segment);
    bool put_back(Instant now);
    bool gone() const;
    void start_read(Instant now, std::uint32_t position, std::uint32_t bytes);
    void look_at_block(Instant now);
    void damaged(Instant now, DamagedPlace::What what, std::uint32_t position);
    void records(Instant now);
    void end_segment(Instant now);
    void keep_place(Instant now);
    std::uint32_t kept_place() const;

    Core& core_;
    Arrivals& arrivals_;
    Reader& reader_;
    std::optional<Instant> kept_at_;
    bool stopped_ = false;
    Phase phase_ = Phase::next;
    Instant next_at_{};
    milliseconds pace_{scrub_pace_min};
    std::uint32_t circle_ = no_segment;  ///< how far the circle came
    std::uint32_t segment_ = no_segment;
    std::uint64_t generation_ = 0;
    std::uint32_t position_ = 0, block_bytes_ = 0;
    AlignedBytes block_;
    struct Refused {
        std::uint64_t generation = 0;
        Refusal refusal{};
    };
    std::map<std::pair<std::uint32_t, std::uint32_t>, Refused> refused_;  ///< by segment, position
    std::vector<std::uint8_t> footer_;
    std::optional<SegmentCheck> check_;
    bool suspect_ = false;  ///< records of this segment have to be read one by one
    std::uint64_t ticket_ = 0;
    std::vector<std::pair<StreamId, Offset>> ranges_;  ///< what is left to read, and to where
    Offset at_ = 0;
    ReadTicket read_ = 0;
    std::uint32_t tries_ = 0;
    std::vector<std::uint8_t> memory_;
};

}  // namespace leat::log
