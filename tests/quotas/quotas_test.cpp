// Who pays, how much there is, and what is kept.
#include "broker/quotas/quotas.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "broker/quotas/quota_fact.hpp"
#include "tests/support/fake_log.hpp"

using namespace leat;
using namespace leat::quotas;
using test::FakeLog;

namespace {

Part any() { return {Part::Is::any, {}}; }
Part named(std::string_view name) { return {Part::Is::named, name}; }
constexpr Instant start = instant_ms(1000);

Values rates(double produce, double fetch = 0, double request = 0) {
    return {produce, fetch, request};
}

}  // namespace

TEST_CASE("quotas: of all that are set the first in Kafka's order holds, each kind by itself") {
    FakeLog log;
    Quotas quotas(log);
    const std::vector<Entity> order = {
        {.user = named("u"), .client = named("c")}, {.user = named("u"), .client = any()},
        {.user = named("u"), .client = {}},         {.user = any(), .client = named("c")},
        {.user = any(), .client = any()},           {.user = any(), .client = {}},
        {.user = {}, .client = named("c")},         {.user = {}, .client = any()}};
    CHECK(quotas.limit(Kind::produce, "u", "c") == 0);
    // From the weakest to the strongest: each new one takes over.
    for (std::size_t i = order.size(); i-- > 0;) {
        CAPTURE(i);
        REQUIRE(quotas.set(start, order[i], rates(100.0 + static_cast<double>(i))));
        CHECK(quotas.limit(Kind::produce, "u", "c") == 100.0 + static_cast<double>(i));
        CHECK(quotas.limit(Kind::fetch, "u", "c") == 0);
    }
    CHECK(quotas.limit(Kind::produce, "u", "else") == 101);
    CHECK(quotas.limit(Kind::produce, "other", "c") == 103);
    CHECK(quotas.limit(Kind::produce, "other", "else") == 104);
    // One that bounds another kind only does not stand in the way.
    REQUIRE(quotas.set(start, order[0], rates(0, 7)));
    CHECK(quotas.limit(Kind::produce, "u", "c") == 101);
    CHECK(quotas.limit(Kind::fetch, "u", "c") == 7);
}

TEST_CASE("quotas: a client-id quota is shared by the connections of one id, not between ids") {
    FakeLog log;
    Quotas quotas(log);
    REQUIRE(quotas.set(start, {.user = {}, .client = any()}, rates(1000)));
    const Payer a = quotas.payer(start, Kind::produce, "u", "a");
    CHECK(a == quotas.payer(start, Kind::produce, "v", "a"));
    const Payer b = quotas.payer(start, Kind::produce, "u", "b");
    CHECK(a != b);
    CHECK(quotas.charge(start, a, 3000) == milliseconds(2000));
    CHECK(quotas.charge(start, b, 1000) == milliseconds(0));

    REQUIRE(quotas.set(start, {.user = any(), .client = {}}, rates(500)));
    CHECK(quotas.payer(start, Kind::produce, "u", "a") ==
          quotas.payer(start, Kind::produce, "u", "b"));
    CHECK(quotas.payer(start, Kind::produce, "u", "a") !=
          quotas.payer(start, Kind::produce, "v", "a"));
    // Names that look alike when written together are not.
    REQUIRE(quotas.set(start, {.user = any(), .client = any()}, rates(500)));
    CHECK(quotas.payer(start, Kind::produce, "u1", "1") !=
          quotas.payer(start, Kind::produce, "u", "11"));
}

