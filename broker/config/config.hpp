// One validated Config. The rooms below get plain numbers; JSON stays in config.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "leat/time.hpp"

namespace leat::config {

struct HostPort {
    std::string host;
    std::uint16_t port = 0;
    friend bool operator==(const HostPort&, const HostPort&) = default;
};

/// One uplink route: which topics go to which cluster, under which name.
struct Route {
    std::string name = "default";
    std::vector<HostPort> bootstrap;  ///< upstream brokers
    std::vector<std::string> topics;  ///< names or patterns with `*`; internal topics never match
    std::string upstream_topic = "{topic}";  ///< `{topic}` stands for the local name
    enum class Mapping : std::uint8_t {
        same_partition,
        pinned,
        by_key
    } mapping = Mapping::same_partition;
    std::int32_t pinned_partition = 0;  ///< for pinned
    bool headers = false;  ///< leat-gateway, leat-offset, leat-epoch on each record (re-encodes)
    bool create_topics = false;  ///< create missing upstream topics
    std::uint32_t in_flight_bytes = 1024 * 1024;
    /// Neighbouring batches become one of at most so much (re-encodes); 0: never.
    std::uint32_t merge_bytes = 0;
    /// A batch that upstream refuses for what it is (too large, time stamp, no key): its partition
    /// waits until upstream takes it, or goes on without it.
    enum class OnPoison : std::uint8_t { stall, skip } on_poison = OnPoison::stall;
    milliseconds request_timeout{30'000};
    milliseconds backoff{100}, backoff_max{10'000};
};

struct Config {
    // where
    std::string data_dir = "leat-data";
    HostPort listen{"127.0.0.1", 9092};
    HostPort advertised{};          ///< empty host: as listened
    HostPort http{"127.0.0.1", 0};  ///< status page and metrics; read with http_mode
    enum class HttpMode : std::uint8_t {
        automatic,
        off,
        given
    } http_mode = HttpMode::automatic;  ///< automatic: loopback, listen port + 1
    std::int32_t node_id = 0;
    std::string cluster_id;  ///< empty: made once and kept

    // log
    std::uint64_t budget_bytes = 0;   ///< 0: the smaller of 1 GiB and 10 % of the free space
    std::uint32_t segment_bytes = 0;  ///< 0: chosen
    std::uint32_t page_bytes = 4096;
    milliseconds commit_interval{-1};   ///< -1: auto
    milliseconds scrub_interval{std::int64_t{7} * 24 * 3600 * 1000};  ///< 0: never
    std::uint64_t endurance_bytes = 0;  ///< of the device, by its data sheet; 0: assumed

    // topics
    bool auto_create_topics = true;
    std::int32_t num_partitions = 1;
    bool accept_replication_factor = true;  ///< RF above 1 is accepted on this one node
    std::uint32_t message_bytes_max = 1024 * 1024;
    milliseconds retention{std::int64_t{7} * 24 * 3600 * 1000};
    std::int64_t retention_bytes = -1;
    std::string full_policy = "drop-oldest";                                ///< or reject, or block
    milliseconds timestamp_before_max{-1}, timestamp_after_max{3'600'000};  ///< -1: no bound

    // groups
    milliseconds initial_rebalance_delay{3'000};
    milliseconds session_timeout_min{6'000}, session_timeout_max{1'800'000};
    std::uint32_t group_size_max = 2'147'483'647;
    // of the consumer protocol (KIP-848)
    milliseconds consumer_session_timeout{45'000}, consumer_heartbeat_interval{5'000};
    std::uint32_t consumer_group_size_max = 2'147'483'647;
    milliseconds offsets_retention{std::int64_t{7} * 24 * 3600 * 1000};
    std::uint32_t offset_metadata_bytes_max = 4096;

    // memory and connections
    std::uint32_t connections_max = 12'000;
    std::uint32_t request_bytes_max = 8 * 1024 * 1024;  ///< a larger frame closes the connection
    std::uint32_t byte_pool_bytes = 4 * 1024 * 1024;    ///< requests and responses together
    std::uint32_t fetch_session_bytes = 1024 * 1024;  ///< of all fetch sessions (KIP-227); 0: none
    std::uint32_t pipelined_requests_max = 64;        ///< per connection
    milliseconds idle_connection{600'000};
    std::uint32_t worker_threads = 1;  ///< that validate compressed batches; 0: the loop does it

    // log lines
    std::string log_level = "info";
    bool log_json = false;

    std::vector<Route> routes;

    /// --adopt, --fork: what to do if another device wrote the log. For one start, so never in the
    /// file.
    enum class ForeignLog : std::uint8_t {
        hold_uplink,
        adopt,
        fork
    } foreign_log = ForeignLog::hold_uplink;

    // Not settings: leatd fills these in from the machine it runs on.
    std::string device_identity;  ///< serial number or machine id; another one at a later start is
                                  ///< a copied card. Empty: unknown
    std::int64_t build_date_ms = 0;  ///< wall times before it are not believed
};

}  // namespace leat::config
