#include "broker/api/slices.hpp"

#include <algorithm>

#include "broker/api/commits.hpp"

namespace leat::api {

void run_slices(Context& context, std::shared_ptr<Sliced> sliced) {
    const log::CommitId flushed = context.log.flushed_commit();
    Sliced::Step step = Sliced::Step::done;
    for (int parts = 0; step == Sliced::Step::done; ++parts) {
        // What wrote nothing, or is durable, is nothing to wait for.
        if (sliced->commit_ <= flushed) sliced->parts_ = 0;
        if (sliced->parts_ >= parts_per_slice) break;
        if (parts >= sliced->per_turn) {
            sliced->address.reply.hold_session();
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
    context.log.flush_soon(context.now);
    if (step != Sliced::Step::end) sliced->address.reply.hold_session();
    // Blocked: the next commit to become durable makes room.
    const log::CommitId wait = blocked ? flushed + 1 : sliced->commit_;
    context.commits.when(wait, [&context, sliced](Instant now, WallTime wall, Commits::End end) {
        context.now = now;
        context.wall = wall;
        if (end == Commits::End::given_up) {
            sliced->durable_ = false;
            sliced->commit_ = 0;  // what was given up never becomes durable: nothing to wait for
        }
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
