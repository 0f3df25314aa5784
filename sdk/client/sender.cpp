#include "sdk/client/sender.hpp"

#include "sdk/client/accumulator.hpp"
#include "sdk/client/produce_codec.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;

// `auto`: what walks along next_in_request is only made where there is such a thing.
void insert_beside_its_topic(auto*& first, auto& batch) {
    const std::string_view topic = batch.queue->topic();
    auto** place = &first;
    while (*place != nullptr && (*place)->queue->topic() != topic)
        place = &(*place)->next_in_request;
    while (*place != nullptr && (*place)->queue->topic() == topic)
        place = &(*place)->next_in_request;
    batch.next_in_request = *place;
    *place = &batch;
}

/// As the peer's ApiVersions say.
[[maybe_unused]] bool takes_batches(const Connection& connection, bool idempotent) {
    using wire::ApiKey;
    return connection.version(ApiKey::produce, produce_pinned) >= 0 &&
           (!idempotent ||
            connection.version(ApiKey::init_producer_id, init_producer_id_pinned) >= 0);
}

template <class Config>
void limit_batches(Config& config) {
    if constexpr (std::is_same_v<Config, SenderConfig>)
        if (config.request_batches_max > produce_batches_max())
            config.request_batches_max = static_cast<std::uint16_t>(produce_batches_max());
}
}  // namespace

Sender::Sender(Connection& connection, ProducerIdentity& identity, const SenderConfig& config,
               Owner owner, std::uint32_t seed) {
    start(connection, identity, config, owner, seed);
}

void Sender::start(Connection& connection, ProducerIdentity& identity, const SenderConfig& config,
                   Owner owner, std::uint32_t seed) {
    connection_ = &connection;
    identity_ = &identity;
    jitter_ = Jitter(seed);
    paused_until_ = never;
    if constexpr (any_api) owner_ = owner;
    LEAT_CHECK(!config.idempotent || config.acks == Acks::all);
    LEAT_CHECK(profile.any_acks || config.idempotent);
    LEAT_CHECK(profile.expires || config.delivery_timeout.count() == 0);
    config_ = Config(config);
    limit_batches(config_);
}

Instant Sender::deadline() const {
    Instant due = earlier(profile.several_queues ? retry_.due() : queue_->retry_.due,
                          profile.several_queues ? expiry_.due() : queue_->expiry_.due);
    if (is_paused() && has_ready()) due = earlier(due, paused_until_);
    return due;
}

// ---- queues come and go

void Sender::lend(Instant now, PartitionQueue& queue) {
    LEAT_CHECK(queue.sender_ == nullptr && queue.in_flight_ == 0);
    queue.failures_ = 0;
    if constexpr (profile.several_queues) {
        queue.sender_ = this;
        queue.recalled_ = false;
        ready_.insert(queue.ready_);
    } else {
        queue_ = &queue;
        queue.retry_.unlink();
    }
    watch_expiry(now, queue);
}

void Sender::recall(PartitionQueue& queue) {
    LEAT_CHECK(profile.several_queues && queue.sender_ == this);
    queue.recalled_ = true;
    queue.ready_.unlink();
    queue.retry_.unlink();
    queue.expiry_.unlink();
    if (queue.in_flight_ == 0) tell(queue, ErrorCode::none);
}

void Sender::make_ready(PartitionQueue& queue) {
    if constexpr (!profile.several_queues) return;
    if (queue.is_recalled() || queue.retry_.is_linked()) return;
    if (queue.ready_.is_linked() && !queue.is_told()) return;
    queue.told_ = false;
    ready_.insert(queue.ready_);
}

void Sender::tell(PartitionQueue& queue, ErrorCode error) {
    if constexpr (!profile.several_queues) return;
    queue.tell_error_ = error;
    queue.told_ = true;
    told_.insert(queue.ready_);
}

std::optional<SenderEvent> Sender::poll_event() {
    if (refused_ != ErrorCode::none) {
        const SenderEvent event{.kind = SenderEvent::Kind::producer_refused, .error = refused_};
        refused_ = ErrorCode::none;
        return event;
    }
    ReadyLink* link = told_.first();
    if (link == nullptr) return std::nullopt;
    PartitionQueue& queue = *link->queue;
    link->unlink();
    queue.told_ = false;
    if (!queue.recalled_)
        return SenderEvent{SenderEvent::Kind::leader_unknown, &queue, queue.tell_error_};
    queue.sender_ = nullptr;
    return SenderEvent{SenderEvent::Kind::returned, &queue, ErrorCode::none};
}

// ---- time

void Sender::on_deadline(Instant now) {
    while (PartitionQueue* queue = first_due(now, retry_, &PartitionQueue::retry_)) {
        queue->retry_.unlink();
        make_ready(*queue);
    }
    while (PartitionQueue* queue =
               profile.expires ? first_due(now, expiry_, &PartitionQueue::expiry_) : nullptr) {
        queue->expiry_.unlink();
        watch_expiry(now, *queue);
        make_ready(*queue);
    }
    if (is_paused() && paused_until_ <= now) paused_until_ = never;
    pump(now);
}

PartitionQueue* Sender::first_due(Instant now, DueList& list, DueLink PartitionQueue::*its) {
    DueLink* const first = profile.several_queues ? list.first() : &((*queue_).*its);
    if (first == nullptr || !first->is_linked() || first->due > now) return nullptr;
    PartitionQueue* const queue = first->queue;
    return profile.several_queues ? queue : &*queue_;
}

void Sender::watch_expiry(Instant now, PartitionQueue& queue) {
    if constexpr (!profile.expires) return;
    const Instant due = queue.expire(now, config_.delivery_timeout);
    if constexpr (!profile.several_queues)
        queue.expiry_.due = due;
    else if (due == never)
        queue.expiry_.unlink();
    else
        expiry_.insert(queue.expiry_, due);
}

