#include "broker/api/later.hpp"

#include <memory>

#include "broker/api/commits.hpp"

namespace leat::api {
namespace {

struct Waiting {
    Address address;
    session::Buffer frame;
};

}  // namespace

void run_after(Context& context, Call call, log::CommitId commit, Run run) {
    if (commit <= context.log.flushed_commit()) {
        Address address = address_of(call);
        return run(context, address, call.body);
    }
    context.log.flush_soon(context.now);
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    const std::size_t size = call.body.size();
    // Shared, because the waiting function is copyable: in the end it is the only owner.
    auto waiting = std::make_shared<Waiting>();
    waiting->frame = call.request.keep();
    waiting->address = address_of(call);
    waiting->address.reply.hold_session();
    context.commits.when(
        commit, [&context, waiting, head, size, run](Instant now, WallTime wall, Commits::End) {
            context.now = now;
            context.wall = wall;
            run(context, waiting->address, waiting->frame.bytes().subspan(head, size));
        });
}

}  // namespace leat::api
