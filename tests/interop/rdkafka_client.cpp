// The steps of the interoperability matrix, through librdkafka's C interface; talks to lane.py's
// `converse`.
//
//   rdkafka_client BOOTSTRAP
//   rdkafka_client BOOTSTRAP TOPIC    sends the lines of its input, idempotently, however long it takes
#include "tests/interop/rdkafka_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace rdkafka_client {
namespace {

struct Record {
    std::string key, value;
    bool operator==(const Record&) const = default;
};
using Records = std::vector<Record>;

std::string bootstrap;
std::map<std::string, Records> wrote;

/// `count` records with binary keys and values of 0 to 2,000 bytes.
Records make_records(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    Records records;
    for (std::size_t i = 0; i < count; ++i) {
        Record record{std::string("key\0", 4) + std::to_string(i % 13), std::to_string(i) + "|"};
        const std::size_t size = random() % 5 ? random() % 100 : random() % 2000;
        for (std::size_t n = 0; n < size; ++n) record.value += char(i % 2 ? random() : n / 7);
        records.push_back(record);
    }
    return records;
}

}  // namespace

void fail(const std::string& text) { throw std::runtime_error(text); }

rd_kafka_t* open(rd_kafka_type_t type, Settings settings, rd_kafka_conf_t* conf) {
    settings["bootstrap.servers"] = bootstrap;
    settings["reconnect.backoff.max.ms"] = "500";
    char text[512];
    for (const auto& [name, value] : settings)
        if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) !=
            RD_KAFKA_CONF_OK)
            fail(text);
    rd_kafka_t* client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client) fail(text);
    return client;
}

void ask_for_kill() {
    std::printf("kill\n");
    std::fflush(stdout);
}

void await_kill() {
    std::string line;
    if (!std::getline(std::cin, line) || line != "killed") fail("the broker was not killed");
}

namespace {

class Producer {
public:
    explicit Producer(Settings settings) {
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set_opaque(conf, this);
        rd_kafka_conf_set_dr_msg_cb(conf,
                                    [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
                                        static_cast<Producer*>(self)->on_delivery(*message);
                                    });
        settings.emplace("acks", "all");
        settings.emplace("message.timeout.ms", "120000");
        client_ = open(RD_KAFKA_PRODUCER, settings, conf);
    }
    ~Producer() { rd_kafka_destroy(client_); }
    Producer(const Producer&) = delete;

    /// Sends `records` to partition 0 and waits for each delivery report. `at_half` runs with a
    /// quarter of them acknowledged and others in flight.
    void send(const std::string& topic, const Records& records,
              const std::function<void()>& at_half = {}) {
        delivered_ = failed_ = 0;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const Record& record = records[i];
            const auto error = rd_kafka_producev(
                client_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(0),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
                RD_KAFKA_V_KEY(record.key.data(), record.key.size()),
                RD_KAFKA_V_HEADER("n", "1", 1), RD_KAFKA_V_END);
            if (error) fail(std::string("produce: ") + rd_kafka_err2str(error));
            rd_kafka_poll(client_, 0);
            if (at_half && i == records.size() / 2) {
                while (delivered_ < records.size() / 4 && !failed_) rd_kafka_poll(client_, 10);
                at_half();
            }
        }
        rd_kafka_flush(client_, 120'000);
        if (delivered_ != records.size())
            fail(std::to_string(delivered_) + " of " + std::to_string(records.size()) +
                 " delivered, " + std::to_string(failed_) + " failed: " + last_error_);
        Records& all = wrote[topic];
        all.insert(all.end(), records.begin(), records.end());
    }

private:
    void on_delivery(const rd_kafka_message_t& message) {
        if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ++delivered_;
        } else {
            ++failed_;
            last_error_ = rd_kafka_err2str(message.err);
        }
    }

    rd_kafka_t* client_ = nullptr;
    std::size_t delivered_ = 0, failed_ = 0;
    std::string last_error_;
};

/// Reads partition 0 of `topic` from its start to its end with the simple consumer; offsets must
/// have no gap.
Records read(const std::string& topic) {
    rd_kafka_t* client = open(RD_KAFKA_CONSUMER, {{"enable.partition.eof", "true"}});
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    if (rd_kafka_consume_start(handle, 0, RD_KAFKA_OFFSET_BEGINNING) != 0) fail("consume_start");
    Records records;
    std::string problem = "no end of " + topic + " in 60 s";
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < end) {
        rd_kafka_message_t* message = rd_kafka_consume(handle, 0, 1000);
        if (!message) continue;
        const auto error = message->err;
        if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) problem.clear();
        if (!error && message->offset != std::int64_t(records.size()))
            problem = "a gap before " + std::to_string(message->offset);
        if (!error)
            records.push_back({{static_cast<char*>(message->key), message->key_len},
                               {static_cast<char*>(message->payload), message->len}});
        rd_kafka_message_destroy(message);
        if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF || problem.starts_with("a gap")) break;
    }
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
    if (!problem.empty()) fail(problem);
    return records;
}

