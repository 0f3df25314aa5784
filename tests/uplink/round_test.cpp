// Routes that lead back: to this very broker, or to a gateway that brings the topic here.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

// Seen with a gateway whose route named its own port: each record went round for good, 4,000 times
// a second, all of it onto the flash; with another name upstream it made topics until the log was
// full.
TEST_CASE("uplink: a route to this very broker forwards nothing, makes no topics, and is named") {
    Rig rig;
    rig.config.own_cluster_id = rig.upstream.cluster_id;
    rig.config.routes[0].create_topics = true;
    rig.config.routes[0].upstream_topic = "x.{topic}";
    rig.make_topic("t", 1);
    rig.make_topic("u", 1);
    rig.upstream.make_topic("x.t", 1);
    rig.append("t", {.count = 3});
    rig.append("u", {.count = 3});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.values("x.t").empty());
    CHECK(rig.upstream.created == 0);
    CHECK(rig.was_told("leads back to this broker"));
    CHECK(rig.status().last_error.find("leads back") != std::string::npos);
    CHECK(rig.status().backlog_records == 6);
    rig.upstream.cluster_id = "the-center";  // the name leads elsewhere now
    rig.pass(600'000);
    CHECK(rig.values("x.t") == numbers(0, 3));
    CHECK(rig.values("x.u") == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
}

// Who is asked again over the same connection says the same: it took a restart to see that the
// name leads elsewhere now.
TEST_CASE("uplink: a route that leads back is looked at again from its bootstrap.servers on") {
    Rig rig;
    rig.config.own_cluster_id = "this-gateway";
    rig.upstream.broker_count = 3;
    rig.upstream.cluster_at[3] = "this-gateway";
    rig.leads_to[1] = 3;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 3});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.values("t").empty());
    CHECK(rig.status().last_error.find("leads back") != std::string::npos);
    const int connects = rig.connects;
    rig.pass(600'000);
    CHECK(rig.connects - connects <= 100);
    CHECK(rig.events.size() < 10);
    rig.leads_to.clear();
    rig.pass(120'000);
    CHECK(rig.values("t") == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
}

// Seen with two gateways whose routes named each other: each record went round between them for
// good.
TEST_CASE("uplink: what the upstream itself brings is not taken back to it, and that is told") {
    for (const bool known_first : {true, false}) {
        Rig rig;
        const std::string other = gateway_of(rig.upstream.cluster_id);
        for (const char* name : {"t", "mine"}) {
            rig.make_topic(name, 1);
            rig.upstream.make_topic(name, 1);
        }
        rig.upstream_is_down = !known_first;
        rig.start();
        rig.uplink->fed_by("t", other);
        rig.uplink->fed_by("mine", gateway_of("somebody-else"));
        rig.uplink->fed_by("mine", other + "-renaming");  // his topic has another name
        rig.append("t", {.count = 3});
        rig.append("mine", {.count = 3});
        rig.pass(1'000);
        rig.upstream_is_down = false;
        rig.pass(60'000);
        INFO("known_first=" << known_first);
        CHECK(rig.values("t").empty());
        CHECK(rig.values("mine") == numbers(0, 3));
        CHECK(rig.was_told("the upstream forwards t to here"));
        CHECK(rig.status().last_error.find("go round") != std::string::npos);
        CHECK(rig.status().backlog_records == 3);
        rig.upstream.cluster_id = "the-center";  // the name leads elsewhere now
        rig.pass(600'000);
        CHECK(rig.values("t") == numbers(0, 3));
        CHECK(rig.status().last_error.empty());
    }
}

TEST_CASE("uplink: a topic that the upstream itself brings is deleted without a loss") {
    Rig rig;
    one_topic(rig);
    rig.start();
    rig.uplink->fed_by("t", gateway_of(rig.upstream.cluster_id));
    rig.append("t", {.count = 3});
    rig.pass(60'000);
    REQUIRE(rig.was_told("the upstream forwards t to here"));
    rig.delete_topic("t");
    rig.run();
    CHECK_FALSE(rig.was_told("is deleted here"));
    CHECK(rig.log.losses.empty());
    CHECK(rig.status().lost_records == 0);
}

// Seen with a center that advertised localhost: it was right about its topics, and its partitions'
// leader was the gateway itself.
TEST_CASE("uplink: records that arrive at this very broker are not sent on, and that is told") {
    for (const bool renames : {false, true}) {
        Rig rig;
        if (renames) rig.config.routes[0].upstream_topic = "x.{topic}";
        const std::string there = renames ? "x.t" : "t";
        rig.make_topic("t", 1);
        rig.make_topic("u", 1);
        rig.upstream.make_topic(there, 1);
        rig.upstream.make_topic(renames ? "x.u" : "u", 1);
        rig.start();
        rig.uplink->fed_by(there, renames ? "gw-1-renaming" : "gw-1");
        rig.append("t", {.count = 3});
        rig.append("u", {.count = 3});
        rig.pass(10'000);
        CHECK(rig.values(there).empty());
        CHECK(rig.values(renames ? "x.u" : "u") == numbers(0, 3));
        CHECK(rig.was_told("arrives at this very broker"));
        CHECK(rig.status().last_error.find("advertised.listeners") != std::string::npos);
    }
}

TEST_CASE("uplink: what arrived here is sent again once its leader's address means another") {
    for (const bool by_key : {false, true}) {
        Rig rig;
        rig.config.own_cluster_id = "this-gateway";
        if (by_key) rig.config.routes[0].mapping = config::Route::Mapping::by_key;
        rig.upstream.broker_count = 3;
        rig.upstream.cluster_at[3] = "this-gateway";
        rig.leads_to[2] = 3;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        rig.upstream.topics["t"][0].leader = 2;
        rig.start();
        rig.pass(1'000);
        rig.uplink->fed_by("t", "gw-1");
        rig.append("t", {.count = 3});
        rig.pass(600'000);
        INFO("by_key=" << by_key);
        CHECK(rig.upstream.produce_requests == 0);  // not even to find out
        CHECK(rig.status().last_error.find("advertised.listeners") != std::string::npos);
        rig.leads_to.clear();
        rig.pass(130'000);
        CHECK(rig.values("t") == numbers(0, 3));
        CHECK(rig.status().last_error.empty());
    }
}

TEST_CASE("uplink: a route that renames may take back what it brought") {
    Rig rig;
    rig.config.routes[0].upstream_topic = "site7.{topic}";
    rig.make_topic("t", 1);
    rig.upstream.make_topic("site7.t", 1);
    rig.start();
    rig.uplink->fed_by("t", gateway_of(rig.upstream.cluster_id));
    rig.append("t", {.count = 3});
    rig.pass(10'000);
    CHECK(rig.values("site7.t") == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: headers: what carries our own name came back, and does not go round again") {
    for (const auto mapping :
         {config::Route::Mapping::same_partition, config::Route::Mapping::by_key}) {
        Rig rig;
        rig.config.routes[0].headers = true;
        rig.config.routes[0].mapping = mapping;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        rig.append("t", {.count = 3, .first = 0});
        rig.append("t", {.count = 3, .first = 0, .from = "gw-1"});
        rig.append("t", {.count = 3, .first = 3, .codec = Codec::lz4, .from = "gw-2"});
        rig.append("t", {.count = 3, .first = 3, .codec = Codec::lz4, .from = "gw-1"});
        rig.start();
        rig.pass(1'000);
        CHECK(rig.values("t") == numbers(0, 6));
        CHECK(rig.log.stream(rig.stream("t"))->release == 12);
        CHECK(rig.status().returned_records == 6);
        CHECK(rig.was_told("sent upstream come back into t"));
        CHECK(rig.events.size() < 4);
        rig.kill();
        rig.start();
        rig.append("t", {.count = 3, .first = 6});
        rig.pass(1'000);
        CHECK(rig.values("t") == numbers(0, 9));
        CHECK(rig.status().doubts_lost == 0);
    }
}
