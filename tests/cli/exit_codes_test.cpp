// What each command says to a script, against the model cluster on real sockets.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "doctest/doctest.h"
#include "leat/producer.hpp"
#include "sdk/base/crc32c.hpp"
#include "sdk/cli/commands.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::cli;

namespace {

Options to(const std::string& bootstrap, std::vector<std::string> topics) {
    Options options;
    options.bootstrap = bootstrap;
    options.topics = std::move(topics);
    options.timeout_seconds = 3;
    return options;
}

/// What a command that fails says on standard error.
template <class F>
std::string said(F&& command) {
    std::fflush(stderr);
    const int before = ::dup(STDERR_FILENO);
    std::FILE* const file = std::tmpfile();
    ::dup2(::fileno(file), STDERR_FILENO);
    CHECK(command() != Exit::ok);
    std::fflush(stderr);
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    std::string text(4096, '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

/// leat produce with these lines on standard input.
Exit produce_lines(const Options& options, const char* lines) {
    const int before = ::dup(STDIN_FILENO);
    std::FILE* const file = std::tmpfile();
    std::fputs(lines, file);
    std::rewind(file);
    ::dup2(::fileno(file), STDIN_FILENO);
    std::clearerr(stdin);
    const Exit exit = produce(options);
    ::dup2(before, STDIN_FILENO);
    ::close(before);
    std::fclose(file);
    return exit;
}

}  // namespace

TEST_CASE("exit codes: topics") {
    testing::LoopbackBroker broker;
    Options one = to(broker.bootstrap(), {"one"});
    CHECK(create_topics(one) == Exit::ok);
    CHECK(create_topics(one) == Exit::failed);
    one.if_not_exists = true;
    CHECK(create_topics(one) == Exit::ok);
    one.configs = {"no pair"};
    CHECK(create_topics(one) == Exit::usage);
    CHECK(describe_topics(to(broker.bootstrap(), {"one"})) == Exit::ok);
    CHECK(describe_topics(to(broker.bootstrap(), {"one", "none"})) == Exit::not_found);
    CHECK(delete_topics(to(broker.bootstrap(), {"one"})) == Exit::ok);
    CHECK(delete_topics(to(broker.bootstrap(), {"one"})) == Exit::not_found);
    CHECK(list_topics(to(broker.bootstrap(), {})) == Exit::ok);
    CHECK(list_topics(to("no port:x", {})) == Exit::usage);
}

TEST_CASE("exit codes: consume stops at the end, or says why it cannot start") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        for (int i = 0; i < 10; ++i) REQUIRE(producer->send({.topic = "t", .value = "a line"}));
        REQUIRE(producer->flush(milliseconds(5000)));
    }
    Options options = to(broker.bootstrap(), {"t"});
    CHECK(consume(options) == Exit::ok);
    options.count_max = 3;
    options.follow = options.from_beginning = true;
    CHECK(consume(options) == Exit::ok);
    options = to(broker.bootstrap(), {"t"});
    options.only_partitions = {1};
    CHECK(consume(options) == Exit::not_found);
    options = to(broker.bootstrap(), {"t"});
    options.time = "yesterday";
    CHECK(consume(options) == Exit::usage);
    options.time = "-1h";
    CHECK(consume(options) == Exit::ok);
    CHECK(consume(to(broker.bootstrap(), {"none"})) == Exit::not_found);
    CHECK(!broker.cluster.topics.contains("none"));
}

TEST_CASE("exit codes: consume does not wait for ever for what cannot be read") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        for (int i = 0; i < 3; ++i) {
            REQUIRE(producer->send({.topic = "t", .value = "a line"}));
            REQUIRE(producer->flush(milliseconds(5000)));
        }
    }
    auto& partition = broker.cluster.store.at("t", 0);
    Options options = to(broker.bootstrap(), {"t"});
    options.timeout_seconds = 1;
    options.read_committed = true;
    {
        const std::lock_guard lock(broker.mutex);
        partition.stable = 2;
    }
    CHECK(consume(options) ==
          Exit::ok);  // what an open transaction may still take back is not there
    {
        const std::lock_guard lock(broker.mutex);
        partition.stable.reset();
        partition.log.back().batch.back() ^= 1;
    }
    CHECK(consume(options) == Exit::failed);
}