void check(const std::string& topic) {
    const Records have = read(topic);
    const Records& want = wrote[topic];
    if (have != want) {
        const auto pair = std::mismatch(want.begin(), want.end(), have.begin(), have.end());
        fail(topic + ": " + std::to_string(want.size()) + " records wanted, " +
             std::to_string(have.size()) + " read, first difference at " +
             std::to_string(pair.first - want.begin()));
    }
}

void create_topics(const std::map<std::string, int>& names) {
    rd_kafka_t* client = open(RD_KAFKA_PRODUCER, {});
    char text[256];
    std::vector<rd_kafka_NewTopic_t*> topics;
    for (const auto& [name, partitions] : names)
        topics.push_back(rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text, sizeof text));
    rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t* options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_operation_timeout(options, 20'000, text, sizeof text);
    rd_kafka_CreateTopics(client, topics.data(), topics.size(), options, queue);
    std::string problem;
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 30'000);
    if (!event) {
        problem = "no answer in 30 s";
    } else if (rd_kafka_event_error(event)) {
        problem = rd_kafka_event_error_string(event);
    } else {
        std::size_t count = 0;
        const auto** results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        if (count != names.size()) problem = std::to_string(count) + " results";
        for (std::size_t i = 0; i < count; ++i)
            if (rd_kafka_topic_result_error(results[i]))
                problem = std::string(rd_kafka_topic_result_name(results[i])) + ": " +
                          rd_kafka_err2str(rd_kafka_topic_result_error(results[i]));
    }
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy_array(topics.data(), topics.size());
    rd_kafka_destroy(client);
    if (!problem.empty()) fail(problem);
}

void step(const char* name, const std::function<void()>& action) {
    try {
        action();
        std::printf("step %s ok\n", name);
    } catch (const std::exception& error) {
        std::printf("step %s %s\n", name, error.what());
    }
    std::fflush(stdout);
}

/// With batches and a request timeout that are small: a full log is met by many requests.
int send_lines(const char* topic) {
    Records records;
    for (std::string line; std::getline(std::cin, line);) records.push_back({"", line});
    try {
        Producer(Settings{{"enable.idempotence", "true"},
                          {"batch.num.messages", "7"},
                          {"request.timeout.ms", "5000"}})
            .send(topic, records);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace rdkafka_client

int main(int argc, char** argv) {
    using namespace rdkafka_client;
    if (argc != 2 && argc != 3) {
        std::fprintf(stderr, "usage: rdkafka_client BOOTSTRAP [TOPIC]\n");
        return 2;
    }
    bootstrap = argv[1];
    if (argc == 3) return send_lines(argv[2]);
    std::printf("librdkafka %s\n", rd_kafka_version_str());
    const std::vector<std::string> codecs = {"none", "gzip", "snappy", "lz4", "zstd"};
    step("topic", [&] {
        std::map<std::string, int> names = {{"rd-idempotent", 1}, {"rd-killed", 1}};
        names["rd-group"] = names["rd-resume"] = group_partitions;
        for (const std::string& codec : codecs) names["rd-" + codec] = 1;
        create_topics(names);
    });
    unsigned seed = 0;
    Producer kept(Settings{{"compression.codec", "zstd"}});
    for (const std::string& codec : codecs) {
        step(codec.c_str(), [&] {
            Producer own(Settings{{"compression.codec", codec}});
            (codec == "zstd" ? kept : own).send("rd-" + codec, make_records(++seed, 500));
        });
    }
    step("idempotent", [&] {
        Producer(Settings{{"enable.idempotence", "true"}, {"batch.num.messages", "50"}})
            .send("rd-idempotent", make_records(90, 2000));
        check("rd-idempotent");
    });
    step("read-back", [&] {
        for (const auto& [topic, records] : wrote) check(topic);
    });
    step("group", [] { group("rd-group"); });
    step("sigkill", [&] {
        Producer producer(Settings{
            {"enable.idempotence", "true"}, {"batch.num.messages", "25"}, {"linger.ms", "1"}});
        producer.send("rd-killed", make_records(91, 5000), ask_for_kill);
        await_kill();
        check("rd-killed");
    });
    step("resume", [] { resume("rd-resume"); });
    step("go-on", [&] {
        kept.send("rd-zstd", make_records(92, 300));  // a client that lived through the kill
        Producer(Settings{{"compression.codec", "gzip"}}).send("rd-gzip", make_records(93, 300));
        for (const auto& [topic, records] : wrote) check(topic);
    });
    return 0;
}
