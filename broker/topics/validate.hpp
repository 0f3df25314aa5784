// What a broker looks at before it takes a batch from a producer (kafka-rules 4.1, "Produce
// validation": ProduceRequest.validateRecords and LogValidator in Kafka).
//
// The bytes are a stranger's. A batch that passes has exactly the records its header claims, so
// that nobody after us, neither the log nor a consumer, needs to doubt it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "leat/time.hpp"
#include "sdk/wire/error_code.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::topics {

/// A batch that is to be stored with another codec is expanded whole: to at most so much.
constexpr std::uint32_t recoded_from_bytes_max = 8 * 1024 * 1024;

/// At most so many rejected records of a batch are named to the producer.
constexpr std::size_t record_problems_max = 64;

struct BatchRules {
    std::int16_t produce_version = 7;       ///< zstd needs Produce v7 (KIP-110)
    std::uint32_t bytes_max = 1024 * 1024;  ///< of the batch as it came
    std::uint32_t decompressed_bytes_max = 32 * 1024 * 1024;
    std::optional<Codec> codec = {};  ///< of the topic; null: what the producer chose
    bool compacted = false;           ///< then a record without key is refused
    bool transactions =
        false;  ///< false: transactional batches are refused, there is no coordinator
    WallTime now{};
    bool check_times = false;     ///< false for LogAppendTime topics
    milliseconds before_max{-1};  ///< -1: no bound; while wall time is not trusted there is none
    milliseconds after_max{-1};
};

/// A record that is the reason why its whole batch was refused (ProduceResponse v8, record_errors).
struct RecordProblem {
    std::int32_t index = 0;  ///< in the batch
    std::string message;
};

struct Validated {
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string message;  ///< for people; empty when error is none
    std::vector<RecordProblem> problems;
    wire::BatchHeader header;  ///< as it came, or of `recoded`; meaningful when error is none
    /// The whole batch with the topic's codec, to be stored in its place: offsets, producer and
    /// sequence are what they were. Empty: it is stored as it came.
    std::vector<std::uint8_t> recoded;
    /// The largest time stamp the records really have; a producer may have written another one into
    /// the header. -1: no record has one.
    std::int64_t max_timestamp = -1;
};

/// Judges one partition's records of a Produce request. `records` is borrowed for the call.
///
/// errors  invalid_record (not one batch, magic, counts, lengths, control, keyless) ·
/// corrupt_message (short,
///         CRC) · unsupported_compression_type · message_too_large · invalid_timestamp ·
///         invalid_txn_state
/// cost    uncompressed: one pass for the CRC, one over the records, no heap. Compressed:
/// decompressed in
///         pieces of 64 KiB, so a batch that expands costs no memory for it; only one that is
///         recoded is held expanded
Validated validate(ByteView records, const BatchRules& rules);

/// Does validate() have to decompress or compress, and so cost more than a walk over the bytes?
/// Looks at the header only. false for what is no batch: that is refused at once.
bool is_work(ByteView records, std::optional<Codec> codec);

/// What validate() may put into `recoded`, at most; 0: nothing.
std::size_t recoded_bytes_max(ByteView records, const BatchRules& rules);

}  // namespace leat::topics
