#include "broker/quotas/quotas.hpp"

#include <algorithm>
#include <cmath>

#include "broker/quotas/quota_fact.hpp"

namespace leat::quotas {
namespace {

// Kafka's controller.quota.window.num: a tool that makes a dozen topics at once is not held up.
constexpr double burst_seconds(Kind kind) { return kind == Kind::mutate ? 11 : 1; }
constexpr double fetch_seconds_max = 10;
constexpr std::size_t fetch_bytes_min = 1024;
constexpr milliseconds sweep_pause{1'000};  // while all buckets are in use
// A debt is never longer: a quota set too low by mistake can be lifted, and whoever waits for it
// then is not away for days. What is beyond is forgiven.
constexpr double debt_seconds_max = 600;

constexpr const char* keys[kinds] = {"producer_byte_rate", "consumer_byte_rate",
                                     "request_percentage", "connection_creation_rate",
                                     "controller_mutation_rate"};

}  // namespace

const char* key_of(Kind kind) { return keys[static_cast<std::size_t>(kind)]; }

std::optional<Kind> kind_of(std::string_view key) {
    const auto at = std::find(std::begin(keys), std::end(keys), key);
    if (at == std::end(keys)) return std::nullopt;
    return static_cast<Kind>(at - std::begin(keys));
}

// -- what is set
// -----------------------------------------------------------------------------------

void Quotas::load() {
    all_.clear();
    unreadable_ = 0;
    erased_in_ = 0;
    log_.for_each_fact(log::FactKind::config, [this](ByteView key, ByteView value) {
        if (!text_of(key).starts_with('q')) return;  // settings of groups lie there, too
        const auto values = quotas::values_of(value);
        if (values && entity_of(text_of(key)))
            all_[std::string(text_of(key))] = *values;
        else
            ++unreadable_;
    });
    recount();
}

void Quotas::recount() {
    set_ = {};
    for (const auto& [entity, values] : all_)
        for (std::size_t kind = 0; kind < kinds; ++kind) set_[kind] += values[kind] > 0;
}

Values Quotas::values_of(const Entity& entity) const {
    const auto at = all_.find(quota_key(entity));
    return at == all_.end() ? Values{} : at->second;
}

Result<log::CommitId> Quotas::set(Instant now, const Entity& entity, const Values& values) {
    const bool nothing =
        std::all_of(values.begin(), values.end(), [](double value) { return value <= 0; });
    std::string key = quota_key(entity);
    const bool known = all_.contains(key);
    // It is gone, but perhaps not yet durably.
    if (nothing && !known) return std::max(erased_in_, log_.flushed_commit());
    if (!known && all_.size() >= config_.entities_max) return fail(Error::full);
    const auto commit = nothing ? log_.erase_fact(now, log::FactKind::config, bytes_of(key))
                                : log_.put_fact(now, log::FactKind::config, bytes_of(key),
                                                bytes_of(quota_value(values)));
    if (!commit) return commit;
    if (nothing)
        all_.erase(key), erased_in_ = *commit;
    else
        all_[std::move(key)] = values;
    recount();
    return commit;
}

// -- what is measured
// ------------------------------------------------------------------------------

Quotas::Found Quotas::find(Kind kind, std::string_view user, std::string_view client) const {
    const std::size_t index = static_cast<std::size_t>(kind);
    using Is = Part::Is;
    constexpr std::pair<Is, Is> order[] = {{Is::named, Is::named},  {Is::named, Is::any},
                                           {Is::named, Is::absent}, {Is::any, Is::named},
                                           {Is::any, Is::any},      {Is::any, Is::absent},
                                           {Is::absent, Is::named}, {Is::absent, Is::any}};
    for (const auto& [user_is, client_is] : order) {
        const double rate = values_of(
            {.user = {user_is, user_is == Is::named ? user : std::string_view()},
             .client = {client_is, client_is == Is::named ? client : std::string_view()}})[index];
        if (rate > 0) return {rate, user_is != Is::absent, client_is != Is::absent};
    }
    return {};
}

double Quotas::limit(Kind kind, std::string_view user, std::string_view client) const {
    return any(kind) ? find(kind, user, client).rate : 0;
}

Payer Quotas::payer(Instant now, Kind kind, std::string_view user, std::string_view client) {
    if (!any(kind)) return 0;
    const Found found = find(kind, user, client);
    if (found.rate <= 0) return 0;
    std::string key(1, static_cast<char>(kind));
    key += static_cast<char>(found.by_user + 2 * found.by_client);
    if (found.by_user) key += std::to_string(user.size()).append(":").append(user);
    if (found.by_client) key += client;
    return payer_of(now, kind, std::move(key), found.rate);
}

bool Quotas::may_connect(Instant now, std::string_view ip) {
    if (!any(Kind::connect)) return true;
    double rate = 0;
    for (const Part& part : {Part{Part::Is::named, ip}, Part{Part::Is::any, {}}})
        if (rate <= 0)
            rate = values_of({.user = {}, .client = {}, .ip = part})[std::size_t(Kind::connect)];
    if (rate <= 0) return true;
    std::string key(1, static_cast<char>(Kind::connect));
    Bucket& mine = buckets_.at(payer_of(now, Kind::connect, key.append(ip), rate));
    if (mine.left < 1) return false;
    mine.left -= 1;
    return true;
}

Payer Quotas::payer_of(Instant now, Kind kind, std::string key, double rate) {
    auto at = payers_.find(key);
    if (at == payers_.end() && buckets_.size() >= std::min(sweep_at_, config_.payers_max)) {
        drop_full_buckets(now);
        // Whoever makes up a new name for each request gains nothing when there are too many.
        if (buckets_.size() >= config_.payers_max) {
            key = std::string(1, static_cast<char>(kind)) + '\0';
            at = payers_.find(key);
        }
    }
    if (at == payers_.end()) {
        at = payers_.emplace(key, next_).first;
        const double holds = rate * burst_seconds(kind);
        buckets_[next_++] = {.key = key, .rate = rate, .holds = holds, .left = holds, .at = now};
    }
    Bucket& mine = buckets_.at(at->second);
    refill(mine, now);  // what has passed, at the rate of then
    if (mine.rate != rate) {
        // The time that a debt lasts changes with the rate that pays it.
        mine.rate = rate;
        mine.holds = rate * burst_seconds(kind);
        mine.left = std::min(mine.left, mine.holds);
    }
    return at->second;
}

void Quotas::refill(Bucket& bucket, Instant now) {
    const double seconds =
        static_cast<double>(std::max<std::int64_t>((now - bucket.at).count(), 0)) / 1000;
    bucket.left = std::min(bucket.left + seconds * bucket.rate, bucket.holds);
    bucket.at = now;
}

// A bucket that is full again says nothing: its payer gets a new one when it comes back.
void Quotas::drop_full_buckets(Instant now) {
    if (buckets_.size() >= config_.payers_max && now - swept_ < sweep_pause && swept_ != Instant{})
        return;
    swept_ = now;
    for (auto at = buckets_.begin(); at != buckets_.end();) {
        Bucket& bucket = at->second;
        refill(bucket, now);
        if (bucket.left < bucket.holds) {
            ++at;
            continue;
        }
        payers_.erase(bucket.key);
        at = buckets_.erase(at);
    }
    sweep_at_ = std::max<std::size_t>(64, 2 * buckets_.size());
}

milliseconds Quotas::charge(Instant now, Payer payer, double amount) {
    const auto at = buckets_.find(payer);
    if (at == buckets_.end()) return milliseconds(0);
    Bucket& bucket = at->second;
    refill(bucket, now);
    bucket.left = std::max(bucket.left - amount, -debt_seconds_max * bucket.rate);
    return bucket.debt();
}

milliseconds Quotas::Bucket::debt() const {
    constexpr double rounding = 1e-6;  // of sums of fractions: no debt
    const double ms = std::max(-left / rate * 1000 - rounding, 0.0);
    return milliseconds(static_cast<std::int64_t>(std::ceil(ms)));
}

milliseconds Quotas::mutate(Instant now, Payer payer, std::size_t partitions, Debt debt) {
    const milliseconds before = charge(now, payer, 0);
    if (debt == Debt::refused && before > milliseconds(0)) return before;
    const milliseconds after = charge(now, payer, static_cast<double>(partitions));
    return debt == Debt::grows ? after : milliseconds(0);
}

std::size_t Quotas::fetch_bytes_max(Payer payer) const {
    const auto at = buckets_.find(payer);
    if (at == buckets_.end()) return SIZE_MAX;
    const double bytes = at->second.rate * fetch_seconds_max;
    if (bytes >= 1e15) return SIZE_MAX;
    return std::max(fetch_bytes_min, static_cast<std::size_t>(bytes));
}

}  // namespace leat::quotas
