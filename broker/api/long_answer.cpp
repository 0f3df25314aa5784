#include "broker/api/long_answer.hpp"

#include <algorithm>

#include "sdk/wire/frame.hpp"

namespace leat::api {
namespace {

/// Behind what is there.
void put(const AnyResponse& response, std::vector<std::uint8_t>& out) {
    const std::size_t at = out.size();
    out.resize(at + response.size(response.message, response.version));
    const MutableBytes into = MutableBytes(out).subspan(at);
    const auto written = response.encode(response.message, response.version, into);
    LEAT_CHECK(written && *written == into.size());
}

}  // namespace

void LongBody::add(const AnyResponse& none, const AnyResponse& one) {
    if (elements_.size() > answer_bytes_max) return;  // will not be sent
    const auto at = static_cast<std::ptrdiff_t>(elements_.size());
    put(one, elements_);
    if (count_++ == 0) {
        std::vector<std::uint8_t> empty;
        put(none, empty);
        const auto length = std::mismatch(empty.begin(), empty.end(), elements_.begin()).first;
        front_ = static_cast<std::size_t>(length - empty.begin()) + 1;
        back_ = empty.size() - front_;
    }
    elements_.resize(elements_.size() - back_);
    elements_.erase(elements_.begin() + at,
                    elements_.begin() + at + static_cast<std::ptrdiff_t>(front_));
}

void LongBody::send(Context& context, const AnyResponse& none, wire::Versions versions,
                    std::int32_t correlation_id, session::Reply& reply) {
    std::vector<std::uint8_t> empty;
    put(none, empty);
    std::uint8_t length[5];
    std::size_t length_bytes = 0, replaced = 4;
    if (none.version >= versions.flexible) {
        replaced = 1;
        for (auto left = static_cast<std::uint32_t>(count_) + 1;; left >>= 7) {
            length[length_bytes++] = static_cast<std::uint8_t>(left < 0x80 ? left : left | 0x80);
            if (left < 0x80) break;
        }
    } else {
        store_big(length, count_);
        length_bytes = 4;
    }
    const ByteView all(empty);
    const ByteView pieces[] = {all.first(front_ - replaced), ByteView(length, length_bytes),
                               elements_, all.subspan(front_)};
    send_pieces(context, none, pieces, correlation_id, reply);
}

}  // namespace leat::api
