// Asks brokers that seemed to be this very one which cluster they are of. Only they can tell: a
// record sent to find out would arrive here once more.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "sdk/cluster/router.hpp"

namespace leat::uplink {

class Mirror final : public cluster::Requester {
public:
    /// own_cluster_id: what this broker answers
    explicit Mirror(std::string own_cluster_id) : own_(std::move(own_cluster_id)) {}

    /// Each is asked as soon as there is a connection to it. What was known before is forgotten.
    void ask(const std::set<std::int32_t>& brokers);
    /// It answered, and is another cluster's. Until the next ask.
    bool is_another(std::int32_t broker) const { return others_.contains(broker); }
    /// There are answers that nobody has looked at; once.
    bool take_news() { return std::exchange(news_, false); }

    void pump(Instant now, cluster::Router& router) override;
    void on_answer(Instant now, cluster::Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override { return never; }

private:
    std::string own_;
    std::set<std::int32_t> unasked_, others_;
    std::map<std::uint64_t, std::int32_t> asked_;
    std::uint64_t next_context_ = 1;
    bool news_ = false;
};

}  // namespace leat::uplink
