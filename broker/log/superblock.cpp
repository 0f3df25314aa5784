#include "broker/log/superblock.hpp"

#include <bit>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {
constexpr char magic[] = "LEATSUPR";
constexpr std::uint32_t flag_unlisted_copies = 1;

void store_place(std::uint8_t* at, const CheckpointPlace& place) {
    store_little<std::uint32_t>(at, place.segment);
    store_little<std::uint32_t>(at + 4, place.position);
    store_little<std::uint32_t>(at + 8, place.bytes);
    store_little<std::uint32_t>(at + 12, place.salt);
    store_little<std::uint64_t>(at + 16, place.generation);
}
CheckpointPlace load_place(const std::uint8_t* at) {
    CheckpointPlace place;
    place.segment = load_little<std::uint32_t>(at);
    place.position = load_little<std::uint32_t>(at + 4);
    place.bytes = load_little<std::uint32_t>(at + 8);
    place.salt = load_little<std::uint32_t>(at + 12);
    place.generation = load_little<std::uint64_t>(at + 16);
    return place;
}
}  // namespace

void encode_superblock(const Superblock& super, MutableBytes into) {
    LEAT_CHECK(into.size() >= superblock_bytes &&
               super.device_identity.size() <= identity_bytes_max);
    std::uint8_t* at = into.data();
    std::fill_n(at, superblock_bytes, std::uint8_t{0});
    std::memcpy(at, magic, 8);
    store_little<std::uint32_t>(at + 8, format_version);
    store_little<std::uint32_t>(at + 12, superblock_bytes);
    store_little<std::uint64_t>(at + 16, super.sequence);
    copy_bytes(super.log_id, into.subspan(24));
    copy_bytes(super.parent_log_id, into.subspan(40));
    store_little<std::uint32_t>(at + 56, super.page_bytes);
    store_little<std::uint32_t>(at + 60, super.segment_bytes);
    store_little<std::uint32_t>(at + 64, super.segments);
    store_little<std::uint32_t>(at + 68, super.slot_bytes);
    store_little<std::uint64_t>(at + 72, super.pool_start);
    store_little<std::uint64_t>(at + 80, super.start_count);
    store_little<std::int32_t>(at + 88, super.leader_epoch);
    store_little<std::uint32_t>(at + 92, super.unlisted_copies ? flag_unlisted_copies : 0);
    store_little<std::uint64_t>(at + 96, super.log_time_ms);
    store_little<std::uint64_t>(at + 104, super.off_time_ms);
    store_little<std::int64_t>(at + 112, super.trusted_wall_ms);
    store_little<std::uint64_t>(at + 120, super.trusted_at_log_time_ms);
    store_place(at + 128, super.checkpoint);
    at[152] = static_cast<std::uint8_t>(super.device_identity.size());
    copy_bytes(bytes_of(super.device_identity), into.subspan(153));
    store_little<std::uint32_t>(at + 220, super.void_from);
    store_little<std::uint64_t>(at + 224, super.void_generation);
    if (super.previous.is()) store_place(at + 232, super.previous);
    store_little<std::uint32_t>(at + 508, crc32c(0, into.first(508)));
}

Result<Superblock> decode_superblock(ByteView bytes) {
    if (bytes.size() < superblock_bytes || std::memcmp(bytes.data(), magic, 8) != 0)
        return fail(Error::corrupt);
    const std::uint8_t* at = bytes.data();
    if (load_little<std::uint32_t>(at + 508) != crc32c(0, bytes.first(508)))
        return fail(Error::corrupt);
    if (load_little<std::uint32_t>(at + 8) != format_version) return fail(Error::unsupported);
    Superblock super;
    super.sequence = load_little<std::uint64_t>(at + 16);
    copy_bytes(bytes.subspan(24, 16), super.log_id);
    copy_bytes(bytes.subspan(40, 16), super.parent_log_id);
    super.page_bytes = load_little<std::uint32_t>(at + 56);
    super.segment_bytes = load_little<std::uint32_t>(at + 60);
    super.segments = load_little<std::uint32_t>(at + 64);
    super.slot_bytes = load_little<std::uint32_t>(at + 68);
    super.pool_start = load_little<std::uint64_t>(at + 72);
    super.start_count = load_little<std::uint64_t>(at + 80);
    super.leader_epoch = load_little<std::int32_t>(at + 88);
    super.unlisted_copies = load_little<std::uint32_t>(at + 92) & flag_unlisted_copies;
    super.log_time_ms = load_little<std::uint64_t>(at + 96);
    super.off_time_ms = load_little<std::uint64_t>(at + 104);
    super.trusted_wall_ms = load_little<std::int64_t>(at + 112);
    super.trusted_at_log_time_ms = load_little<std::uint64_t>(at + 120);
    super.checkpoint = load_place(at + 128);
    // Zeros in what was written before this field was.
    if (const CheckpointPlace place = load_place(at + 232); place.bytes != 0)
        super.previous = place;
    const std::size_t identity = at[152];
    const bool sane = identity <= identity_bytes_max && std::has_single_bit(super.segment_bytes) &&
                      super.segment_bytes >= 64 * KiB && super.segment_bytes <= 1024 * MiB &&
                      (super.page_bytes == 4096 || super.page_bytes == 16384) &&
                      super.segments <= (1u << 24) && super.slot_bytes >= 16 * KiB &&
                      super.pool_start == 2ull * super.slot_bytes;
    if (!sane) return fail(Error::corrupt);
    super.device_identity = std::string(text_of(bytes.subspan(153, identity)));
    super.void_from = load_little<std::uint32_t>(at + 220);
    super.void_generation = load_little<std::uint64_t>(at + 224);
    return super;
}

std::uint64_t bytes_made_for(ByteView first, ByteView second) {
    auto newest = decode_superblock(first);
    const auto other = decode_superblock(second);
    if (!newest || (other && other->sequence > newest->sequence)) newest = other;
    if (!newest) return 0;
    return newest->pool_start + std::uint64_t{newest->segments} * newest->segment_bytes;
}

std::string log_id_text(const LogId& id) {
    if (id == LogId{}) return {};
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < id.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += digits[id[i] >> 4];
        text += digits[id[i] & 15];
    }
    return text;
}

}  // namespace leat::log
