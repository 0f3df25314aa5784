// How a Fetch that waited ends: answered, given up, or its client gone.
#include <algorithm>
#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/fetch_frame.hpp"
#include "broker/api/fetch_in_session.hpp"
#include "broker/api/parked_fetches.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;

// Waits end together and the next ones begin together: more at once than malloc keeps at hand.
constexpr std::size_t spare_max = 64, spare_places_max = 8;

}  // namespace

void ParkedFetches::respond(Context& context, Fetching& fetching) {
    if (fetching.total == 0) plan_fetch_frame(context, fetching);
    const ErrorCode error = answer_in_session(context, fetching);
    if (error == ErrorCode::none) {
        send_fetch_frame(context, fetching);
    } else {
        wire::FetchResponse response;
        response.error_code = error;
        response.session_id = fetching.session_id;  // there is one, and it goes on
        answer(context, fetching.address, response);
    }
    drop(fetching);
}

void ParkedFetches::finish(Context& context, std::uint64_t id) {
    Fetching* fetching = find(id);
    if (fetching == nullptr) return;
    if (fetching->state == Fetching::State::looking) fetching->last_try = true;
    if (fetching->state != Fetching::State::parked) return;
    unpark(*fetching);
    respond(context, *fetching);
}

void ParkedFetches::drop(Fetching& fetching) {
    sessions_.erase({fetching.address.reply.session(), fetching.id});
    partitions_ -= fetching.asked;
    const auto at = all_.find(fetching.id);
    std::unique_ptr<Fetching> gone = std::move(at->second);
    all_.erase(at);
    const std::size_t places = std::max(gone->topics.capacity(), gone->partitions.capacity());
    if (spare_.size() == spare_max || places > spare_places_max) return;
    Fetching blank;
    blank.topics.swap(gone->topics);
    blank.topics.clear();
    blank.partitions.swap(gone->partitions);
    blank.partitions.clear();
    blank.chosen.swap(gone->chosen);
    blank.chosen.clear();
    *gone = std::move(blank);
    spare_.push_back(std::move(gone));
}

void ParkedFetches::on_session_closed(Context& context, session::SessionId session) {
    std::vector<std::uint64_t> gone;
    for (auto at = sessions_.lower_bound({session, 0});
         at != sessions_.end() && at->first == session; ++at)
        gone.push_back(at->second);
    for (const std::uint64_t id : gone) {
        Fetching* fetching = find(id);
        if (fetching == nullptr) continue;
        switch (fetching->state) {
            case Fetching::State::looking:
            case Fetching::State::parked:
                unpark(*fetching);
                break;
            case Fetching::State::wants_memory:
                context.pool.forget(session::PoolClass::response, id);
                break;
            case Fetching::State::reading:  // the log still writes into its memory
                fetching->abandoned = true;
                context.log.cancel_read(fetching->ticket);
                continue;
        }
        drop(*fetching);
    }
}

void ParkedFetches::give_up_all(Context& context) {
    std::set<std::uint64_t> ids;
    for (const auto& [id, fetching] : all_) ids.insert(id);
    for (const std::uint64_t id : ids) {
        Fetching* fetching = find(id);
        fetching->last_try = true;
        if (fetching->state == Fetching::State::reading) continue;  // ends by itself
        if (fetching->state == Fetching::State::wants_memory)
            context.pool.forget(session::PoolClass::response, id);
        else
            unpark(*fetching);
        respond(context, *fetching);
    }
}

}  // namespace leat::api