TEST_CASE("errors name what is wrong and what to do") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0, 0});
    Options options = to(broker.bootstrap(), {"none"});
    CHECK(said([&] { return consume(options); }) ==
          "leat: topic none is not there; leat topics list shows what is\n");
    options.all_records = true;
    CHECK(said([&] { return delete_records(options); }) ==
          "leat: topic none is not there; leat topics list shows what is\n");
    options = to(broker.bootstrap(), {"t"});
    options.only_partitions = {2};
    CHECK(said([&] { return consume(options); }) ==
          "leat: partition 2 of t is not there: they are 0 to 1\n");
    options.only_partitions = {0};
    options.offset = 7;
    options.follow = true;
    CHECK(said([&] { return consume(options); }).find("which ends at 0; --from-beginning") !=
          std::string::npos);
    options.time = "yesterday";
    CHECK(said([&] { return delete_records(options); }).find("2024-05-01T12:00:00Z") !=
          std::string::npos);
    options = to(broker.bootstrap(), {"t"});
    options.configs = {"retention.ms", "no.such", "neither"};
    const std::string text = said([&] { return get_configs(options); });
    CHECK(text.find("leat: no.such is no setting of t;") != std::string::npos);
    CHECK(text.find("leat: neither is no setting of t;") != std::string::npos);
    options = to("127.0.0.1:1", {"t"});
    options.timeout_seconds = 0.3;
    CHECK(said([&] { return list_topics(options); }).find("--bootstrap or LEAT_BOOTSTRAP") !=
          std::string::npos);
}

TEST_CASE("exit codes: nobody there") {
    std::string bootstrap;
    {
        testing::LoopbackBroker gone;
        bootstrap = gone.bootstrap();
    }
    Options options = to(bootstrap, {"t"});
    options.timeout_seconds = 0.3;
    CHECK(list_topics(options) == Exit::unreachable);
    CHECK(consume(options) == Exit::unreachable);
    options.topics = {bootstrap};
    CHECK(show_status(options) == Exit::unreachable);
}

TEST_CASE("exit codes: a broker that answers and sends nothing ends a consumer after its timeout") {
    testing::LoopbackBroker broker;
    Options one = to(broker.bootstrap(), {"one"});
    CHECK(create_topics(one) == Exit::ok);
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        REQUIRE(producer);
        CHECK(producer->send({.topic = "one", .value = "never seen"}));
        CHECK(producer->close(milliseconds{10'000}));
    }
    {
        const std::lock_guard lock(broker.mutex);
        broker.cluster.on_any = [](std::int32_t,
                                   const wire::Request& request) -> std::optional<testing::Bytes> {
            if (request.header.api_key != wire::ApiKey::fetch) return std::nullopt;
            return testing::ModelBroker::answer(request.header, wire::FetchResponse{},
                                                request.header.api_version);
        };
    }
    one.timeout_seconds = 0.5;
    Exit exit = Exit::ok;
    const std::string text = said([&] { return exit = consume(one); });
    CHECK(exit == Exit::unreachable);
    CHECK(text.find("one-0 stands at offset 0") != std::string::npos);
}

TEST_CASE("exit codes: a consumer that gets on is not ended, also when there is nothing to show") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        REQUIRE(producer);
        // One is an answer's fill.
        for (int i = 0; i < 6; ++i)
            REQUIRE(producer->send({.topic = "t", .value = std::string(600 * 1024, 'v')}));
        REQUIRE(producer->flush(milliseconds(5000)));
    }
    for (auto& stored : broker.cluster.store.at("t", 0).log) {
        constexpr std::size_t crc_at = 17, attributes_at = wire::batch_crc_from;
        testing::Bytes& batch = stored.batch;
        store_big(batch.data() + attributes_at, wire::attribute::control);
        store_big(batch.data() + crc_at, crc32c(0, ByteView(batch).subspan(attributes_at)));
    }
    std::atomic<int> fetches{0};  // counted by the broker's thread
    broker.cluster.on_any = [&](std::int32_t,
                                const wire::Request& request) -> std::optional<testing::Bytes> {
        if (request.header.api_key == wire::ApiKey::fetch) {
            ++fetches;
            std::this_thread::sleep_for(milliseconds(300));
        }
        return std::nullopt;
    };
    Options options = to(broker.bootstrap(), {"t"});
    options.timeout_seconds = 1;
    CHECK(consume(options) == Exit::ok);
    CHECK(fetches >= 6);
}

