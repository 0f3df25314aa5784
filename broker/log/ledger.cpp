#include "broker/log/ledger.hpp"

namespace leat::log {

namespace {
// What the frames beside the book itself may take, in the commit and in the footer.
constexpr std::size_t beside_bytes = 192;
}  // namespace

std::string Ledger::key_of(StreamId id) {
    std::uint8_t key[4];
    store_big<std::uint32_t>(key, id);
    return Facts::key_of(ledger_fact_kind, key);
}

void apply_book(Core& core, const std::string& key, ByteView value) {
    if (key.size() != 5 || static_cast<std::uint8_t>(key[0]) != ledger_fact_kind) return;
    const auto id = load_big<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(key.data()) + 1);
    Stream* stream = core.streams.find(id);
    if (stream == nullptr) return;
    const Result<StreamBook> book = StreamBook::decode(value);
    if (!book || !book->kept() || book->log_start() <= stream->state.log_start ||
        book->kept()->upto < stream->state.log_end)
        return;
    stream->state.log_start = book->log_start();
    stream->state.bytes = stream->flushed_bytes = book->kept()->bytes;
    stream->counted_to = book->kept()->upto;
}

void Ledger::load() {
    const std::string prefix(1, static_cast<char>(ledger_fact_kind));
    std::vector<std::string> orphans;
    std::vector<StreamId> taken_back;
    for (auto it = core_.facts.all().lower_bound(prefix);
         it != core_.facts.all().end() && it->first[0] == prefix[0]; ++it) {
        if (it->first.size() != 5) continue;
        const auto id =
            load_big<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(it->first.data()) + 1);
        Result<StreamBook> book = StreamBook::decode(bytes_of(it->second.value));
        if (!book) continue;  // its records count as unexplained below
        Stream* stream = core_.streams.find(id);
        if (stream == nullptr && id != no_stream) {
            orphans.push_back(it->first);  // dropped, and the power failed before its book was
            continue;
        }
        if (stream != nullptr) {
            if (book->clip(stream->state.log_end)) unwritten_.insert(id);
            if (book->settle(core_.checkpoint_number, StreamBook::After::crash))
                taken_back.push_back(id);
            if (book->log_start() > stream->state.log_start) {
                stream->state.log_start = book->log_start();
                stream->prune_anchors();
            }
            stream->has_gaps = book->has_superseded();
        }
        books_.emplace(id, *std::move(book));
    }
    for (const std::string& key : orphans) core_.facts.restore(key, std::nullopt, UINT64_MAX);
    for (const StreamId id : taken_back) {
        // A later checkpoint must not make it true: it carries this one, with room or without.
        unwritten_.insert(id);
        core_.facts.restore(key_of(id), books_[id].encode(), arrivals_.next_sequence());
    }
    for (const auto& [id, stream] : core_.streams.all()) {
        const Offset start = stream.state.log_start;
        const auto found = books_.find(id);
        const Offset booked = found == books_.end() ? 0 : found->second.log_start();
        if (start <= booked) continue;
        core_.counters.unexplained_records += static_cast<std::uint64_t>(start - booked);
        books_[id].freed(Freed::expired, start, 0);
        unwritten_.insert(id);
    }
}

namespace {

std::int64_t less(std::int64_t kept, std::uint64_t bytes) {
    return kept - static_cast<std::int64_t>(
                      std::min(bytes, static_cast<std::uint64_t>(std::max<std::int64_t>(kept, 0))));
}

void move_log_start(Stream& stream, Offset to, std::uint64_t bytes) {
    StreamState& state = stream.state;
    state.log_start = to;
    state.bytes = to >= state.log_end ? 0 : less(state.bytes, bytes);
    stream.flushed_bytes = to >= state.flushed ? 0 : less(stream.flushed_bytes, bytes);
}

}  // namespace

StreamBook Ledger::moved(Instant now, StreamId id, const Stream& stream, Offset to,
                         std::uint64_t bytes, Freed how, std::optional<LossReason> reason) const {
    const auto found = books_.find(id);
    StreamBook book = found == books_.end() ? StreamBook{} : found->second;
    if (reason)
        book.dropped(*reason, to, bytes, stamp(now));
    else
        book.freed(how, to, bytes);
    const StreamState& state = stream.state;
    book.set_kept({to >= state.log_end ? 0 : less(state.bytes, bytes), state.log_end});
    return book;
}

void Ledger::keep(StreamId id, StreamBook book) {
    const auto known = books_.find(id);
    const std::uint64_t before = known == books_.end() ? 0 : known->second.lost_below(INT64_MAX);
    core_.counters.lost_records += book.lost_below(INT64_MAX) - before;
    books_.insert_or_assign(id, std::move(book));
}

CommitId Ledger::put(Instant now, StreamId id, const std::optional<std::string>& value) {
    const std::string key = key_of(id);
    const ByteView name = bytes_of(key).subspan(1);
    const ByteView bytes = value ? bytes_of(*value) : ByteView{};
    const auto body = static_cast<std::uint32_t>(fact_body_bytes + name.size() + bytes.size());
    CommitId commit = 0;
    const MutableBytes into =
        arrivals_.add(now, value ? FrameType::fact : FrameType::fact_erased, 0, body, commit);
    encode_fact_body({ledger_fact_kind, 0, name, bytes}, into);
    core_.facts.put(key, value, commit);
    return commit;
}

