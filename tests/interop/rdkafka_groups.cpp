// The steps `group` and `resume` of the matrix through librdkafka's C interface: group_steps.py
// once more.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/interop/rdkafka_client.hpp"

namespace rdkafka_client {
namespace {

using Values = std::vector<std::string>;
using List = std::unique_ptr<rd_kafka_topic_partition_list_t,
                             decltype(&rd_kafka_topic_partition_list_destroy)>;

List new_list() {
    return {rd_kafka_topic_partition_list_new(group_partitions),
            rd_kafka_topic_partition_list_destroy};
}

void check(rd_kafka_resp_err_t error, const std::string& what) {
    if (error) fail(what + ": " + rd_kafka_err2str(error));
}

void until(const std::string& what, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) fail("no " + what + " within 60 s");
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

/// A consumer of a group, polled on a thread of its own until it is closed.
class Member {
public:
    Member(const std::string& group, std::string topic, const std::string& instance)
        : topic_(std::move(topic)) {
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set_opaque(conf, this);
        rd_kafka_conf_set_rebalance_cb(conf, [](rd_kafka_t* client, rd_kafka_resp_err_t why,
                                                rd_kafka_topic_partition_list_t* list, void* self) {
            static_cast<Member*>(self)->on_rebalance(client, why, list);
        });
        Settings settings{{"group.id", group},
                          {"enable.auto.commit", "false"},
                          {"auto.offset.reset", "earliest"},
                          {"session.timeout.ms", "10000"},
                          {"heartbeat.interval.ms", "300"}};
        if (!instance.empty()) settings["group.instance.id"] = instance;
        client_ = open(RD_KAFKA_CONSUMER, settings, conf);
        rd_kafka_poll_set_consumer(client_);
        const List topics = new_list();
        rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
        check(rd_kafka_subscribe(client_, topics.get()), "subscribe");
        thread_ = std::thread([this] { poll(); });
    }
    ~Member() { close(); }
    Member(const Member&) = delete;

    void close() {
        if (!thread_.joinable()) return;
        running_ = false;
        thread_.join();
        rd_kafka_consumer_close(client_);
        rd_kafka_destroy(client_);
    }

    std::set<int> owned() const {
        const std::lock_guard lock(mutex_);
        return owned_;
    }

    int changes() const {
        const std::lock_guard lock(mutex_);
        return changes_;
    }

    /// What it read of a partition, once each, in the order of offsets.
    Values values(int partition) const {
        const std::lock_guard lock(mutex_);
        Values values;
        if (const auto at = records_.find(partition); at != records_.end())
            for (const auto& [offset, value] : at->second) values.push_back(value);
        return values;
    }

    void commit() { check(rd_kafka_commit(client_, nullptr, 0), "commit"); }

    std::int64_t committed(int partition) {
        const List list = new_list();
        rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition);
        check(rd_kafka_committed(client_, list.get(), 60'000), "committed");
        check(list->elems[0].err, "committed offset");
        return list->elems[0].offset;
    }

private:
    void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t why,
                      rd_kafka_topic_partition_list_t* list) {
        const bool assigned = why == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        rd_kafka_assign(client, assigned ? list : nullptr);
        const std::lock_guard lock(mutex_);
        ++changes_;
        owned_.clear();
        for (int i = 0; assigned && i < list->cnt; ++i) owned_.insert(list->elems[i].partition);
    }

    void poll() {
        while (running_) {
            rd_kafka_message_t* message = rd_kafka_consumer_poll(client_, 100);
            if (!message) continue;
            if (!message->err) {
                const std::lock_guard lock(mutex_);
                records_[message->partition][message->offset] = {
                    static_cast<char*>(message->payload), message->len};
            }
            rd_kafka_message_destroy(message);
        }
    }

    const std::string topic_;
    rd_kafka_t* client_ = nullptr;
    mutable std::mutex mutex_;
    std::set<int> owned_;
    int changes_ = 0;
    std::map<int, std::map<std::int64_t, std::string>> records_;
    std::atomic<bool> running_ = true;
    std::thread thread_;
};

Values numbered(int partition, int first, int count) {
    Values values;
    for (int i = first; i < first + count; ++i)
        values.push_back(std::to_string(partition) + "-" + std::to_string(i));
    return values;
}

/// An idempotent producer of numbered records, which may live through a kill.
class Numbers {
public:
    Numbers() {
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set_opaque(conf, this);
        rd_kafka_conf_set_dr_msg_cb(
            conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
                static_cast<Numbers*>(self)->failed_ += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
            });
        client_ = open(RD_KAFKA_PRODUCER,
                       {{"enable.idempotence", "true"}, {"message.timeout.ms", "120000"}}, conf);
    }
    ~Numbers() { rd_kafka_destroy(client_); }
    Numbers(const Numbers&) = delete;

