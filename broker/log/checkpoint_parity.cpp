#include "broker/log/checkpoint_parity.hpp"

namespace leat::log {

namespace {
constexpr std::size_t head_bytes = 16;
}

void Parity::add(ByteView pages) {
    for (; pages.size() >= page_; pages = pages.subspan(page_), ++pages_) {
        std::uint8_t* into = stripes_.data() + pages_ % (parity_bytes / page_) * page_;
        for (std::uint32_t i = 0; i < page_; i += 8) {
            std::uint64_t sum = 0, more = 0;
            std::memcpy(&sum, into + i, 8);
            std::memcpy(&more, pages.data() + i, 8);
            sum ^= more;
            std::memcpy(into + i, &sum, 8);
        }
    }
}

void Parity::encode(std::vector<std::uint8_t>& out) const {
    std::uint32_t bytes = parity_bytes;
    while (bytes > 0 && stripes_[bytes - 1] == 0) --bytes;
    LittleWriter to(out);
    to.put<std::uint64_t>(pages_);
    to.put<std::uint32_t>(bytes);
    to.put<std::uint32_t>(0);
    out.insert(out.end(), stripes_.begin(), stripes_.begin() + bytes);
}

Status Parity::join(ByteView body) {
    LittleReader in(body);
    const auto pages = in.get<std::uint64_t>();
    const auto bytes = in.get<std::uint32_t>();
    if (!in.ok() || pages != pages_ || bytes > parity_bytes || body.size() != head_bytes + bytes)
        return fail(Error::corrupt);
    for (std::uint32_t i = 0; i < bytes; ++i) stripes_[i] ^= body[head_bytes + i];
    return ok();
}

bool CheckpointWriter::finish_collecting() {
    // Where nothing waits all is durable that was not given up.
    if (phase_ == Phase::wait_durable && core_.flushed_id < barrier_ && !arrivals_.idle())
        return false;
    const bool parity = phase_ == Phase::wait_durable && parity_;
    if (parity_ && !parity) {  // written a moment ago
        end_.parity_bytes = flight_bytes_;
        position_ = end_record_position(flight_position_, flight_bytes_);
    }
    encode_end(body_, end_);
    add(FrameType::checkpoint_end, 0);
    phase_ = parity ? Phase::parity : Phase::end;
    if (!parity) return true;
    parity_->encode(body_);
    add(FrameType::checkpoint_parity, 0);
    // On a page of flash of its own, and the end record behind it, or both go elsewhere.
    position_ = static_cast<std::uint32_t>(round_up(position_, parity_bytes));
    if (std::uint64_t{end_record_position(position_, group_.padded())} + core_.page >
        core_.segment_bytes)
        position_ = core_.segment_bytes;
    return true;
}

}  // namespace leat::log
