// Fetch (key 1): a long poll, in a session or without one (KIP-227).
#include "sdk/wire/api/01_fetch.hpp"

#include <algorithm>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/asked_topic.hpp"
#include "broker/api/fetch_in_session.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

// A longer wait is answered empty after this and asked again: nobody is parked for days.
constexpr milliseconds wait_max{60'000};

// Waits that end empty end together, on a grid and never late: a thousand consumers that wait half
// a second each then wake the gateway 40 times a second instead of 2,000 times.
constexpr milliseconds grid{25}, grid_from{500};

Instant give_up_at(Instant now, milliseconds wait) {
    const Instant end = now + wait;
    return wait < grid_from ? end : end - end.time_since_epoch() % grid;
}

constexpr std::int32_t epoch_begins = 0, epoch_none = -1;

/// More than there are, and some that are gone: the same again and again, each of which takes nine
/// times the memory that it has in the request.
bool names_too_much(const Context& context, const Fetching& fetching) {
    constexpr std::size_t some = 10'000;
    return std::max(fetching.topics.size(), fetching.partitions.size()) >
           context.topics.registry.partition_count() + some;
}

void add_asked(Context& context, const wire::FetchRequest::FetchTopic& topic, bool by_id,
               Fetching& fetching) {
    const topics::Topic* found =
        asked_topic(context.topics.registry, by_id, topic.topic, topic.topic_id);
    FetchedTopic& mine = fetching.topics.emplace_back();
    mine.name = topic.topic.view();
    mine.id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
        if (names_too_much(context, fetching)) return;
        FetchedPartition& one = fetching.partitions.emplace_back();
        one.partition = partition.partition;
        one.topic = static_cast<std::uint32_t>(fetching.topics.size() - 1);
        one.leader_epoch = partition.current_leader_epoch;
        one.last_epoch = partition.last_fetched_epoch;
        one.offset = partition.fetch_offset;
        one.bytes_max = static_cast<std::uint32_t>(std::max(partition.partition_max_bytes, 0));
        find_asked(found, by_id, one);
        check_epochs(context.topics.registry.epochs, one);
    }
}

/// Many topics are looked for in turns.
constexpr std::size_t topics_per_turn = 256;

class Asking final : public Sliced {
public:
    Asking() { per_turn = topics_per_turn; }
    Step step(Context& context, log::CommitId&) override {
        if (at == request.topics.end() || names_too_much(context, *fetching)) return Step::end;
        add_asked(context, *at, by_id, *fetching);
        ++at;
        return Step::done;
    }
    void finish(Context& context, bool) override {
        if (!address.reply.alive()) return;
        if (names_too_much(context, *fetching))
            return address.reply.close(session::CloseReason::no_memory);
        address.reply.release_session();
        fetching->address = std::move(address);
        fetching->request = std::move(frame);
        context.fetches.start(context, std::move(fetching));
    }

    session::Buffer frame;  // what the request views
    wire::FetchRequest request;
    wire::Array<wire::FetchRequest::FetchTopic>::Iterator at;
    bool by_id = false;
    std::unique_ptr<Fetching> fetching;
};

void ask_in_turns(Context& context, Call call, bool by_id, std::unique_ptr<Fetching> fetching) {
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    auto asking = std::make_shared<Asking>();
    asking->frame = call.request.keep();
    asking->request =
        *wire::decode_front<wire::FetchRequest>(asking->frame.bytes().subspan(head), call.version);
    asking->at = asking->request.topics.begin();
    asking->by_id = by_id;
    asking->fetching = std::move(fetching);
    asking->address = address_of(call);
    run_slices(context, std::move(asking));
}

}  // namespace

void fetch(Context& context, Call call) {
    const auto request = read<wire::FetchRequest>(context, call);
    if (!request) return;
    const bool by_id = call.version >= fetch_topic_ids_since;
    auto fetching = context.fetches.blank();
    fetching->read_committed = request->isolation_level == 1;
    fetching->bytes_max =
        std::min<std::size_t>(static_cast<std::size_t>(std::max(request->max_bytes, 0)),
                              context.settings.response_bytes_max);
    fetching->bytes_max = std::min(fetching->bytes_max, context.quotas.fetch_bytes_max(call.payer));
    // Never more than may come back: else such a poll would always wait its whole time.
    fetching->bytes_min = std::min<std::uint64_t>(
        static_cast<std::uint64_t>(std::max(request->min_bytes, 0)), fetching->bytes_max);
    fetching->last_try = request->min_bytes <= 0;  // waits for nothing, so it does not wait
    fetching->give_up = give_up_at(
        context.now, std::clamp(milliseconds(request->max_wait_ms), milliseconds(0), wait_max));

    if (request->session_epoch == epoch_begins || request->session_epoch == epoch_none) {
        context.fetch_sessions.remove(request->session_id);  // 0: there is none
        if (request->session_epoch == epoch_begins)
            fetching->in_session = Fetching::InSession::begins;
    } else {
        const auto error = continue_session(context, *request, by_id, *fetching);
        if (error != wire::ErrorCode::none) {
            wire::FetchResponse response;
            response.error_code = error;
            return answer(context, call, response);
        }
    }
    if (fetching->in_session != Fetching::InSession::continues) {
        if (request->topics.size() > topics_per_turn)
            return ask_in_turns(context, std::move(call), by_id, std::move(fetching));
        for (const auto& topic : request->topics) {
            add_asked(context, topic, by_id, *fetching);
            if (names_too_much(context, *fetching))
                return call.reply.close(session::CloseReason::no_memory);
        }
        if (fetching->partitions.size() > topics_per_turn) fetching->request = call.request.keep();
    }
    fetching->address = address_of(call);
    context.fetches.start(context, std::move(fetching));
}

}  // namespace leat::api