TEST_CASE("exit codes: a topic that is not ours to see is not one that is not there") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    broker.cluster.on_any = [](std::int32_t,
                               const wire::Request& request) -> std::optional<testing::Bytes> {
        if (request.header.api_key != wire::ApiKey::metadata) return std::nullopt;
        const auto asked =
            wire::decode_front<wire::MetadataRequest>(request.body, request.header.api_version);
        if (!asked || asked->topics.empty()) return std::nullopt;
        wire::MetadataResponse::MetadataResponseTopic topic;
        topic.name = "t";
        topic.error_code = ErrorCode::topic_authorization_failed;
        wire::MetadataResponse response;
        response.topics = std::span(&topic, 1);
        return testing::ModelBroker::answer(request.header, response, request.header.api_version);
    };
    Options options = to(broker.bootstrap(), {"t"});
    options.all_records = true;
    for (const auto command : {describe_topics, delete_records}) {
        Exit exit = Exit::ok;
        const std::string text = said([&] { return exit = command(options); });
        CHECK(exit == Exit::failed);
        CHECK(text == "leat: t: TOPIC_AUTHORIZATION_FAILED\n");
    }
}

TEST_CASE("exit codes: what a server says does not reach the terminal as commands") {
    const std::string text = said([] {
        complain("bad \x1b[2J\x07\r\n\xc2\x9b" "31m \xc3\xa9");
        return Exit::failed;
    });
    CHECK(text == "leat: bad \\x1b[2J\\x07\\x0d\\x0a\\x9b" "31m \xc3\xa9\n");
}

TEST_CASE("produce: who says how long waits no longer, and reads why") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {9});  // a broker that is not there
    Options options = to(broker.bootstrap(), {"t"});
    options.timeout_seconds = 0.3;
    options.timeout_given = true;
    Exit exit = Exit::ok;
    const std::string text = said([&] { return exit = produce_lines(options, "a line\n"); });
    CHECK(exit == Exit::failed);
    CHECK(text.find("1 of 1 records were not delivered: REQUEST_TIMED_OUT (the leader of t-0 is "
                    "broker 9, which is not among the cluster's brokers)") != std::string::npos);
}

TEST_CASE("produce: a server that takes no records, or gives no producer id, is told at once") {
    for (const wire::ApiKey missing : {wire::ApiKey::produce, wire::ApiKey::init_producer_id}) {
        testing::LoopbackBroker broker;
        broker.cluster.add_topic("t", {0});
        broker.cluster.on_any =
            [missing](std::int32_t, const wire::Request& request) -> std::optional<testing::Bytes> {
            if (request.header.api_key != wire::ApiKey::api_versions) return std::nullopt;
            std::vector<wire::ApiVersionsResponse::ApiVersion> entries;
            for (const wire::Api& api : wire::apis())
                if (api.key != missing)
                    entries.push_back(
                        {static_cast<std::int16_t>(api.key), api.codec.first, api.codec.last});
            wire::ApiVersionsResponse response;
            response.api_keys = std::span<const wire::ApiVersionsResponse::ApiVersion>(entries);
            return testing::ModelBroker::answer(request.header, response,
                                                request.header.api_version);
        };
        const Options options = to(broker.bootstrap(), {"t"});
        Exit exit = Exit::ok;
        const std::string text = said([&] { return exit = produce_lines(options, "a\nb\n"); });
        CHECK(exit == Exit::failed);
        CHECK(text.find("2 of 2 records were not delivered: UNSUPPORTED_VERSION") !=
              std::string::npos);
    }
}
