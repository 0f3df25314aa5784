#include "broker/log/commit.hpp"

#include <cstdlib>
#include <new>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

void encode_commit_header(const CommitHeader& header, std::uint32_t salt, std::uint8_t* at) {
    std::fill_n(at, commit_header_bytes, std::uint8_t{0});
    store_little<std::uint32_t>(at, commit_magic);
    store_little<std::uint64_t>(at + 8, header.generation);
    store_little<std::uint64_t>(at + 16, header.sequence);
    store_little<std::uint32_t>(at + 24, header.bytes);
    store_little<std::uint32_t>(at + 28, header.used);
    store_little<std::uint32_t>(at + 32, header.frames);
    store_little<std::uint32_t>(at + 36, header.run);
    store_little<std::uint64_t>(at + 40, header.log_time_ms);
    store_little<std::uint64_t>(at + 48, header.off_time_ms);
    store_little<std::int64_t>(at + 56, header.wall_ms);
    at[64] = static_cast<std::uint8_t>(header.kind);
    at[65] = header.flags;
    store_little<std::uint32_t>(at + 68, header.position);
    store_little<std::uint32_t>(at + 72, header.tie);
    store_little<std::uint32_t>(at + 4, crc32c(salt, ByteView(at + 8, commit_header_bytes - 8)));
}

Result<CommitHeader> decode_commit_header(ByteView bytes, std::uint32_t salt) {
    if (bytes.size() < commit_header_bytes ||
        load_little<std::uint32_t>(bytes.data()) != commit_magic)
        return fail(Error::corrupt);
    const std::uint8_t* at = bytes.data();
    CommitHeader header;
    header.crc = load_little<std::uint32_t>(at + 4);
    if (header.crc != crc32c(salt, bytes.subspan(8, commit_header_bytes - 8)))
        return fail(Error::corrupt);
    header.generation = load_little<std::uint64_t>(at + 8);
    header.sequence = load_little<std::uint64_t>(at + 16);
    header.bytes = load_little<std::uint32_t>(at + 24);
    header.used = load_little<std::uint32_t>(at + 28);
    header.frames = load_little<std::uint32_t>(at + 32);
    header.run = load_little<std::uint32_t>(at + 36);
    header.log_time_ms = load_little<std::uint64_t>(at + 40);
    header.off_time_ms = load_little<std::uint64_t>(at + 48);
    header.wall_ms = load_little<std::int64_t>(at + 56);
    header.kind = static_cast<CommitKind>(at[64]);
    header.flags = at[65];
    header.position = load_little<std::uint32_t>(at + 68);
    header.tie = load_little<std::uint32_t>(at + 72);
    if (header.used < commit_header_bytes || header.used > header.bytes)
        return fail(Error::corrupt);
    return header;
}

void AlignedBytes::Free::operator()(std::uint8_t* p) const { std::free(p); }

void AlignedBytes::reserve(std::size_t bytes, std::size_t keep) {
    if (bytes <= capacity_) return;
    const std::size_t size = round_up(std::max(bytes, capacity_ + capacity_ / 2), align_);
    auto* fresh = static_cast<std::uint8_t*>(std::aligned_alloc(align_, size));
    if (fresh == nullptr) throw std::bad_alloc();
    if (keep > 0) std::memcpy(fresh, memory_.get(), keep);
    memory_.reset(fresh);
    capacity_ = size;
}

void Group::need(std::size_t bytes) {
    memory_.reserve(front_ + round_up(bytes, page_), entries_.empty() ? 0 : front_ + used_);
}

MutableBytes Group::add(FrameType type, std::uint32_t stream, std::uint32_t body, CommitId id,
                        Instant now) {
    FrameHeader header;
    header.type = type;
    header.stream = stream;
    header.body_bytes = header.total_bytes = body;
    header.header_bytes = FrameHeader::header_bytes_of(type);
    const auto size = static_cast<std::uint32_t>(header.padded_bytes());
    need(std::size_t{used_} + size);
    std::uint8_t* at = commit() + used_;
    encode_frame_header(header, at);
    std::fill(at + header.header_bytes + body, at + size, std::uint8_t{0});
    entries_.push_back({used_, id, now});
    came_ = std::min(came_, now);
    used_ += size;
    if (type == FrameType::append) payload_ += body;
    return {at + header.header_bytes, body};
}

std::size_t Group::entries_within(std::uint32_t limit) const {
    std::size_t count = entries_.size();
    while (count > 0) {
        const std::uint32_t end = count == entries_.size() ? used_ : entries_[count].at;
        if (round_up(end, page_) <= limit) break;
        --count;
    }
    return count;
}

void Group::move_rest(std::size_t first, Group& rest) {
    LEAT_CHECK(rest.empty() && first < entries_.size());
    const std::uint32_t from = entries_[first].at;
    const std::uint32_t bytes = used_ - from;
    rest.need(std::size_t{commit_header_bytes} + bytes);
    std::memcpy(rest.commit() + commit_header_bytes, commit() + from, bytes);
    rest.used_ = commit_header_bytes + bytes;
    for (std::size_t i = first; i < entries_.size(); ++i) {
        Entry entry = entries_[i];
        const FrameHeader header = decode_frame_header(commit() + entry.at);
        if (header.type == FrameType::append || header.type == FrameType::more) {
            payload_ -= header.body_bytes;
            rest.payload_ += header.body_bytes;
        }
        entry.at = entry.at - from + commit_header_bytes;
        rest.entries_.push_back(entry);
    }
    entries_.resize(first);
    used_ = from;
    find_came();
    rest.find_came();
}