Result<CommitId> Ledger::raise_log_start(Instant now, StreamId id, Stream& stream, Offset to,
                                         std::uint64_t bytes, Freed how,
                                         std::optional<LossReason> reason, Urgency urgency) {
    StreamBook book = moved(now, id, stream, to, bytes, how, reason);
    const std::string value = book.encode();
    const auto wanted =
        static_cast<std::uint32_t>(fact_body_bytes + 4 + value.size() + beside_bytes);
    if (const Status room = arrivals_.room_for(FrameType::fact, wanted, urgency); !room)
        return fail(room.error());
    if (core_.faults.book_late) {
        unwritten_.insert(id);
    } else {
        (void)put(now, id, value);
        unwritten_.erase(id);
    }
    keep(id, std::move(book));
    CommitId commit = 0;
    store_little<std::int64_t>(arrivals_.add(now, FrameType::log_start, id, 8, commit).data(), to);
    move_log_start(stream, to, bytes);
    stream.log_start_id = commit;
    return commit;
}

void Ledger::raise_in_checkpoint(Instant now, StreamId id, Stream& stream, Offset to,
                                 std::uint64_t bytes, Freed how, std::optional<LossReason> reason) {
    StreamBook book = moved(now, id, stream, to, bytes, how, reason);
    core_.facts.restore(key_of(id), book.encode(), arrivals_.next_sequence());
    keep(id, std::move(book));
    unwritten_.insert(id);
    move_log_start(stream, to, bytes);
}

void Ledger::lost(Instant now, StreamId id, LossReason why, Offset from, Offset to,
                  std::uint64_t bytes) {
    const auto found = books_.find(id);
    StreamBook book = found == books_.end() ? StreamBook{} : found->second;
    const std::uint64_t before = book.lost_below(INT64_MAX);
    book.lost(why, from, to, bytes, stamp(now));
    if (book.lost_below(INT64_MAX) == before) return;  // known already
    keep(id, std::move(book));
    unwritten_.insert(id);
}

void Ledger::superseded(StreamId id, std::uint64_t records, std::int64_t bytes,
                        std::uint64_t checkpoint) {
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return;
    stream->has_gaps = true;
    stream->state.bytes = std::max<std::int64_t>(stream->state.bytes - bytes, 0);
    stream->flushed_bytes = std::max<std::int64_t>(stream->flushed_bytes - bytes, 0);
    StreamBook& book = books_[id];
    (void)book.settle(core_.checkpoint_number, StreamBook::After::checkpoint);
    book.superseded(records, static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)),
                    checkpoint);
    book.set_kept({stream->state.bytes, stream->state.log_end});
    // A book that is under way or waits in the open group gets a larger sequence than this one and
    // would count: it is written once more, behind that.
    const Fact* written = core_.facts.find(key_of(id));
    if (written != nullptr && written->sequence == 0) unwritten_.insert(id);
    core_.facts.restore(key_of(id), book.encode(), arrivals_.next_sequence());
}

void Ledger::not_copied(Instant now, StreamId id, Offset from, Offset to, std::uint64_t bytes) {
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return;
    lost(now, id, LossReason::damaged, from, to, bytes);
    stream->state.bytes = less(stream->state.bytes, bytes);
    stream->flushed_bytes = less(stream->flushed_bytes, bytes);
    StreamBook& book = books_[id];
    if (book.kept()) book.set_kept({stream->state.bytes, stream->state.log_end});
    core_.facts.restore(key_of(id), book.encode(), arrivals_.next_sequence());
    unwritten_.insert(id);
}

void Ledger::count(Instant now, LossReason why, std::uint64_t records, std::uint64_t bytes) {
    books_[no_stream].count(why, records, bytes, stamp(now));
    core_.counters.lost_records += records;
    unwritten_.insert(no_stream);
}

void Ledger::forget(Instant now, StreamId id) {
    unwritten_.erase(id);
    if (books_.erase(id) == 0) return;
    if (arrivals_.room_for(FrameType::fact_erased, fact_body_bytes + 4, Urgency::upkeep))
        (void)put(now, id, std::nullopt);
    // Without room it is an orphan, which the next start forgets.
}

void Ledger::rolled_back() {
    for (auto& [id, book] : books_) {
        if (Stream* stream = core_.streams.find(id)) {
            (void)book.clip(stream->state.log_end);
            if (!book.kept() && book.log_start() == stream->state.log_start)
                book.set_kept({stream->state.bytes, stream->state.log_end});
            // It stays raised here, so it has to become durable: a book alone does that.
            if (stream->log_start_id > core_.flushed_id) {
                stream->log_start_id = not_durable;
                unwritten_.insert(id);
            }
        }
        const Fact* written = core_.facts.find(key_of(id));
        if (written == nullptr || written->value != book.encode()) unwritten_.insert(id);
    }
}

void Ledger::pump(Instant now) {
    while (!unwritten_.empty()) {
        const StreamId id = *unwritten_.begin();
        const std::string value = books_[id].encode();
        const auto wanted = static_cast<std::uint32_t>(fact_body_bytes + 4 + value.size());
        if (!arrivals_.room_for(FrameType::fact, wanted, Urgency::upkeep)) return;
        const CommitId commit = put(now, id, value);
        unwritten_.erase(id);
        Stream* stream = core_.streams.find(id);
        if (stream == nullptr) continue;
        // A book alone makes its log start durable.
        const bool by_checkpoint = stream->log_start_checkpoint > core_.checkpoint_number;
        if (stream->log_start_id != not_durable && !by_checkpoint) continue;
        stream->log_start_id = commit;
        stream->log_start_checkpoint = 0;
    }
}

Books Ledger::books(StreamId id) const {
    const auto found = books_.find(id);
    const StreamBook book = found == books_.end() ? StreamBook{} : found->second;
    const Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return book.view(0, 0);
    return book.view(stream->state.log_end, stream->state.release);
}

}  // namespace leat::log