TEST_CASE(
    "quotas: a bucket holds one second; a debt lasts as long as its rate needs, and is bounded") {
    FakeLog log;
    Quotas quotas(log);
    REQUIRE(quotas.set(start, {.user = {}, .client = any()}, rates(1000)));
    const Payer payer = quotas.payer(start, Kind::produce, "u", "a");
    CHECK(quotas.charge(start, payer, 1000) == milliseconds(0));
    CHECK(quotas.charge(start, payer, 1) == milliseconds(1));
    CHECK(quotas.charge(start + milliseconds(10'000), payer, 1500) == milliseconds(500));
    // Half an hour's worth at once: ten minutes.
    CHECK(quotas.charge(start + milliseconds(10'000), payer, 1.8e6) == milliseconds(600'000));
    // The debt is in bytes: a higher rate pays it sooner.
    REQUIRE(quotas.set(start, {.user = {}, .client = any()}, rates(60'000)));
    CHECK(quotas.payer(start + milliseconds(10'000), Kind::produce, "u", "a") == payer);
    CHECK(quotas.charge(start + milliseconds(10'000), payer, 0) == milliseconds(10'000));
    // Taken away: nobody pays.
    REQUIRE(quotas.set(start, {.user = {}, .client = any()}, {}));
    CHECK(quotas.payer(start, Kind::produce, "u", "a") == 0);
    CHECK(quotas.charge(start, 0, 1e9) == milliseconds(0));
}

TEST_CASE("quotas: ten thousand made-up names are bounded; those beyond share one bucket") {
    FakeLog log;
    Quotas quotas(log, {.payers_max = 100});
    REQUIRE(quotas.set(start, {.user = {}, .client = any()}, rates(1000)));
    for (int i = 0; i < 10'000; ++i)
        (void)quotas.charge(start, quotas.payer(start, Kind::produce, "u", std::to_string(i)),
                            2000);
    CHECK(quotas.payers() <= 101);
    // Each of them alone may take 1,000; all the 9,900 that came too late have taken that together.
    CHECK(quotas.charge(start, quotas.payer(start, Kind::produce, "u", "new"), 1) >
          milliseconds(60'000));
    // When the debts are paid there is room for names again.
    const Instant later = start + milliseconds(700'000);
    CHECK(quotas.charge(later, quotas.payer(later, Kind::produce, "u", "new"), 1) ==
          milliseconds(0));
    CHECK(quotas.payers() < 10);
}

TEST_CASE("quotas: an ip opens so many connections a second; those refused cost it nothing") {
    FakeLog log;
    Quotas quotas(log);
    CHECK(quotas.may_connect(start, "10.0.0.7"));
    const auto limit = [&](const Part& ip, double rate) {
        REQUIRE(quotas.set(start, {.user = {}, .client = {}, .ip = ip}, {0, 0, 0, rate}));
    };
    const auto opened = [&](Instant now, std::string_view ip) {
        int count = 0;
        for (int i = 0; i < 20; ++i) count += quotas.may_connect(now, ip);
        return count;
    };
    limit(named("10.0.0.7"), 3);
    CHECK(opened(start, "10.0.0.7") == 3);
    CHECK(opened(start, "10.0.0.8") == 20);
    CHECK(opened(start + milliseconds(1000), "10.0.0.7") == 3);
    limit(any(), 5);
    CHECK(opened(start, "10.0.0.8") == 5);  // each of them by itself
    CHECK(opened(start, "10.0.0.9") == 5);
    CHECK(opened(start + milliseconds(2000), "10.0.0.7") == 3);
    limit(named("10.0.0.7"), 0);
    (void)opened(start + milliseconds(4000), "10.0.0.7");
    CHECK(opened(start + milliseconds(6000), "10.0.0.7") == 5);
    // They bound nothing else.
    CHECK(quotas.limit(Kind::produce, "10.0.0.7", "10.0.0.7") == 0);
}

TEST_CASE("quotas: they come back from the log; a rollback takes back what was not durable") {
    FakeLog log;
    const Entity entity{.user = named("ANONYMOUS"), .client = any()};
    {
        Quotas quotas(log);
        REQUIRE(quotas.set(start, entity, rates(1000, 2000.0, 12.5)));
        REQUIRE(quotas.set(start, {.user = {}, .client = named("")}, rates(1)));
        REQUIRE(quotas.set(start, {.user = any(), .client = {}}, rates(5)));
        REQUIRE(quotas.set(start, {.user = any(), .client = {}}, {}));
    }
    Quotas again(log);
    again.load();
    CHECK(again.all().size() == 2);
    CHECK(again.values_of(entity) == rates(1000, 2000, 12.5));
    CHECK(again.limit(Kind::produce, "u", "") == 1);
    // A fact of a newer version is counted and left alone.
    const std::vector<std::uint8_t> newer{2, 0};
    REQUIRE(log.put_fact(start, log::FactKind::config,
                         bytes_of(quota_key({.user = any(), .client = {}})), newer));
    again.load();
    CHECK(again.unreadable() == 1);
    CHECK(again.all().size() == 2);
}

TEST_CASE("quotas: no byte of a fact is trusted") {
    const Entity entity{.user = named("u"), .client = named("c")};
    const std::string key = quota_key(entity), value = quota_value(rates(3, 4));
    REQUIRE(entity_of(key));
    CHECK(*entity_of(key) == entity);
    REQUIRE(values_of(bytes_of(value)));
    CHECK(*values_of(bytes_of(value)) == rates(3, 4));
    for (std::size_t cut = 0; cut < key.size(); ++cut)
        CHECK_FALSE(entity_of(std::string_view(key).substr(0, cut)));
    CHECK_FALSE(entity_of(key + "x"));
    for (std::size_t cut = 0; cut < value.size(); ++cut)
        CHECK(bool(values_of(bytes_of(value).first(cut))) == (cut == 1 || cut == 10));
    CHECK_FALSE(values_of(bytes_of(quota_value(rates(std::numeric_limits<double>::infinity())))));
}

TEST_CASE("quotas: at most so many entities, and the log's refusal changes nothing") {
    FakeLog log;
    Quotas quotas(log, {.entities_max = 2});
    REQUIRE(quotas.set(start, {.user = named("1"), .client = {}}, rates(1)));
    REQUIRE(quotas.set(start, {.user = named("2"), .client = {}}, rates(1)));
    const auto third = quotas.set(start, {.user = named("3"), .client = {}}, rates(1));
    REQUIRE_FALSE(third);
    CHECK(third.error() == Error::full);
    REQUIRE(quotas.set(start, {.user = named("2"), .client = {}}, rates(7)));
    log.is_read_only = true;
    CHECK_FALSE(quotas.set(start, {.user = named("2"), .client = {}}, rates(8)));
    CHECK_FALSE(quotas.set(start, {.user = named("2"), .client = {}}, {}));
    CHECK(quotas.limit(Kind::produce, "2", "x") == 7);
}
