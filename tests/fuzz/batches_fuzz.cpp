// Input: a record batch as a stranger's producer sends it. Its length and CRC are put right first,
// so that what is looked at is the judgement behind them; every other input keeps them wrong.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "broker/topics/validate.hpp"
#include "broker/uplink/reencode.hpp"
#include "sdk/compression/compression.hpp"
#include "sdk/wire/record_batch.hpp"

using namespace leat;

namespace {

using Bytes = std::vector<std::uint8_t>;

void must(bool condition) {
    if (!condition) std::abort();
}

/// Every record of a batch that passed, again through the other door.
std::int64_t sum_of(Codec codec, ByteView records, std::int32_t count) {
    Bytes plain;
    must(bool(compression::decompress(codec, records, plain, 64 * MiB)));
    wire::RecordReader reader(plain, count);
    std::int64_t bytes = 0;
    std::int32_t seen = 0;
    while (std::optional<wire::RecordView> record = reader.next()) {
        bytes += static_cast<std::int64_t>(record->key.size() + record->value.size());
        while (const auto header = record->headers.next())
            bytes += static_cast<std::int64_t>(header->key.size() + header->value.size());
        ++seen;
    }
    must(bool(reader.finish()) && seen == count);
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, data + size);
    if (size >= wire::batch_header_size && data[0] % 8 != 7) {
        wire::BatchHeader header = wire::read_batch_header(bytes.data());
        wire::seal_batch_header(header, ByteView(bytes).subspan(wire::batch_header_size),
                                bytes.data());
    }
    const topics::BatchRules rules{.bytes_max = 1024 * 1024,
                                   .decompressed_bytes_max = 1024 * 1024,
                                   .compacted = size % 2 == 0};
    const topics::Validated judged = topics::validate(bytes, rules);
    must((judged.error == wire::ErrorCode::none) == judged.message.empty());
    must(judged.problems.size() <= topics::record_problems_max);

    const Result<wire::BatchView> batch = wire::BatchView::parse(bytes);
    if (!batch) {
        must(judged.error != wire::ErrorCode::none);
        return 0;
    }
    // What did not pass may still come back from a device that lies; taking it apart must not fall
    // over.
    const auto parts = uplink::reencode(*batch, {.partition_count = 3, .gateway_id = "g"});
    if (judged.error != wire::ErrorCode::none) return 0;

    const std::int64_t sum = sum_of(batch->codec(), batch->records(), batch->header().record_count);
    must(bool(parts));
    std::int64_t part_sum = 0, records = 0;
    for (const uplink::Part& part : *parts) {
        part_sum += sum_of(part.header.codec(), part.records, part.header.record_count);
        records += part.header.record_count;
        must(part.header.last_offset_delta == part.header.record_count - 1);
    }
    must(records == batch->header().record_count);
    // Three headers more on each: 33 bytes of names, the values "g", an offset and an epoch.
    must(part_sum >= sum + records * (33 + 3));
    return 0;
}
