// Bounds on what a client may do: bytes per second in and out, share of the broker's thread,
// partitions made and taken away.
// What is set are facts of the log (KIP-546); what is measured is a bucket per payer.
//
// Who pays (Kafka's precedence, per kind; the first that is set holds):
//   1 user + client    2 user + default client    3 user
//   4 default user + client    5 default user + default client    6 default user
//   7 client    8 default client
// Lines 1, 2, 4, 5 are a bucket per user and client, 3 and 6 one per user, 7 and 8 one per client
// id.
//
// A bucket holds what its rate brings in one second; that of partitions, as Kafka's, in eleven.
// Whoever takes more than there is has a debt, and is to be left unread until it is paid (KIP-219):
// so the mean rate is the quota, whatever the size of a request.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "broker/log/log.hpp"
#include "leat/time.hpp"

namespace leat::quotas {

enum class Kind : std::uint8_t { produce, fetch, request, connect, mutate };
constexpr std::size_t kinds = 5;
const char* key_of(Kind kind);  ///< as the protocol spells it: producer_byte_rate, ...
std::optional<Kind> kind_of(std::string_view key);

/// One part of whom a quota is for: nobody in particular, the default, or a name (borrowed).
struct Part {
    enum class Is : std::uint8_t { absent, any, named } is = Is::absent;
    std::string_view name;
    bool operator==(const Part&) const = default;
};
struct Entity {
    Part user, client;
    Part ip = {};  ///< one (KIP-612) stands alone, and only its connections are bounded
    bool operator==(const Entity&) const = default;
};
/// By kind: bytes per second (two); percent of one thread; connections per second; partitions per
/// second. 0: not set.
using Values = std::array<double, kinds>;

/// Measures work. Only differences count.
class Stopwatch {
public:
    virtual std::int64_t nanoseconds() = 0;

protected:
    ~Stopwatch() = default;
};

struct QuotasConfig {
    std::size_t entities_max = 1'000;
    std::size_t name_bytes_max = 255;
    std::size_t payers_max = 10'000;  ///< buckets; whoever comes when all are in use shares one
};

struct QuotasCounters {
    std::uint64_t throttled = 0;     ///< requests after which their connection was left unread
    std::uint64_t throttled_ms = 0;  ///< for how long in all
};

/// Names a bucket; 0: nothing bounds this client.
using Payer = std::uint64_t;

class Quotas {
public:
    explicit Quotas(log::Log& log, QuotasConfig config = {}) : log_(log), config_(config) {}

    // -- what is set ------------------------------------------------------------------------------
    void load();  ///< after log.open(), and after a rollback
    std::size_t unreadable() const { return unreadable_; }
    /// By the fact's key (entity_of): absent before default before named, user before client.
    using All = std::map<std::string, Values, std::less<>>;
    const All& all() const { return all_; }
    Values values_of(const Entity& entity) const;  ///< zeros: nothing is set
    /// Holds at once, for good when the returned commit is durable. No value left: the entity goes.
    /// fails: full (entities_max), what put_fact says; then nothing has changed
    Result<log::CommitId> set(Instant now, const Entity& entity, const Values& values);
    const QuotasConfig& config() const { return config_; }

    // -- what is measured -------------------------------------------------------------------------
    bool any(Kind kind) const { return set_[static_cast<std::size_t>(kind)] > 0; }
    double limit(Kind kind, std::string_view user, std::string_view client) const;  ///< 0: none
    Payer payer(Instant now, Kind kind, std::string_view user, std::string_view client);
    /// Whether one more connection from there is within its rate. One that is not costs nothing.
    bool may_connect(Instant now, std::string_view ip);
    /// Takes `amount` (bytes; seconds of work times 100) and says how long the payer's debt lasts.
    milliseconds charge(Instant now, Payer payer, double amount);
    /// A change of `partitions` (KIP-599). With `Debt::refused` it takes nothing, and may not be
    /// made, while there is a debt: 0 means go on. With `Debt::grows` it is made whatever is said.
    enum class Debt : std::uint8_t { refused, grows };
    milliseconds mutate(Instant now, Payer payer, std::size_t partitions, Debt debt);
    /// What a Fetch may bring at most, so that one answer is paid in ten seconds.
    std::size_t fetch_bytes_max(Payer payer) const;
    void count_throttle(milliseconds time) {
        ++counters_.throttled;
        counters_.throttled_ms += static_cast<std::uint64_t>(time.count());
    }
    const QuotasCounters& counters() const { return counters_; }
    std::size_t payers() const { return buckets_.size(); }

private:
    struct Found {
        double rate = 0;
        bool by_user = false, by_client = false;
    };
    struct Bucket {
        std::string key;
        double rate = 0, holds = 0, left = 0;
        Instant at{};
        milliseconds debt() const;
    };
    Found find(Kind kind, std::string_view user, std::string_view client) const;
    void recount();
    Payer payer_of(Instant now, Kind kind, std::string key, double rate);
    void drop_full_buckets(Instant now);
    static void refill(Bucket& bucket, Instant now);

    log::Log& log_;
    QuotasConfig config_;
    All all_;
    std::array<std::size_t, kinds> set_{};  ///< entities that bound this kind
    std::map<std::string, Payer, std::less<>> payers_;
    std::map<Payer, Bucket> buckets_;
    Payer next_ = 1;
    std::size_t sweep_at_ = 64;
    Instant swept_{};
    std::size_t unreadable_ = 0;
    log::CommitId erased_in_ = 0;  ///< the newest of them, perhaps not yet durable
    QuotasCounters counters_;
};

}  // namespace leat::quotas
