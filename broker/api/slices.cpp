#include "broker/api/slices.hpp"

#include <algorithm>

#include "broker/api/commits.hpp"
#include "broker/api/room_waits.hpp"

namespace leat::api {

// A client ends its wait after the same time, and without knowing why: so it is answered a little
// before that.
void Sliced::set_timeout(Instant now, std::int32_t timeout_ms) {
    const milliseconds timeout(std::max(timeout_ms, 0));
    give_up_ = now + timeout - std::min(timeout / 10, milliseconds(500));
}

void Sliced::keep_frame(Call& call) {
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    const std::size_t size = call.body.size();
    frame_ = call.request.keep();
    held_bytes_ = frame_.bytes().size();
    call.body = frame_.bytes().subspan(head, size);
}

bool Sliced::take_over(Context& context, Call& call, const Result<std::uint32_t>& elements) {
    if (!admit(context, call, elements)) return false;
    address = address_of(call);
    return true;
}

bool Sliced::may_wait(const Context& context) const {
    return context.now < give_up_ && address.reply.alive() &&
           context.room_waits.takes(held_bytes_);
}

void run_slices(Context& context, std::shared_ptr<Sliced> sliced) {
    const log::CommitId flushed = context.log.flushed_commit();
    Sliced::Step step = Sliced::Step::done;
    for (int parts = 0; step == Sliced::Step::done; ++parts) {
        // What wrote nothing, or is durable, is nothing to wait for.
        if (sliced->commit_ <= flushed) sliced->parts_ = 0;
        if (sliced->parts_ >= parts_per_slice) break;
        if (parts >= sliced->per_turn) {
            sliced->address.reply.hold_session();
            // What is given up before its next turn nobody else tells it.
            if (sliced->commit_ > flushed)
                context.commits.when(sliced->commit_,
                                     [sliced](Instant, WallTime, Commits::End end) {
                                         if (end == Commits::End::given_up) sliced->lose();
                                     });
            return context.turns.next([&context, sliced](Instant now, WallTime wall) {
                context.now = now;
                context.wall = wall;
                run_slices(context, sliced);
            });
        }
        step = sliced->step(context, sliced->commit_);
        ++sliced->parts_;
    }
    const bool blocked = step == Sliced::Step::blocked;
    if (step == Sliced::Step::end && sliced->commit_ <= flushed)
        return sliced->finish(context, sliced->durable_);
    if (step != Sliced::Step::end) sliced->address.reply.hold_session();
    // First what it has made becomes durable, or is given up: else nobody would hear of that.
    if (step == Sliced::Step::full && sliced->commit_ <= flushed)
        return context.room_waits.when(sliced->give_up_, sliced->held_bytes_,
                                       [&context, sliced](Instant now, WallTime wall) {
                                           context.now = now;
                                           context.wall = wall;
                                           run_slices(context, sliced);
                                       });
    context.log.flush_soon(context.now);
    // Blocked: the next commit to become durable makes room.
    const log::CommitId wait = blocked ? flushed + 1 : sliced->commit_;
    context.commits.when(wait, [&context, sliced](Instant now, WallTime wall, Commits::End end) {
        context.now = now;
        context.wall = wall;
        if (end == Commits::End::given_up) sliced->lose();
        run_slices(context, sliced);
    });
}

void run_slices_after(Context& context, log::CommitId commit, std::shared_ptr<Sliced> sliced) {
    if (commit <= context.log.flushed_commit()) return run_slices(context, std::move(sliced));
    context.log.flush_soon(context.now);
    sliced->address.reply.hold_session();
    context.commits.when(commit, [&context, sliced](Instant now, WallTime wall, Commits::End) {
        context.now = now;
        context.wall = wall;
        run_slices(context, sliced);
    });
}

}  // namespace leat::api
