// Every operation of the admin client with a failure at every step: a lost connection, each answer
// that allows another try, a controller or coordinator that moved, a broker that is named and dead.
#include "tests/cluster/admin_steps.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

struct Operation {
    const char* name;
    ApiKey key;
    std::function<void(Steps&)> start;
    std::function<bool(const AdminAnswer&)> is_right;
    std::vector<ErrorCode> again;  ///< answers that allow another try
    bool is_of_group = false, is_of_controller = false;
};

std::vector<Operation> operations() {
    using E = ErrorCode;
    const cluster::Admin::Options options{.timeout = milliseconds{60'000}};
    const auto whole = [](const AdminAnswer& answer) { return answer.error == E::none; };
    const auto topic = [](const AdminAnswer& answer) {
        // Asked again after a lost answer, the first one shows.
        return answer.topics.size() == 1 &&
               (answer.topics[0].error == E::none ||
                answer.topics[0].error == E::topic_already_exists ||
                answer.topics[0].error == E::unknown_topic_or_partition);
    };
    const std::vector<E> of_controller{E::not_controller, E::request_timed_out};
    const std::vector<E> of_group{E::coordinator_load_in_progress, E::coordinator_not_available,
                                  E::not_coordinator};
    std::vector<E> of_commit = of_group, of_fetch = of_group;
    of_commit.push_back(E::request_timed_out);
    of_fetch.push_back(E::unstable_offset_commit);
    return {
        {"create_topics", ApiKey::create_topics,
         [=](Steps& s) {
             s.admin.create_topics(s.rig.now, {{.name = "new", .partitions = 1, .configs = {}}},
                                   options);
         },
         topic, of_controller, false, true},
        {"delete_topics", ApiKey::delete_topics,
         [=](Steps& s) { s.admin.delete_topics(s.rig.now, {"t"}, options); }, topic, of_controller,
         false, true},
        {"describe",
         ApiKey::metadata,
         [=](Steps& s) { s.admin.describe(s.rig.now, std::nullopt, options); },
         [](const AdminAnswer& answer) { return answer.cluster.topics.contains("t"); },
         {}},
        {"describe_configs",
         ApiKey::describe_configs,
         [=](Steps& s) {
             s.admin.describe_configs(s.rig.now, cluster::ConfigResource::topic, "t", options);
         },
         [](const AdminAnswer& answer) { return answer.configs.size() == 1; },
         {}},
        {"list_offsets",
         ApiKey::list_offsets,
         [=](Steps& s) {
             s.admin.list_offsets(s.rig.now, "t", {0, 1}, -1, options);
         },
         [](const AdminAnswer& answer) {
             return answer.offsets.size() == 2 && answer.offsets[0].offset == 7 &&
                    answer.offsets[1].offset == 7;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::replica_not_available,
          E::unknown_topic_or_partition, E::offset_not_available, E::unknown_leader_epoch,
          E::fenced_leader_epoch, E::kafka_storage_error, E::request_timed_out}},
        {"delete_records",
         ApiKey::delete_records,
         [=](Steps& s) {
             s.admin.delete_records(s.rig.now, "t", {{0, 5}, {1, 6}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.log_starts.size() == 2 && answer.log_starts[0].offset == 5 &&
                    answer.log_starts[1].offset == 6 && answer.log_starts[1].partition == 1;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::unknown_topic_or_partition,
          E::kafka_storage_error, E::request_timed_out}},
        {"epoch_ends",
         ApiKey::offset_for_leader_epoch,
         [=](Steps& s) {
             s.admin.epoch_ends(s.rig.now, "t", {{0, 3}, {1, 4}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.epoch_ends.size() == 2 && answer.epoch_ends[0].offset == 103 &&
                    answer.epoch_ends[1].offset == 104 && answer.epoch_ends[1].epoch == 4;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::unknown_topic_or_partition,
          E::fenced_leader_epoch, E::unknown_leader_epoch, E::kafka_storage_error}},
        {"describe_producers",
         ApiKey::describe_producers,
         [=](Steps& s) {
             s.admin.describe_producers(s.rig.now, "t", {1, 0}, options);
         },
         [](const AdminAnswer& answer) {  // partition n is led by broker n
             return answer.producers.size() == 2 && answer.producers[0].partition == 0 &&
                    answer.producers[0].producers.at(0).producer_id == 1000 &&
                    answer.producers[1].producers.at(0).producer_id == 1001 &&
                    answer.producers[1].producers[0].last_sequence == 9;
         },
         {E::not_leader_or_follower, E::unknown_topic_or_partition, E::kafka_storage_error}},
        {"list_config_resources",
         ApiKey::list_config_resources,
         [=](Steps& s) { s.admin.list_config_resources(s.rig.now, {2}, options); },
         [](const AdminAnswer& answer) {
             return answer.error == E::none && answer.resources.size() == 1 &&
                    answer.resources[0].name == "t" && answer.resources[0].kind == 2;
         },
         {E::request_timed_out}},
        {"describe_log_dirs",
         ApiKey::describe_log_dirs,
         [=](Steps& s) { s.admin.describe_log_dirs(s.rig.now, options); },
         [](const AdminAnswer& answer) {
             std::int64_t bytes = 0;
             for (const auto& dir : answer.log_dirs)
                 for (const auto& replica : dir.replicas) bytes += replica.bytes;
             return answer.log_dirs.size() == 3 && bytes == 3003 &&
                    answer.log_dirs[2].path == "/data/" + std::to_string(answer.log_dirs[2].broker);
         },
         {E::kafka_storage_error, E::request_timed_out}},
        {"describe_quotas",
         ApiKey::describe_client_quotas,
         [=](Steps& s) {
             s.admin.describe_quotas(
                 s.rig.now, {{"client-id", cluster::QuotaFilter::Match::name, "pump"}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.quotas.size() == 1 &&
                    answer.quotas[0].entity ==
                        cluster::QuotaEntity{{"client-id", "pump"}, {"user", std::nullopt}} &&
                    answer.quotas[0].values.at("producer_byte_rate") == 1024.5;
         },
         {E::request_timed_out}},
        {"alter_quotas", ApiKey::alter_client_quotas,
         [=](Steps& s) {
             s.admin.alter_quotas(s.rig.now, {{"user", std::nullopt}},
                                  {{"consumer_byte_rate", 5}, {"request_percentage", std::nullopt}},
                                  options);
         },
         whole, of_controller, false, true},
        {"alter_configs", ApiKey::incremental_alter_configs,
         [=](Steps& s) {
             s.admin.alter_configs(s.rig.now, cluster::ConfigResource::topic, "t",
                                   {{.name = "retention.ms", .value = "1"}}, options);
         },
         whole, of_controller, false, true},
        {"create_partitions", ApiKey::create_partitions,
         [=](Steps& s) { s.admin.create_partitions(s.rig.now, "t", 3, options); }, whole,
         of_controller, false, true},
        {"list_groups",
         ApiKey::list_groups,
         [=](Steps& s) { s.admin.list_groups(s.rig.now, options); },
         [](const AdminAnswer& answer) { return answer.groups.size() == 3; },
         {E::coordinator_load_in_progress, E::coordinator_not_available}},
        {"describe_group", ApiKey::describe_groups,
         [=](Steps& s) { s.admin.describe_group(s.rig.now, "g", options); },
         [](const AdminAnswer& answer) {
             return answer.group.state == "Empty" && answer.group.type == "Classic";
         },
         of_group, true},
        {"describe_group of the consumer protocol", ApiKey::consumer_group_describe,
         [=](Steps& s) {
             s.speaks_consumer = true;
             s.admin.describe_group(s.rig.now, "g", options);
         },
         [](const AdminAnswer& answer) {
             const cluster::GroupPicture& group = answer.group;
             return group.state == "Reconciling" && group.type == "Consumer" && group.epoch == 5 &&
                    group.protocol == "uniform" && group.members.size() == 1 &&
                    group.members[0].epoch == 4 &&
                    group.members[0].assignment == cluster::Partitions{{"t", 0}} &&
                    group.members[0].target == cluster::Partitions{{"t", 0}, {"t", 1}};
         },
         of_group, true},
        {"delete_group", ApiKey::delete_groups,
         [=](Steps& s) { s.admin.delete_group(s.rig.now, "g", options); }, whole, of_group, true},
        {"group_offsets", ApiKey::offset_fetch,
         [=](Steps& s) { s.admin.group_offsets(s.rig.now, "g", options); },
         [](const AdminAnswer& answer) {
             return answer.group_offsets.at({"t", 0}).offset == 11;
         },
         of_fetch, true},
        {"alter_group_offsets", ApiKey::offset_commit,
         [=](Steps& s) {
             s.admin.alter_group_offsets(s.rig.now, "g", {{{"t", 0}, {5, -1, ""}}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.error == E::none && answer.refused.empty();
         },
         of_commit, true},
        {"delete_group_offsets", ApiKey::offset_delete,
         [=](Steps& s) {
             s.admin.delete_group_offsets(s.rig.now, "g", {{"t", 0}}, options);
         },
         whole, of_group, true},
    };
}

void check_right(const Operation& operation, Steps& steps) {
    const AdminAnswer answer = steps.answer();
    REQUIRE(answer.status);
    CHECK(operation.is_right(answer));
}

}  // namespace

TEST_CASE("admin steps: a connection lost at any step of any operation delays its answer only") {
    int swept = 0;
    for (const Operation& operation : operations())
        for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                               Rig::Break::after_request, Rig::Break::half_answer})
            for (int step = 0;; ++step) {
                INFO(operation.name, " how=", static_cast<int>(how), " step=", step);
                REQUIRE(step < 100);
                Steps steps;
                steps.rig.how = how;
                steps.rig.break_at = step;
                operation.start(steps);
                check_right(operation, steps);
                if (!steps.rig.broke) break;
                ++swept;
            }
    MESSAGE("breaks swept: ", swept);
    CHECK(swept >= 250);
}

TEST_CASE(
    "admin steps: each answer that allows another try, to each request, once and three times") {
    for (const Operation& operation : operations()) {
        std::vector<std::pair<ApiKey, ErrorCode>> faults;
        for (ErrorCode error : operation.again) faults.emplace_back(operation.key, error);
        if (operation.is_of_group)
            for (ErrorCode error :
                 {ErrorCode::coordinator_not_available, ErrorCode::coordinator_load_in_progress})
                faults.emplace_back(ApiKey::find_coordinator, error);
        for (const auto& [key, error] : faults)
            for (int times : {1, 3}) {
                INFO(operation.name, " ", wire::name(error), " times=", times);
                Steps steps;
                steps.errors[key] = {error, times};
                operation.start(steps);
                check_right(operation, steps);
                CHECK(steps.errors[key].second == 0);
                CHECK(steps.carried_out[operation.key] >= 1);
            }
    }
}

TEST_CASE(
    "admin steps: the coordinator moves after it was found; its broker answers, dies or leaves") {
    enum class Old : std::uint8_t { answers, is_dead, has_left };
    for (const Operation& operation : operations()) {
        if (!operation.is_of_group) continue;
        for (const Old old : {Old::answers, Old::is_dead, Old::has_left}) {
            INFO(operation.name, " old=", static_cast<int>(old));
            Steps steps;
            bool cut = false;
            steps.on_found = [&] {
                steps.coordinator = 0;
                if (old == Old::is_dead) steps.brokers.dead.insert(1);
                if (old == Old::has_left) steps.brokers.up.erase(1);
                cut = old != Old::answers;
            };
            steps.rig.on_idle = [&] {
                if (!std::exchange(cut, false)) return false;
                steps.rig.drop_connections(1);
                return true;
            };
            const Instant start = steps.rig.now;
            operation.start(steps);
            check_right(operation, steps);
            CHECK(steps.rig.now - start < milliseconds{10'000});
        }
    }
}

TEST_CASE("admin steps: the controller moves, and the old one is dead") {
    for (const Operation& operation : operations()) {
        if (!operation.is_of_controller) continue;
        INFO(operation.name);
        Steps steps;
        operation.start(steps);
        check_right(operation, steps);
        steps.brokers.controller = 0;
        steps.brokers.dead.insert(2);
        steps.rig.drop_connections(2);
        const Instant start = steps.rig.now;
        operation.start(steps);
        check_right(operation, steps);
        CHECK(steps.rig.now - start < milliseconds{10'000});
    }
}

TEST_CASE("admin steps: what cannot be helped is told at once and asked once") {
    for (const Operation& operation : operations()) {
        if (!operation.is_of_group && operation.key != ApiKey::list_groups) continue;
        INFO(operation.name);
        Steps steps;
        steps.errors[operation.key] = {ErrorCode::group_authorization_failed, 100};
        operation.start(steps);
        const AdminAnswer answer = steps.answer();
        REQUIRE(answer.status);
        const bool is_told = answer.error == ErrorCode::group_authorization_failed ||
                             (!answer.refused.empty() && answer.refused.begin()->second ==
                                                             ErrorCode::group_authorization_failed);
        CHECK(is_told);
        CHECK(steps.errors[operation.key].second == 99);
    }
}

TEST_CASE(
    "admin steps: a leader that leaves out what it was asked for is asked again with pauses") {
    for (const Operation& operation : operations()) {
        if (operation.key != ApiKey::list_offsets && operation.key != ApiKey::delete_records)
            continue;
        INFO(operation.name);
        Steps steps;
        int asked = 0;
        const auto usual = steps.brokers.on_any;
        steps.brokers.on_any = [&](std::int32_t node, const wire::Request& request) {
            const std::int16_t version = request.header.api_version;
            if (request.header.api_key != operation.key || ++asked > 200)
                return usual(node, request);
            return operation.key == ApiKey::list_offsets
                       ? std::optional(ModelBroker::answer(request.header,
                                                           wire::ListOffsetsResponse{}, version))
                       : std::optional(ModelBroker::answer(request.header,
                                                           wire::DeleteRecordsResponse{}, version));
        };
        operation.start(steps);
        CHECK(!steps.rig.run([&] { return steps.admin.poll_answer().has_value(); },
                             milliseconds{5'000}));
        CHECK(asked > 2);
        CHECK(asked < 50);
    }
}

TEST_CASE("admin steps: an answer that does not speak of the topic is no success") {
    for (const ApiKey key : {ApiKey::create_topics, ApiKey::delete_topics}) {
        INFO("key ", static_cast<int>(key));
        Steps steps;
        const auto usual = steps.brokers.on_any;
        steps.brokers.on_any = [&](std::int32_t node, const wire::Request& request) {
            if (request.header.api_key != key) return usual(node, request);
            const std::int16_t version = request.header.api_version;
            wire::CreateTopicsResponse::CreatableTopicResult other;
            other.name = "other";
            wire::CreateTopicsResponse made;
            made.topics = std::span(&other, 1);
            return key == ApiKey::create_topics
                       ? std::optional(ModelBroker::answer(request.header, made, version))
                       : std::optional(ModelBroker::answer(request.header,
                                                           wire::DeleteTopicsResponse{}, version));
        };
        if (key == ApiKey::create_topics)
            steps.admin.create_topics(steps.rig.now, {{.name = "new", .configs = {}}}, {});
        else
            steps.admin.delete_topics(steps.rig.now, {"new"}, {});
        const AdminAnswer answer = steps.answer();
        REQUIRE(answer.topics.size() == 1);
        CHECK(answer.topics[0].name == "new");
        CHECK(answer.topics[0].error == ErrorCode::unknown_server_error);
        CHECK(!answer.topics[0].message.empty());
    }
}
