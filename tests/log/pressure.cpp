// What was sent, held against what is there.
#include "tests/log/pressure.hpp"

namespace leat::log::test {

void Pressure::follow() {
    while (const auto rolled = rig->log->poll_rolled_back()) {
        ++rolled_back;
        for (auto& [id, stream] : streams)
            while (!stream.batches.empty() && stream.batches.back().commit > rolled->first) {
                stream.given_up.push_back(std::move(stream.batches.back()));
                stream.batches.pop_back();
            }
        flushed_ = rolled->first;
    }
    const CommitId flushed = rig->log->flushed_commit();
    for (auto& [id, stream] : streams) {
        // From the first commit after it on nothing of it may come back.
        if (flushed > flushed_) stream.given_up.clear();
        const Offset start = rig->log->stream(id)->log_start;
        if (start < stream.start_seen) fail("a log start went back");
        stream.start_seen = start;
        while (!stream.batches.empty() && stream.batches.front().end <= start)
            stream.batches.pop_front();
    }
    flushed_ = std::max(flushed_, flushed);
}

/// What was not acknowledged is there or not, and so is what was given up: from here on the model
/// knows.
void Pressure::after_start() {
    for (auto& [id, stream] : streams) {
        const StreamState* found = rig->log->stream(id);
        const Offset end = found->log_end;
        Offset acked = 0;
        for (const PressedStream::Sent& batch : stream.batches)
            if (batch.commit <= flushed_) acked = batch.end;
        if (end < acked)
            fail("stream " + std::to_string(id) + " ends at " + std::to_string(end) +
                 ", acknowledged up to " + std::to_string(acked));
        const bool again = std::any_of(
            stream.given_up.begin(), stream.given_up.end(),
            [&](const PressedStream::Sent& sent) { return sent.end == end; });
        const Offset last = stream.batches.empty() ? stream.start_seen : stream.batches.back().end;
        if (end > last && !again)
            fail("stream " + std::to_string(id) + " has invented records up to " +
                 std::to_string(end));
        while (!stream.batches.empty() && stream.batches.back().end > end)
            stream.batches.pop_back();
        std::sort(stream.given_up.begin(), stream.given_up.end(),
                  [](const auto& a, const auto& b) { return a.base < b.base; });
        for (PressedStream::Sent& sent : stream.given_up)
            if (sent.end <= end &&
                (stream.batches.empty() ? sent.base >= stream.start_seen
                                        : sent.base >= stream.batches.back().end))
                stream.batches.push_back(std::move(sent));
        stream.given_up.clear();
        for (PressedStream::Sent& batch : stream.batches) batch.commit = 0;
        // A log start that was not durable yet may be an older one now.
        stream.start_seen = std::min(stream.start_seen, found->log_start);
    }
    flushed_ = 0;
}

void Pressure::check() {
    pass(0);
    for (auto& [id, stream] : streams) {
        if (!wrong.empty()) return;
        check_stream(id, stream);
        if (!wrong.empty()) wrong = "stream " + std::to_string(id) + " " + wrong;
    }
}

void Pressure::check_stream(StreamId id, PressedStream& stream) {
    const Books books = rig->log->books(id);
    const StreamState state = *rig->log->stream(id);
    if (!books.balanced() || books.log_end != state.log_end)
        return fail("has books of " + std::to_string(books.sum()) + " records, and ends at " +
                    std::to_string(state.log_end));
    for (const Loss& loss : books.losses)
        if (!stream.drops() || loss.reason != LossReason::no_room || loss.to > state.log_start)
            return fail("lost " + std::to_string(loss.from) + " to " + std::to_string(loss.to) +
                        " for reason " + std::to_string(static_cast<int>(loss.reason)));
    auto all = rig->read_all(id, state.log_start);
    for (int again = 0; again < 3 && all.error == Error::storage; ++again) {  // as clients do
        pass(1'000);
        all = rig->read_all(id, state.log_start);
    }
    if (all.error)
        return fail("reads " + std::string(error_text(*all.error)) + " at " +
                    std::to_string(all.next));
    if (stream.policy.compact) {
        ByOffset found, sent;
        if (!take_records(all.bytes, found)) return fail("reads what is no batch");
        for (const auto& [offset, record] : found) {
            const auto before = stream.keyed_before.find(offset);
            if (before != stream.keyed_before.end() && before->second == record)
                stream.keyed[offset] = record;
            if (const auto is = stream.keyed.find(offset);
                is == stream.keyed.end() || !(is->second == record))
                return fail("has another record at " + std::to_string(offset));
        }
        stream.keyed_before.clear();
        sent.insert(stream.keyed.lower_bound(state.log_start),
                    stream.keyed.lower_bound(state.flushed));
        found.erase(found.begin(), found.lower_bound(state.log_start));
        if (view_of(found) != view_of(sent)) fail("has lost what a key says");
        return;
    }
    ByteView left = all.bytes;
    Offset at = state.log_start;
    std::size_t next = 0;
    while (!left.empty()) {
        const ByteView got = next_batch(left);
        if (got.empty() || !is_sent(stream, next, got))
            return fail("reads at " + std::to_string(at) + " what was not sent");
        at = read_batch_fields(got)->end_offset();
    }
    if (at != state.flushed)
        fail("reads only up to " + std::to_string(at) + " of " + std::to_string(state.flushed));
}

bool Pressure::is_sent(PressedStream& stream, std::size_t& at, ByteView got) {
    const Offset base = read_batch_fields(got)->base_offset;
    while (at < stream.batches.size() && stream.batches[at].base < base) ++at;
    if (at == stream.batches.size() || stream.batches[at].base != base) return false;
    const ByteView sent = stream.batches[at].bytes;
    return got.size() == sent.size() && equal(got.subspan(16), sent.subspan(16));
}

}  // namespace leat::log::test
