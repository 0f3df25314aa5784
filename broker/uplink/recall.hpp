// Asks the leader of an upstream partition whether it still knows a producer (DescribeProducers,
// KIP-664). One that it has forgotten may begin with any number: what is there already is then
// taken once more, and the answer to it looks as any other.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "sdk/cluster/router.hpp"

namespace leat::uplink {

class Recall final : public cluster::Requester {
public:
    enum class Knows : std::uint8_t {
        begun,  ///< asked by this very call
        asked,  ///< no answer yet
        yes,
        no,
        untold,  ///< it cannot say (older than 2.8), or may not (it wants READ on the topic)
    };

    /// Called again and again, until it is not begun or asked; that it says once.
    Knows knows(const std::string& topic, std::int32_t partition, std::int64_t producer_id);

    void pump(Instant now, cluster::Router& router) override;
    void on_answer(Instant now, cluster::Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override { return never; }

private:
    using Place = std::pair<std::string, std::int32_t>;
    struct Question {
        std::int64_t producer_id = -1;
        unsigned failures = 0;
        Knows answer = Knows::asked;
    };

    std::map<Place, Question> questions_;
    std::deque<Place> unsent_;
    std::map<std::uint64_t, Place> sent_;
    std::uint64_t next_context_ = 1;
};

}  // namespace leat::uplink
