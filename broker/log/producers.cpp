#include "broker/log/producers.hpp"

#include <algorithm>

#include "broker/log/little.hpp"

namespace leat::log {

void push_producer_batch(ProducerState& state, std::int16_t epoch, const ProducerBatch& batch) {
    if (state.epoch != epoch) state = ProducerState{.epoch = epoch, .count = 0, .last = {}};
    if (state.count == producer_batches_max) {
        std::move(state.last + 1, state.last + producer_batches_max, state.last);
        --state.count;
    }
    state.last[state.count++] = batch;
}

ProducerBatch producer_batch_of(const BatchFields& fields, CommitId id) {
    // Sequences wrap from 2^31 - 1 to 0, so the sum is made unsigned and cut.
    const std::uint32_t last = (static_cast<std::uint32_t>(fields.base_sequence) +
                                static_cast<std::uint32_t>(fields.last_offset_delta)) &
                               0x7FFFFFFFu;
    return {.first_sequence = fields.base_sequence,
            .last_sequence = static_cast<std::int32_t>(last),
            .base_offset = fields.base_offset,
            .timestamp = fields.log_append_time() ? fields.max_timestamp : -1,
            .commit = id};
}

void encode_producer(std::vector<std::uint8_t>& out, std::int64_t producer_id,
                     const Producer& producer) {
    LittleWriter to(out);
    to.put<std::int64_t>(producer_id);
    to.put<std::int16_t>(producer.state.epoch);
    to.put<std::uint16_t>(producer.state.count);
    to.put<std::uint32_t>(0);
    to.put<std::uint64_t>(producer.age_ms);
    for (std::size_t i = 0; i < producer.state.count; ++i) {
        const ProducerBatch& batch = producer.state.last[i];
        to.put<std::int32_t>(batch.first_sequence);
        to.put<std::int32_t>(batch.last_sequence);
        to.put<std::int64_t>(batch.base_offset);
        to.put<std::int64_t>(batch.timestamp);
    }
}

Result<DecodedProducer> decode_producer(ByteView body) {
    LittleReader in(body);
    DecodedProducer decoded;
    decoded.producer_id = in.get<std::int64_t>();
    decoded.producer.state.epoch = in.get<std::int16_t>();
    const auto count = in.get<std::uint16_t>();
    in.skip(4);
    decoded.producer.age_ms = in.get<std::uint64_t>();
    if (count > producer_batches_max) return fail(Error::malformed);
    for (std::size_t i = 0; i < count; ++i) {
        ProducerBatch& batch = decoded.producer.state.last[i];
        batch.first_sequence = in.get<std::int32_t>();
        batch.last_sequence = in.get<std::int32_t>();
        batch.base_offset = in.get<std::int64_t>();
        batch.timestamp = in.get<std::int64_t>();
    }
    decoded.producer.state.count = static_cast<std::uint8_t>(count);
    if (!in.ok()) return fail(Error::malformed);
    return decoded;
}

const ProducerState* Producers::find(StreamId stream, std::int64_t producer_id) const {
    const auto found = producers_.find({stream, producer_id});
    return found == producers_.end() ? nullptr : &found->second.producer.state;
}

Producers::Slot& Producers::touch(const ProducerKey& key, std::uint64_t age_ms) {
    const auto found = producers_.find(key);
    if (found != producers_.end()) return found->second;
    if (producers_.size() >= count_max_) make_room(age_ms);
    once_.push_back(key);
    return producers_.emplace(key, Slot{{}, std::prev(once_.end())}).first->second;
}

void Producers::used(Slot& slot) {
    auto& to = slot.producer.state.count > 1 ? order_ : once_;
    to.splice(to.end(), slot.in_once ? once_ : order_, slot.used);
    slot.in_once = &to == &once_;
}

std::uint64_t Producers::age_of(const std::list<ProducerKey>& order) const {
    return order.empty() ? UINT64_MAX : producers_.find(order.front())->second.producer.age_ms;
}

void Producers::make_room(std::uint64_t age_ms) {
    if (producers_.empty()) return;
    const std::uint64_t once = age_of(once_);
    const bool over = !once_.empty() && once + once_is_over_ms <= age_ms;
    const auto& from = over || once < age_of(order_) ? once_ : order_;
    erase(producers_.find((from.empty() ? once_ : from).front()));
}

void Producers::erase(Map::iterator found) {
    (found->second.in_once ? once_ : order_).erase(found->second.used);
    producers_.erase(found);
}

void Producers::on_batch(StreamId stream, const BatchFields& fields, CommitId id,
                         std::uint64_t age_ms) {
    Slot& slot = touch({stream, fields.producer_id}, age_ms);
    undo_.push_back({id, {stream, fields.producer_id}, slot.producer.state});
    push_producer_batch(slot.producer.state, fields.producer_epoch, producer_batch_of(fields, id));
    slot.producer.age_ms = age_ms;
    used(slot);
}

void Producers::restore(StreamId stream, std::int64_t producer_id, const Producer& producer) {
    Slot& slot = touch({stream, producer_id}, producer.age_ms);
    ProducerState& state = slot.producer.state;
    for (std::size_t i = 0; i < producer.state.count; ++i) {
        const ProducerBatch& batch = producer.state.last[i];
        // A checkpoint may be newer than the footers that are redone over it.
        if (state.count > 0 && batch.base_offset <= state.last[state.count - 1].base_offset)
            continue;
        push_producer_batch(state, producer.state.epoch, batch);
    }
    slot.producer.age_ms = std::max(slot.producer.age_ms, producer.age_ms);
    used(slot);
}

void Producers::restored() {
    std::vector<std::pair<std::uint64_t, Slot*>> all;
    all.reserve(producers_.size());
    for (auto& [key, slot] : producers_) all.emplace_back(slot.producer.age_ms, &slot);
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [age, slot] : all) used(*slot);
}

void Producers::expire(std::uint64_t before_age_ms) {
    for (std::list<ProducerKey>* order : {&once_, &order_})
        while (age_of(*order) < before_age_ms) erase(producers_.find(order->front()));
}

void Producers::limit(std::uint32_t count_max) {
    count_max_ = count_max;
    std::uint64_t newest = 0;
    for (const auto& [key, slot] : producers_) newest = std::max(newest, slot.producer.age_ms);
    while (producers_.size() > count_max_) make_room(newest);
}

void Producers::forget_stream(StreamId stream) {
    for (auto it = producers_.lower_bound({stream, INT64_MIN});
         it != producers_.end() && it->first.stream == stream;)
        erase(it++);
}

void Producers::durable(CommitId flushed) {
    while (!undo_.empty() && undo_.front().id <= flushed) undo_.pop_front();
}

void Producers::roll_back(CommitId flushed) {
    for (; !undo_.empty() && undo_.back().id > flushed; undo_.pop_back()) {
        const auto found = producers_.find(undo_.back().key);
        if (found == producers_.end()) continue;  // pushed out or dropped meanwhile
        found->second.producer.state = undo_.back().before;
        if (undo_.back().before.count == 0) erase(found);
    }
    undo_.clear();
}

}  // namespace leat::log