void Sender::retry_later(Instant now, PartitionQueue& queue) {
    if (queue.retry_.is_linked() || queue.is_recalled()) return;
    const Instant due = now + backoff(++queue.failures_);
    if constexpr (profile.several_queues) {
        queue.ready_.unlink();
        queue.told_ = false;
        retry_.insert(queue.retry_, due);
    } else {
        queue.retry_.due = due;
    }
}

void Sender::pause(Instant now, milliseconds time) {
    if (time.count() > 0) paused_until_ = now + time;
}

// ---- requests

void Sender::pump(Instant now) {
    // New in the list since the last time: whatever happens to the connection, their batches shall
    // expire.
    if constexpr (profile.expires && !profile.several_queues)
        if (!queue_->expiry_.is_linked()) watch_expiry(now, *queue_);
    for (ReadyLink* link = profile.expires ? ready_.last() : nullptr; link != nullptr;) {
        PartitionQueue& queue = *link->queue;
        if (queue.expiry_.is_linked()) break;
        link = ready_.before(*link);
        watch_expiry(now, queue);
    }
    if (!connection_->is_ready()) return;
    if constexpr (profile.several_queues)
        if (config_.delivery_timeout.count() > 0 &&
            !takes_batches(*connection_, config_.idempotent)) {
            // Waiting is of no use: what may be given up is.
            while (ReadyLink* const link = ready_.first()) {
                PartitionQueue& queue = *link->queue;
                (void)queue.fail_all(now, ErrorCode::unsupported_version);
                link->unlink();
            }
            return;
        }
    while (!is_paused()) {
        TakenBatch* const first = pick(now);
        if (first == nullptr) return;
        write_request(now, first);
    }
}

/// Bytes of send memory that one batch may need beside its records: its header, its partition's and
/// topic's words, and the request's own once.
std::size_t Sender::head_bytes(const PartitionQueue& queue) const {
    constexpr std::size_t words =
        48;  // lengths, counts, index, tags, topic id; acks, time-out, frame head
    return words + wire::batch_header_size + queue.topic().size() + connection_->client_id().size();
}

/// The queue's next batch, which goes out with the request that is made up.
PartitionQueue::Next Sender::next_of(Instant now, PartitionQueue& queue, TakenBatch*& out) {
    ProducerIdentity* const who = !profile.any_acks || config_.idempotent ? &*identity_ : nullptr;
    const auto next = queue.next(now, who, out);
    if (next == PartitionQueue::Next::needs_producer_id) ask_producer_id(now);
    if (next == PartitionQueue::Next::batch) queue.mark_sent(*out);
    return next;
}

/// One batch each from as many ready queues as a request takes, batches of one topic side by side.
TakenBatch* Sender::pick(Instant now) {
    TakenBatch* first = nullptr;
    if constexpr (!profile.several_queues) {
        if (!queue_->retry_.is_linked() && connection_->can_send(head_bytes(*queue_), 3))
            next_of(now, *queue_, first);
        return first;
    }
    std::size_t room = connection_->can_send(0) ? connection_->send_room() : 0;
    std::size_t pieces = connection_->pieces_room();
    std::size_t bytes = 0;
    std::uint16_t count = 0;
    ReadyLink* const last = ready_.last();
    for (ReadyLink* link = ready_.first();
         link != nullptr && count < config_.request_batches_max;) {
        PartitionQueue& queue = *link->queue;
        const std::size_t head = head_bytes(queue);
        if (room < head || pieces < 3 || bytes >= config_.request_bytes_max) break;
        TakenBatch* batch = nullptr;
        const auto next = next_of(now, queue, batch);
        if (next == PartitionQueue::Next::needs_producer_id) break;
        const bool was_last = link == last;
        if (next == PartitionQueue::Next::batch) {
            ready_.insert(queue.ready_);  // to the back: others come first next time
            if constexpr (profile.several_queues) insert_beside_its_topic(first, *batch);
            room -= head;
            pieces -= 2;
            bytes += batch->source.records.size();
            ++count;
        } else {
            queue.ready_.unlink();  // an answer, a wake or a deadline makes it ready again
        }
        if (was_last) break;
        link = ready_.first();
    }
    return first;
}

void Sender::write_request(Instant now, TakenBatch* first) {
    const std::int16_t version = connection_->version(wire::ApiKey::produce, produce_pinned);
    RequestOptions options{
        .owner = Owner{owner_}, .context = first, .timeout = config_.request_timeout};
    if (profile.any_acks && config_.acks == Acks::none) options.answer = Answer::none;
    const ProduceHead head{version, static_cast<std::int16_t>(config_.acks),
                           static_cast<std::int32_t>(config_.request_timeout.count())};
    Result<MutableBytes> room = connection_->open_request(wire::ApiKey::produce, version);
    if (room) {
        if (append_produce(*connection_, head, queue_of(*first), first)) {
            connection_->seal_request(now, options);
            return;
        }
        connection_->abandon_request();
    }
    // The peer does not speak Produce, or a name is too long for the send memory: nothing was sent.
    on_lost(now, first, true);
}

void Sender::ask_producer_id(Instant now) {
    if (identity_->asking != nullptr) return;
    const std::int16_t version =
        connection_->version(wire::ApiKey::init_producer_id, init_producer_id_pinned);
    if (send_init_producer_id(*connection_, now, version,
                              {.owner = Owner{owner_}, .timeout = config_.request_timeout}))
        identity_->asking = this;
    else
        pause(now, config_.retry.max);
}

}  // namespace leat::client
