// Finds out what of a producer's batches an upstream partition has, where Kafka may have forgotten
// the producer (producer.id.expiration.ms after the time stamp of its last record). One that is
// forgotten may begin with any number: what is there already is then taken once more, and the
// answer to it looks as any other. But the batches themselves keep the producer's numbers.
//
//   describe  DescribeProducers (KIP-664): who is known takes nothing twice, and that is all
//     |  forgotten, or the upstream has no such request
//   end       ListOffsets as a replica's: where the log ends now, what is not copied yet included.
//     |       A consumer is not given that, and what it is not given may come all the same
//   tail      Fetch from an offset that nothing in doubt lies before, to that end
//     |  that offset is deleted: once, what is left is looked through all the same
//   start     ListOffsets, for where it begins; then its end and its tail from there
//
// Another leader may end elsewhere: what it has not copied will never come. So it is asked anew.
//
// All of it needs READ on the topic. What the tail shows is there, and below the high watermark;
// what it does not show is not there only if it was seen whole: no part of it deleted, compacted
// away, longer than tail_bytes_max, or later than tail_time_max.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "sdk/cluster/router.hpp"

namespace leat::uplink {

/// What an upstream says beyond it is no offset, and is not counted with.
constexpr std::int64_t upstream_offset_max = INT64_MAX / 2;

/// By first and last sequence: the upstream offset behind the batch.
using SentBatches = std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>;

class Recall final : public cluster::Requester {
public:
    enum class Knows : std::uint8_t {
        begun,   ///< asked by this very call
        asked,   ///< no answer yet
        yes,     ///< the upstream knows the producer
        looked,  ///< it may not; what is not among what was found is not there
        no,      ///< it does not; and what was not found may be there, too
        untold,  ///< it cannot say (older than 2.8), or may not (it wants READ on the topic)
    };
    struct Question {
        std::string topic = {};
        std::int32_t partition = 0;
        std::int64_t producer_id = -1;
        std::int16_t producer_epoch = -1;
        std::int64_t from = 0;            ///< an upstream offset: nothing in doubt lies before it
        std::int32_t last_sequence = -1;  ///< of all that is in doubt; -1: not known
        bool operator==(const Question&) const = default;
    };

    /// Called again and again, until it is not begun or asked; that it says once. One question per
    /// partition: another one takes its place.
    /// found  what is there; only added to, and only at the end
    Knows knows(const Question& question, SentBatches& found);

    /// Nobody waits for an answer any more.
    void forget(const std::string& topic, std::int32_t partition) {
        searches_.erase({topic, partition});
    }

    void pump(Instant now, cluster::Router& router) override;
    void on_answer(Instant now, cluster::Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

private:
    enum class Step : std::uint8_t { describe, end, start, tail };
    struct Search;
    Status send(Instant now, cluster::Router& router, const Search& search, std::uint64_t context);
    static wire::ErrorCode read_described(Search& search, const client::Event& event);
    static wire::ErrorCode read_offset(Search& search, const client::Event& event);
    static wire::ErrorCode read_tail(Instant now, Search& search, const client::Event& event);

    struct Search {
        Question question;
        Step step = Step::describe;
        Knows answer = Knows::asked;
        bool forgotten = false;     // the upstream says so
        bool whole = true;          // as far as it was read
        std::uint64_t context = 0;  // of the request under way; 0: the next one is to be sent
        Instant since = never;  // the first request, or of the log; of those that did not get lost
        Instant again_at = never;
        unsigned failures = 0, growths = 0;  // in a row, without progress
        std::int64_t at = 0, end = 0;
        std::size_t bytes = 0;  // of the tail, so far
        SentBatches found;

        void give_up() { answer = forgotten ? Knows::no : Knows::untold; }
        void look_at_log() {
            step = Step::end;
            since = never;
        }
        void look_through(ByteView batches);
    };

    std::map<std::pair<std::string, std::int32_t>, Search> searches_;
    std::uint64_t next_context_ = 1;
};

}  // namespace leat::uplink
