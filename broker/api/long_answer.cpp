#include "broker/api/long_answer.hpp"

#include <algorithm>

#include "sdk/wire/frame.hpp"

namespace leat::api {
namespace {

// Doubled from the one to the other.
constexpr std::size_t piece_bytes_min = 1 * KiB, piece_bytes_max = 1 * MiB;

// false: it says something that no string holds.
bool put(const AnyResponse& response, MutableBytes into) {
    const auto written = response.encode(response.message, response.version, into);
    LEAT_CHECK(!written || *written == into.size());
    return bool(written);
}

std::vector<std::uint8_t> encoded(const AnyResponse& response) {
    std::vector<std::uint8_t> out(response.size(response.message, response.version));
    (void)put(response, out);  // has no text that a request brought
    return out;
}

}  // namespace

void LongBody::begin_piece(const AnyResponse& none, std::size_t size) {
    if (pieces_.empty())
        gap_ = head_bytes(none) + none.size(none.message, none.version) + 4;
    else
        pieces_.back().narrow(pieces_.size() == 1 ? gap_ : 0, filled_);
    filled_ = pieces_.empty() ? gap_ : 0;
    const std::size_t usual = std::clamp(bytes_, piece_bytes_min, piece_bytes_max);
    pieces_.emplace_back(filled_ + std::max(size, usual));
}

void LongBody::add(const AnyResponse& none, const AnyResponse& one) {
    if (bytes_ > answer_bytes_max) return;  // will not be sent
    const std::size_t size = one.size(one.message, one.version);
    const auto too_large = [this](std::size_t bytes) {
        ++count_;
        bytes_ += bytes;
    };
    if (size > answer_bytes_max) return too_large(size);
    if (pieces_.empty() || pieces_.back().all().size() - filled_ < size) begin_piece(none, size);
    const MutableBytes into = pieces_.back().all().subspan(filled_, size);
    if (!put(one, into)) return too_large(answer_bytes_max + 1);
    if (count_++ == 0) {
        const std::vector<std::uint8_t> empty = encoded(none);
        const auto length = std::mismatch(empty.begin(), empty.end(), into.begin()).first;
        front_ = static_cast<std::size_t>(length - empty.begin()) + 1;
        back_ = empty.size() - front_;
    }
    const std::size_t element = size - front_ - back_;
    std::copy_n(into.data() + front_, element, into.data());
    filled_ += element;
    bytes_ += element;
}

void LongBody::send(Context& context, const AnyResponse& none, wire::Versions versions,
                    std::int32_t correlation_id, session::Reply& reply) {
    const std::vector<std::uint8_t> empty = encoded(none);
    const ByteView all(empty);
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
    const std::size_t head = head_bytes(none), front = front_ - replaced + length_bytes;
    const ByteView behind = all.subspan(front_);
    session::Grant grant;
    if (!may_send(context, head + front + bytes_ + behind.size(), grant, reply)) return;
    // Where an element was, there is room for what stood around it then.
    if (pieces_.back().all().size() - filled_ < behind.size()) begin_piece(none, behind.size());
    session::Buffer& last = pieces_.back();
    copy_bytes(behind, last.all().subspan(filled_));
    filled_ += behind.size();
    last.narrow(pieces_.size() == 1 ? gap_ : 0, filled_);
    last.grant() = std::move(grant);
    session::Buffer first = std::move(pieces_.front());
    const std::size_t begin = gap_ - front - head;
    const MutableBytes before = first.all().subspan(begin, head + front);
    put_head(before.first(head), none, correlation_id, front + bytes_ + behind.size());
    copy_bytes(all.first(front_ - replaced), before.subspan(head));
    copy_bytes(ByteView(length, length_bytes), before.last(length_bytes));
    first.narrow(begin, gap_ + first.size());
    pieces_.erase(pieces_.begin());
    reply.send(std::move(first), std::move(pieces_));
}

}  // namespace leat::api