    void send(const std::string& topic, int first, int count) {
        for (int partition = 0; partition < group_partitions; ++partition)
            for (const std::string& value : numbered(partition, first, count))
                check(rd_kafka_producev(
                          client_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                          RD_KAFKA_V_END),
                      "produce");
        check(rd_kafka_flush(client_, 120'000), "flush");
        if (failed_ != 0) fail(std::to_string(failed_) + " records were not delivered");
    }

private:
    rd_kafka_t* client_ = nullptr;
    int failed_ = 0;
};

void want(const Values& have, const Values& wanted, int partition, const std::string& what) {
    if (have != wanted)
        fail(what + ": partition " + std::to_string(partition) + ": " +
             std::to_string(have.size()) + " records, of which the last is " +
             (have.empty() ? "none" : have.back()) + ", where " + std::to_string(wanted.size()) +
             " up to " + wanted.back() + " are due");
}

bool has(const Member& member, std::size_t count) {
    for (int partition = 0; partition < group_partitions; ++partition)
        if (member.values(partition).size() < count) return false;
    return true;
}

}  // namespace

void group(const std::string& topic) {
    const auto share = [](const Member& member, const Member& other) {
        const std::set<int> mine = member.owned(), others = other.owned();
        std::set<int> all = mine;
        all.insert(others.begin(), others.end());
        return mine.size() == 2 && others.size() == 2 && all.size() == group_partitions;
    };
    Numbers numbers;
    numbers.send(topic, 0, 50);
    Member first("pair-" + topic, topic, "static-1");
    until("member that owns all", [&] { return first.owned().size() == group_partitions; });
    Member second("pair-" + topic, topic, "");
    until("split in halves", [&] { return share(first, second); });
    numbers.send(topic, 50, 50);
    const std::set<int> before = first.owned();
    for (int partition = 0; partition < group_partitions; ++partition) {
        const Member& owner = before.contains(partition) ? first : second;
        const std::string last = std::to_string(partition) + "-99";
        until("end of reading", [&] {
            const Values values = owner.values(partition);
            return !values.empty() && values.back() == last;
        });
        const Values values = owner.values(partition);
        if (values.size() < 50) fail("the owner did not read what came after the split");
        want({values.end() - 50, values.end()}, numbered(partition, 50, 50), partition,
             "after the split");
    }
    first.commit();
    second.commit();
    const int changes = second.changes();
    first.close();
    Member again("pair-" + topic, topic, "static-1");
    until("return of the static member", [&] { return share(again, second); });
    if (again.owned() != before) fail("the static member came back to other partitions");
    if (second.changes() != changes) fail("the other member saw the static one come back");
    second.close();
    until("inheritance of the one that left",
          [&] { return again.owned().size() == group_partitions; });
    for (int partition = 0; partition < group_partitions; ++partition)
        if (!again.values(partition).empty())
            fail("the static member read again what was committed");
}

void resume(const std::string& topic) {
    Numbers numbers;
    numbers.send(topic, 0, 40);
    Member living("resume-" + topic, topic, "");
    until("first reading", [&] { return has(living, 40); });
    living.commit();
    ask_for_kill();
    await_kill();
    numbers.send(topic, 40, 40);
    until("reading after the kill", [&] { return has(living, 80); });
    for (int partition = 0; partition < group_partitions; ++partition) {
        want(living.values(partition), numbered(partition, 0, 80), partition,
             "the member that lived on");
        if (const std::int64_t committed = living.committed(partition); committed != 40)
            fail("40 was committed, after the kill it is " + std::to_string(committed));
    }
    living.close();
    Member fresh("resume-" + topic, topic, "");
    until("reading of a new member", [&] { return has(fresh, 40); });
    for (int partition = 0; partition < group_partitions; ++partition)
        want(fresh.values(partition), numbered(partition, 40, 40), partition, "a new member");
    fresh.commit();
}

}  // namespace rdkafka_client
