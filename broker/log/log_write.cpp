// What is put into the open group: batches of records, and facts.
#include "broker/log/log_impl.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

Result<Appended> LogImpl::append(Instant now, WallTime wall, const AppendRequest& request) {
    core_.called_at = now;
    if (!parts_ || closing_) return fail(Error::closed);
    if (core_.read_only) return fail(Error::storage);
    Stream* stream = core_.streams.find(request.stream);
    if (stream == nullptr) return fail(Error::not_found);
    const Result<BatchFields> checked = read_batch_fields(request.batch);
    if (!checked || checked->total_bytes != request.batch.size()) return fail(Error::malformed);
    if (request.batch.size() > max_batch_bytes()) return fail(Error::too_large);
    if (const auto owed = raise_to_.find(request.stream); owed != raise_to_.end())
        if (const auto raised = raise_end(now, request.stream, *stream, owed->second); !raised)
            return fail(raised.error());
    if (stream->state.log_end > INT64_MAX - checked->last_offset_delta - 2)
        return fail(Error::too_large);
    const Urgency urgency =
        stream->state.bytes < core_.reservation(*stream) ? Urgency::reserved : Urgency::data;
    if (const Status room = room_for(FrameType::append, request.batch.size(), urgency); !room)
        return fail(room.error());
    core_.time.see_wall(now, wall);
    stream->expect_segment();

    Appended appended;
    const MutableBytes body =
        parts_->arrivals.add_at(now, core_.governor.came_for(now, request.flush_within),
                                FrameType::append, request.stream,
                                static_cast<std::uint32_t>(request.batch.size()), appended.commit);
    appended.base_offset = stream->state.log_end;  // which may have sent what was there
    copy_bytes(request.batch, body);
    store_big<std::int64_t>(body.data(), appended.base_offset);
    store_big<std::int32_t>(body.data() + 12, core_.super.leader_epoch);
    if (request.log_append_time) {
        store_big<std::int16_t>(body.data() + 21,
                                static_cast<std::int16_t>(checked->attributes | 8));
        store_big<std::int64_t>(body.data() + 35,
                                request.log_append_time->time_since_epoch().count());
        store_big<std::uint32_t>(body.data() + 17,
                                 crc32c(0, ByteView(body).subspan(outside_kafka_crc)));
    }
    const BatchFields fields = *read_batch_fields(body);
    StreamState& state = stream->state;
    state.log_end = fields.end_offset();
    stream->log_end_id = appended.commit;
    state.bytes += static_cast<std::int64_t>(body.size());
    if (fields.max_timestamp > state.max_timestamp) {
        state.max_timestamp = fields.max_timestamp;
        state.max_timestamp_offset = fields.base_offset + fields.last_offset_delta;
    }
    if (fields.producer_id >= 0 && fields.base_sequence >= 0)
        core_.producers.on_batch(request.stream, fields, appended.commit, core_.time.age_ms(now));
    return appended;
}

Result<CommitId> LogImpl::write_fact(Instant now, FactKind kind, ByteView key,
                                     std::optional<ByteView> value, milliseconds may_wait) {
    core_.called_at = now;
    if (!parts_ || closing_) return fail(Error::closed);
    if (core_.read_only) return fail(Error::storage);
    const std::string whole_key = Facts::key_of(static_cast<std::uint8_t>(kind), key);
    const Fact* old = core_.facts.find(whole_key);
    if (value && old != nullptr && equal(bytes_of(old->value), *value)) {
        if (may_wait == milliseconds(0) && old->id > core_.flushed_id) parts_->arrivals.hasten(now);
        return old->id;
    }
    const std::size_t body = fact_body_bytes + key.size() + (value ? value->size() : 0);
    // All facts live in RAM and in every checkpoint, so they are bounded, each and together.
    if (key.size() > 4096 || body > core_.segment_bytes / 8) return fail(Error::too_large);
    const std::uint64_t budget = core_.budget_bytes() / 16;
    // What is replaced makes room: with all of it taken, positions that stand still move on.
    const std::uint64_t replaced = old != nullptr ? 1 + key.size() + old->value.size() : 0;
    if (value && core_.facts.bytes() - replaced + body > budget &&
        body > replaced + fact_body_bytes)
        return fail(Error::full);
    const FrameType type = value ? FrameType::fact : FrameType::fact_erased;
    // What is erased makes room, so it may have the last of it.
    const Urgency urgency = value ? Urgency::fact : Urgency::upkeep;
    if (const Status room = room_for(type, body, urgency); !room)
        return fail(room.error() == Error::full ? Error::busy : room.error());
    CommitId commit = 0;
    const MutableBytes into = parts_->arrivals.add_at(now, now + may_wait, type, 0,
                                                      static_cast<std::uint32_t>(body), commit);
    encode_fact_body({static_cast<std::uint8_t>(kind), 0, key, value ? *value : ByteView{}}, into);
    core_.facts.put(whole_key,
                    value ? std::optional<std::string>(std::string(text_of(*value))) : std::nullopt,
                    commit);
    return commit;
}

Result<CommitId> LogImpl::put_fact(Instant now, FactKind kind, ByteView key, ByteView value) {
    return write_fact(now, kind, key, value, milliseconds(0));
}
Result<CommitId> LogImpl::put_fact_lazily(Instant now, FactKind kind, ByteView key,
                                          ByteView value) {
    return write_fact(now, kind, key, value, lazy_wait);
}
Result<CommitId> LogImpl::erase_fact(Instant now, FactKind kind, ByteView key) {
    return write_fact(now, kind, key, std::nullopt, milliseconds(0));
}

std::optional<ByteView> LogImpl::find_fact(FactKind kind, ByteView key) const {
    const Fact* fact = core_.facts.find(Facts::key_of(static_cast<std::uint8_t>(kind), key));
    if (fact == nullptr) return std::nullopt;
    return bytes_of(fact->value);
}

void LogImpl::for_each_fact(FactKind kind,
                            const std::function<void(ByteView, ByteView)>& visit) const {
    const std::string prefix(1, static_cast<char>(kind));
    const auto& all = core_.facts.all();
    for (auto it = all.lower_bound(prefix); it != all.end() && it->first[0] == prefix[0]; ++it)
        visit(bytes_of(it->first).subspan(1), bytes_of(it->second.value));
}

void LogImpl::flush_soon(Instant now) {
    core_.called_at = now;
    if (parts_) parts_->arrivals.flush_soon();
}

}  // namespace leat::log
