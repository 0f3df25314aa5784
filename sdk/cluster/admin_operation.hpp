// One kind of admin request: how it is sent and how its answer is read. Only admin*.cpp see it.
#pragma once

#include "sdk/cluster/admin.hpp"

namespace leat::cluster {

struct Admin::Operation {
    enum class Verdict : std::uint8_t { done, again, waiting };

    virtual ~Operation() = default;
    /// Sends what is to be sent next.
    virtual Status send(Instant now, Router& router, Admin& admin) = 0;
    virtual Verdict read(const client::Event& event) = 0;
    /// The operation is over, with or without success.
    virtual void end(Router&) {}

    AdminAnswer answer;
    Instant deadline{};
    Instant not_before{};
    unsigned failures = 0;
    unsigned in_flight = 0;
    bool is_backing_off = false;  ///< else it waits for a connection, and hears of that by pump
};

std::unique_ptr<Admin::Operation> make_create(std::vector<NewTopic> topics,
                                              const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_delete(std::vector<std::string> names,
                                              const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_describe(std::optional<std::vector<std::string>> topics);
std::unique_ptr<Admin::Operation> make_describe_configs(ConfigResource kind, std::string name);
std::unique_ptr<Admin::Operation> make_list_offsets(std::string topic,
                                                    std::vector<std::int32_t> partitions,
                                                    std::int64_t timestamp);

}  // namespace leat::cluster
