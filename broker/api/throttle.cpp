#include "broker/api/throttle.hpp"

#include <algorithm>

namespace leat::api {
namespace {

// Until there is an authenticator, this is everybody's name (Kafka's word).
constexpr std::string_view user = "ANONYMOUS";
constexpr milliseconds work_throttle_max{1'000};

void mute(Context& context, session::Reply& reply, milliseconds time) {
    if (time <= milliseconds(0)) return;
    context.quotas.count_throttle(time);
    reply.mute_until(context.now + time);
}

milliseconds charge_work(Context& context) {
    const std::int64_t now_ns = context.stopwatch->nanoseconds();
    const std::int64_t worked = now_ns - std::exchange(context.working.since_ns, now_ns);
    // One percent of a thread is 10 ms in a second: the bucket holds hundredths of seconds.
    return std::min(context.quotas.charge(context.now, context.working.payer,
                                          static_cast<double>(worked) / 1e9 * 100),
                    work_throttle_max);
}

}  // namespace

void begin_throttle(Context& context, Call& call) {
    using quotas::Kind;
    const std::string_view client =
        call.client_id.is_null() ? std::string_view() : call.client_id.view();
    const auto key = static_cast<wire::ApiKey>(call.request.api_key());
    if (key == wire::ApiKey::produce) {
        const quotas::Payer payer = context.quotas.payer(context.now, Kind::produce, user, client);
        mute(context, call.reply,
             context.quotas.charge(context.now, payer,
                                   static_cast<double>(call.request.frame().size())));
    } else if (key == wire::ApiKey::fetch) {
        call.payer = context.quotas.payer(context.now, Kind::fetch, user, client);
    } else if (key == wire::ApiKey::create_topics || key == wire::ApiKey::delete_topics ||
               key == wire::ApiKey::create_partitions || key == wire::ApiKey::metadata) {
        call.payer = context.quotas.payer(context.now, Kind::mutate, user, client);
    }
    if (context.stopwatch == nullptr || !context.quotas.any(Kind::request)) return;
    context.working = {.payer = context.quotas.payer(context.now, Kind::request, user, client),
                       .session = call.request.session(),
                       .since_ns = context.stopwatch->nanoseconds()};
}

void end_throttle(Context& context) {
    if (context.working.payer != 0) (void)charge_work(context);
    context.working = {};
}

std::int32_t throttle_time_ms(Context& context, session::Reply& reply) {
    if (context.working.payer != 0 && context.working.session == reply.session())
        mute(context, reply, charge_work(context));
    const milliseconds left = reply.muted_until() - context.now;
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(left.count(), 0, INT32_MAX));
}

void throttle_producer(Context& context, session::Reply& reply, milliseconds time) {
    if (time <= milliseconds(0)) return;
    context.pressure.count(time);
    reply.mute_until(context.now + time);
}

bool may_change(Context& context, Address& address, std::int16_t strict_since,
                std::size_t partitions) {
    if (address.payer == 0) return true;
    using Debt = quotas::Quotas::Debt;
    const Debt debt = address.version >= strict_since ? Debt::refused : Debt::grows;
    const milliseconds time =
        context.quotas.mutate(context.now, address.payer, partitions, debt);
    if (context.now + time > address.reply.muted_until()) mute(context, address.reply, time);
    return debt == Debt::grows || time == milliseconds(0);
}

void charge_fetch(Context& context, Address& address, std::size_t bytes) {
    if (address.payer == 0) return;
    mute(context, address.reply,
         context.quotas.charge(context.now, address.payer, static_cast<double>(bytes)));
}

}  // namespace leat::api
