// The front door: checks settings, keeps the handle.
#include "leat/producer.hpp"

#include "sdk/host/producer_core.hpp"

namespace leat {

Result<Producer> Producer::open(Loop& loop, ProducerConfig settings) {
    Result<cluster::RouterConfig> config = host::router_config({
        .bootstrap = settings.bootstrap,
        .client_id = settings.client_id,
        .request_timeout = settings.request_timeout,
        .retry_backoff = settings.retry_backoff,
        .retry_backoff_max = settings.retry_backoff_max,
        .reconnect_backoff = settings.reconnect_backoff,
        .reconnect_backoff_max = settings.reconnect_backoff_max,
        .metadata_age_max = settings.metadata_age_max,
        .allow_auto_topic_creation = settings.allow_auto_topic_creation,
    });
    if (!config) return fail(config.error());
    constexpr std::uint32_t batch_bytes_min = 512;
    const bool contradicts = settings.idempotent && settings.acks != ProducerAcks::all;
    if (contradicts || settings.partitions_max == 0 ||
        settings.buffer_bytes < settings.batch_bytes || settings.record_bytes_max > 1024 * MiB)
        return fail(Error::invalid);
    // A batch shorter than its own head makes no sense; Kafka's batch.size=0 means "one record
    // each".
    settings.batch_bytes = std::max(settings.batch_bytes, batch_bytes_min);
    config->sender.acks = static_cast<client::Acks>(settings.acks);
    config->sender.idempotent = settings.idempotent;
    config->sender.delivery_timeout = settings.delivery_timeout;
    config->sender.request_bytes_max = std::max(settings.record_bytes_max, settings.batch_bytes);
    return Producer(std::make_shared<Impl>(loop.impl(), *std::move(config), settings));
}

Producer::Producer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::Producer(Producer&&) noexcept = default;

Producer& Producer::operator=(Producer&& other) noexcept {
    if (impl_) (void)impl_->close(milliseconds{0});
    impl_ = std::move(other.impl_);
    return *this;
}

Producer::~Producer() {
    if (impl_) (void)impl_->close(milliseconds{0});
}

Status Producer::send(const ProducerRecord& record, OnDelivery on_delivery) {
    return impl_->send(record, std::move(on_delivery));
}

Result<PendingDelivery> Producer::send_tracked(const ProducerRecord& record) {
    auto state = std::make_shared<PendingDelivery::State>();
    const Status sent = impl_->send(record, [state](const Delivery& delivery) {
        {
            const std::lock_guard lock(state->mutex);
            state->delivery = delivery;
        }
        state->changed.notify_all();
    });
    if (!sent) return fail(sent.error());
    return PendingDelivery(std::move(state));
}

Status Producer::flush(milliseconds timeout) { return impl_->flush(timeout); }
Status Producer::close(milliseconds timeout) { return impl_->close(timeout); }
ProducerStats Producer::stats() const { return impl_->stats(); }

std::string Producer::last_problem() const { return impl_->problem(); }

bool PendingDelivery::is_done() const {
    const std::lock_guard lock(state_->mutex);
    return state_->delivery.has_value();
}

Result<Delivery> PendingDelivery::wait(milliseconds timeout) {
    std::unique_lock lock(state_->mutex);
    if (!state_->changed.wait_for(lock, timeout, [&] { return state_->delivery.has_value(); }))
        return fail(Error::timed_out);
    return *state_->delivery;
}

}  // namespace leat