void Group::find_came() {
    came_ = never;
    for (const Entry& entry : entries_) came_ = std::min(came_, entry.came);
}

bool Group::cut_at(std::uint32_t limit, Group& rest) {
    LEAT_CHECK(rest.empty() && limit % 8 == 0 && limit > commit_header_bytes && limit < used_);
    std::size_t split = entries_.size() - 1;
    while (entries_[split].at >= limit) {
        if (split == 0) return false;
        --split;
    }
    const Entry entry = entries_[split];
    FrameHeader header = decode_frame_header(commit() + entry.at);
    const std::uint32_t end = split + 1 < entries_.size() ? entries_[split + 1].at : used_;
    if (end == limit) {
        move_rest(split + 1, rest);
        return true;
    }
    const bool batch = header.type == FrameType::append;  // so a batch has two parts at most
    const std::uint32_t before = limit - entry.at;        // header and body of the part that stays
    // The first part holds the whole batch header, so that its fields are known where it begins;
    // the rest must not be only padding.
    if (!batch || before < frame_header_bytes + batch_header_bytes ||
        before - frame_header_bytes >= header.body_bytes)
        return false;
    const std::uint32_t stays = before - frame_header_bytes;
    const std::uint32_t goes = header.body_bytes - stays;
    FrameHeader tail = header;
    tail.type = FrameType::more;
    tail.body_bytes = goes;
    tail.before_bytes = header.before_bytes + stays;
    const std::uint32_t later = used_ - end;
    rest.need(commit_header_bytes + tail.padded_bytes() + later);
    std::uint8_t* at = rest.commit() + commit_header_bytes;
    encode_frame_header(tail, at);
    std::memcpy(at + frame_header_bytes, commit() + limit, goes);
    std::fill(at + frame_header_bytes + goes, at + tail.padded_bytes(), std::uint8_t{0});
    rest.entries_.push_back({commit_header_bytes, entry.id, entry.came});
    rest.used_ = commit_header_bytes + static_cast<std::uint32_t>(tail.padded_bytes());
    std::memcpy(rest.commit() + rest.used_, commit() + end, later);
    rest.payload_ = goes;
    payload_ -= goes;
    for (std::size_t i = split + 1; i < entries_.size(); ++i) {
        Entry moved = entries_[i];
        const FrameHeader moved_header = decode_frame_header(commit() + moved.at);
        if (moved_header.type == FrameType::append) {
            payload_ -= moved_header.body_bytes;
            rest.payload_ += moved_header.body_bytes;
        }
        moved.at = moved.at - end + rest.used_;
        rest.entries_.push_back(moved);
    }
    rest.used_ += later;
    header.flags |= frame_continues;
    header.body_bytes = stays;
    encode_frame_header(header, commit() + entry.at);
    entries_.resize(split + 1);
    used_ = limit;
    find_came();
    rest.find_came();
    return true;
}

void Group::restore_first(ByteView part) {
    FrameHeader header = decode_frame_header(commit() + entries_.front().at);
    LEAT_CHECK(header.type == FrameType::more && header.before_bytes == part.size());
    const std::uint32_t old_end = entries_.size() > 1 ? entries_[1].at : used_;
    const auto tail = header.body_bytes;
    header.type = FrameType::append;
    header.before_bytes = 0;
    header.body_bytes = header.total_bytes;
    const auto new_end = static_cast<std::uint32_t>(commit_header_bytes + header.padded_bytes());
    need(std::size_t{used_} + new_end - old_end);
    std::memmove(commit() + new_end, commit() + old_end, used_ - old_end);
    std::uint8_t* body = commit() + commit_header_bytes + frame_header_bytes;
    std::memmove(body + part.size(), body, tail);
    copy_bytes(part, {body, part.size()});
    std::fill(body + header.body_bytes, commit() + new_end, std::uint8_t{0});
    encode_frame_header(header, commit() + commit_header_bytes);
    for (std::size_t i = 1; i < entries_.size(); ++i) entries_[i].at += new_end - old_end;
    used_ += new_end - old_end;
    payload_ += static_cast<std::uint32_t>(part.size());
}

bool Group::continues() const {
    return !entries_.empty() && decode_frame_header(commit() + entries_.back().at).continues();
}

ByteView Group::finish(CommitHeader header, std::uint32_t salt) {
    need(used_);
    header.tie = 0;
    for (const Entry& entry : entries_)
        header.tie = tied(header.tie, seal_frame(salt, {commit() + entry.at, used_ - entry.at}));
    header.used = used_;
    header.bytes = padded();
    header.frames = static_cast<std::uint32_t>(entries_.size());
    if (continues()) header.flags |= commit_continues;
    std::fill(commit() + used_, commit() + header.bytes, std::uint8_t{0});
    encode_commit_header(header, salt, commit());
    return {commit(), header.bytes};
}

ByteView Group::finish_opening(CommitHeader header, std::uint32_t salt, ByteView segment_header,
                               ByteView footer) {
    const ByteView body = finish(header, salt);
    std::uint8_t* page = commit() - page_;
    std::fill_n(page, page_, std::uint8_t{0});
    copy_bytes(segment_header, {page, page_});
    LEAT_CHECK(footer.size() <= front_ - page_);
    std::uint8_t* from = page - footer.size();
    copy_bytes(footer, {from, footer.size()});
    return {from, footer.size() + page_ + body.size()};
}

void Group::clear(std::size_t keep_bytes) {
    entries_.clear();
    came_ = never;
    used_ = commit_header_bytes;
    payload_ = 0;
    if (memory_.capacity() > front_ - page_ + keep_bytes) memory_.free();
}

}  // namespace leat::log
