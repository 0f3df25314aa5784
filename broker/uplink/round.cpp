// The Runner's way with routes that lead back: to this very broker, or to a gateway that brings the
// topic here. Nothing is sent there; now and then it is looked whether that is still so.
#include <algorithm>

#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {
namespace {

constexpr milliseconds look_into_mirror_after{60'000};

}  // namespace

bool Runner::leads_back() const {
    return !shared_.own_cluster_id.empty() &&
           router_.metadata().cluster_id() == shared_.own_cluster_id;
}

bool Runner::goes_round(const std::string& topic) const {
    const auto fed = fed_.find(topic);
    return fed != fed_.end() && (is_ours(fed->second) ||
                                 fed->second.contains(gateway_of(router_.metadata().cluster_id())));
}

bool Runner::is_ours(const std::set<std::string>& gateways) const {
    return gateways.contains(shared_.gateway_id);
}

void Runner::fed_by(const std::string& topic, const std::string& gateway) {
    constexpr std::size_t gateways_max = 1000;  // names come from outside
    if (gateway == shared_.gateway_id || gateway == shared_.gateway_id + renaming) {
        // What we send to the upstream's broker arrives here: its address means us.
        for (const auto& [stream, tap] : taps_)
            if (upstream_name(route_, tap->topic()) == topic)
                fed_[tap->topic()].insert(shared_.gateway_id);
        mirror_at_ = earlier(mirror_at_, now_ + look_into_mirror_after);
        return tell_what_goes_round();
    }
    if (!keeps_names(route_) || !matches(route_, topic, false)) return;
    std::set<std::string>& gateways = fed_[topic];
    if (gateways.size() < gateways_max && gateways.insert(gateway).second) tell_what_goes_round();
}

void Runner::tell_what_goes_round() {
    for (const auto& [topic, gateways] : fed_)
        if (goes_round(topic))
            problem(round_key(topic), Event::Level::error, round_text(topic, is_ours(gateways)));
        else if (!problems_.empty())
            solved(round_key(topic), topic + " does not go round any more");
}

std::set<std::int32_t> Runner::leaders_of(const std::string& topic) const {
    std::set<std::int32_t> leaders;
    if (const auto* info = router_.metadata().find(upstream_name(route_, topic)))
        for (const cluster::PartitionInfo& partition : info->partitions)
            if (partition.leader >= 0) leaders.insert(partition.leader);
    return leaders;
}

void Runner::look_into_mirror(Instant now) {
    mirror_at_ = never;
    std::set<std::int32_t> brokers;
    for (const auto& [topic, gateways] : fed_) {
        if (!is_ours(gateways)) continue;
        mirror_at_ = now + look_into_mirror_after;
        brokers.merge(leaders_of(topic));
    }
    for (const std::int32_t broker : brokers) router_.reconnect(now, broker);
    mirror_.ask(brokers);
}

void Runner::on_mirror_news() {
    for (auto& [topic, gateways] : fed_) {
        if (!is_ours(gateways)) continue;
        const std::set<std::int32_t> leaders = leaders_of(topic);
        if (!leaders.empty() &&
            std::all_of(leaders.begin(), leaders.end(),
                        [this](std::int32_t broker) { return mirror_.is_another(broker); }))
            gateways.erase(shared_.gateway_id);
    }
    tell_what_goes_round();
    make_all_hungry();
}

}  // namespace leat::uplink
