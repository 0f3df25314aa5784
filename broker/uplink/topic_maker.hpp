// Creates missing upstream topics, for routes that say so (CreateTopics, to the controller).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sdk/client/backoff.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::uplink {

class TopicMaker final : public cluster::Requester {
public:
    /// What became of one try; none: it is there now.
    using Told = std::function<void(Instant now, const std::string& topic, wire::ErrorCode error,
                                    std::string text)>;

    TopicMaker(client::BackoffConfig backoff, std::uint32_t seed, Told told)
        : backoff_(backoff), jitter_(seed), told_(std::move(told)) {}

    /// It shall be there. Asked again as long as metadata does not show it, after back-offs.
    void want(const std::string& topic, std::int32_t partitions);
    void forget(const std::string& topic) { wanted_.erase(topic); }

    void pump(Instant now, cluster::Router& router) override;
    void on_answer(Instant now, cluster::Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

private:
    struct Wanted {
        std::int32_t partitions = 1;
        bool asking = false;
        unsigned failures = 0;
        Instant not_before{};
        std::uint64_t context = 0;
    };
    void later(Instant now, Wanted& wanted);

    client::BackoffConfig backoff_;
    client::Jitter jitter_;
    Told told_;
    std::map<std::string, Wanted> wanted_;
    std::uint64_t next_context_ = 1;
};

}  // namespace leat::uplink
