// The librdkafka side of the bench: the same program against leatd and against Kafka.
//
//   rdkafka_bench produce BOOTSTRAP TOPIC RECORDS BYTES CONNECTIONS   each connection has its own partition
//   rdkafka_bench consume BOOTSTRAP TOPIC RECORDS                     partition 0 from its start
//   rdkafka_bench latency BOOTSTRAP TOPIC SECONDS RATE                produced until read by a waiting consumer
//   rdkafka_bench trickle BOOTSTRAP TOPIC SECONDS CONNECTIONS         ten records a second on each connection
//   rdkafka_bench wear BOOTSTRAP TOPIC GROUPS SIZE TOPICS PACE_MS KEYS   each group acknowledged before the next one
//   rdkafka_bench count BOOTSTRAP TOPIC 0                             how many records partition 0 holds
//   rdkafka_bench create BOOTSTRAP TOPIC PARTITIONS [NAME=VALUE...]   a topic with settings
//   rdkafka_bench delete BOOTSTRAP TOPIC 0
//
// Prints one JSON object. acks=all everywhere.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Settings = std::map<std::string, std::string>;

std::string bootstrap, topic;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "rdkafka_bench: %s\n", text.c_str());
    std::exit(1);
}

struct Deliveries {
    std::atomic<long> good{0}, bad{0};
};

rd_kafka_t* open(rd_kafka_type_t type, Settings settings, Deliveries* deliveries = nullptr) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    settings["bootstrap.servers"] = bootstrap;
    char text[512];
    for (const auto& [name, value] : settings)
        if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) die(text);
    rd_kafka_conf_set_opaque(conf, deliveries);
    if (deliveries)
        rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
            auto* counts = static_cast<Deliveries*>(opaque);
            (message->err ? counts->bad : counts->good) += 1;
        });
    rd_kafka_t* client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client) die(text);
    return client;
}

/// Half of each value is noise, so that no broker wins by compressing what nobody asked it to compress.
std::vector<std::string> make_values(std::size_t bytes) {
    std::mt19937 random(1);
    std::vector<std::string> values(64, std::string(bytes, 's'));
    for (std::string& value : values)
        for (std::size_t i = 0; i < bytes / 2; ++i) value[i] = char(random());
    return values;
}

void send(rd_kafka_t* client, int partition, std::string_view value, std::string_view key = {}, const std::string& to = topic) {
    for (;;) {
        const auto error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(to.c_str()), RD_KAFKA_V_PARTITION(partition),
                                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                             RD_KAFKA_V_KEY(key.empty() ? nullptr : const_cast<char*>(key.data()), key.size()),
                                             RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_END);
        if (!error) return;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(error));
        rd_kafka_poll(client, 20);
    }
}

void know_topic(rd_kafka_t* client, rd_kafka_topic_t* handle) {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (const auto error = rd_kafka_metadata(client, 0, handle, &metadata, 10'000)) die(rd_kafka_err2str(error));
    rd_kafka_metadata_destroy(metadata);
}

/// Brings a client to where nothing but its work is left: connected, the topic's partitions known, one record delivered
/// to each that it will use. Not doing so measures librdkafka's timers: a topic that is first named after the connection
/// stands is looked up by a scan that runs once a second, so whoever answers the connection sooner waits longer.
void make_ready(rd_kafka_t* client, const std::vector<int>& partitions, Deliveries& deliveries) {
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    know_topic(client, handle);
    rd_kafka_topic_destroy(handle);
    const long before = deliveries.good;
    for (const int partition : partitions) send(client, partition, "ready");
    rd_kafka_flush(client, 10'000);
    if (deliveries.good - before != long(partitions.size())) die("the first records were not delivered");
}

int produce(long records, std::size_t bytes, int connections) {
    const auto values = make_values(bytes);
    Deliveries deliveries;
    std::vector<rd_kafka_t*> clients;
    for (int partition = 0; partition < connections; ++partition) {
        clients.push_back(open(RD_KAFKA_PRODUCER, {{"acks", "all"}, {"linger.ms", "5"}, {"batch.num.messages", "10000"},
                                                   {"queue.buffering.max.messages", "200000"}}, &deliveries));
        make_ready(clients.back(), {partition}, deliveries);
    }
    deliveries.good = 0;
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (int partition = 0; partition < connections; ++partition) {
        threads.emplace_back([&, partition] {
            rd_kafka_t* client = clients[std::size_t(partition)];
            for (long i = partition; i < records; i += connections) {
                send(client, partition, values[std::size_t(i) % values.size()]);
                if (i % 64 == 0) rd_kafka_poll(client, 0);
            }
            rd_kafka_flush(client, 120'000);
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double seconds = seconds_since(start);
    for (rd_kafka_t* client : clients) rd_kafka_destroy(client);
    if (deliveries.good != records) die(std::to_string(deliveries.good) + " of " + std::to_string(records) + " delivered");
    std::printf("{\"records\": %ld, \"seconds\": %.4f, \"records_per_s\": %.0f}\n", records, seconds, double(records) / seconds);
    return 0;
}

int consume(long records) {
    rd_kafka_t* client = open(RD_KAFKA_CONSUMER, {{"queued.max.messages.kbytes", "65536"}});
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
    know_topic(client, handle);
    const auto start = Clock::now();
    if (rd_kafka_consume_start_queue(handle, 0, RD_KAFKA_OFFSET_BEGINNING, queue)) die("consume_start");
    long seen = 0;
    std::vector<rd_kafka_message_t*> messages(1000);
    while (seen < records && seconds_since(start) < 120) {
        const auto count = rd_kafka_consume_batch_queue(queue, 1000, messages.data(), messages.size());
        for (ssize_t i = 0; i < count; ++i) {
            if (!messages[std::size_t(i)]->err) ++seen;
            rd_kafka_message_destroy(messages[std::size_t(i)]);
        }
    }
    const double seconds = seconds_since(start);
    if (seen < records) die(std::to_string(seen) + " of " + std::to_string(records) + " read");
    std::printf("{\"records\": %ld, \"seconds\": %.4f, \"records_per_s\": %.0f}\n", records, seconds, double(records) / seconds);
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return 0;
}

int latency(double seconds, double rate) {
    const auto now_ns = [] { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count(); };
    std::atomic<bool> sending{true}, reading{false};
    std::vector<double> latencies_ms;
    long sent = 0;
    std::thread reader([&] {
        rd_kafka_t* client = open(RD_KAFKA_CONSUMER, {{"fetch.wait.max.ms", "500"}, {"fetch.min.bytes", "1"}});
        rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
        know_topic(client, handle);
        if (rd_kafka_consume_start(handle, 0, RD_KAFKA_OFFSET_BEGINNING)) die("consume_start");
        while (rd_kafka_message_t* message = rd_kafka_consume(handle, 0, sending ? 10'000 : 1'000)) {
            reading = true;  // from here on it waits at the end of the partition
            if (!message->err && message->len >= 8) {
                std::int64_t stamp = 0;
                std::memcpy(&stamp, message->payload, 8);
                latencies_ms.push_back(double(now_ns() - stamp) / 1e6);
            }
            rd_kafka_message_destroy(message);
            if (!sending && long(latencies_ms.size()) >= sent) break;
        }
        rd_kafka_consume_stop(handle, 0);
        rd_kafka_topic_destroy(handle);
        rd_kafka_destroy(client);
    });
    Deliveries deliveries;
    rd_kafka_t* client = open(RD_KAFKA_PRODUCER, {{"acks", "all"}, {"linger.ms", "0"}}, &deliveries);
    make_ready(client, {0}, deliveries);  // too short to carry a stamp
    while (!reading) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::string value(200, 's');
    const auto start = Clock::now();
    while (seconds_since(start) < seconds) {
        const std::int64_t stamp = now_ns();
        std::memcpy(value.data(), &stamp, 8);
        send(client, 0, value);
        ++sent;
        rd_kafka_poll(client, 0);
        std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(
                                                  std::chrono::duration<double>(double(sent) / rate)));
    }
    rd_kafka_flush(client, 30'000);
    sending = false;
    reader.join();
    rd_kafka_destroy(client);
    if (latencies_ms.size() < std::size_t(sent)) die("only " + std::to_string(latencies_ms.size()) + " of " + std::to_string(sent) + " read");
    std::sort(latencies_ms.begin(), latencies_ms.end());
    const auto at = [&](double share) { return latencies_ms[std::size_t(double(latencies_ms.size() - 1) * share)]; };
    std::printf("{\"records\": %ld, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n", sent, at(0.5), at(0.99), at(1));
    return 0;
}

int trickle(double seconds, int connections) {
    Deliveries deliveries;
    std::vector<rd_kafka_t*> clients;
    for (int i = 0; i < connections; ++i)
        clients.push_back(open(RD_KAFKA_PRODUCER, {{"acks", "all"}, {"linger.ms", "5"}}, &deliveries));
    for (int i = 0; i < connections; ++i) make_ready(clients[std::size_t(i)], {i}, deliveries);
    deliveries.good = 0;
    const std::string value(200, 's');
    const auto start = Clock::now();
    long sent = 0;
    while (seconds_since(start) < seconds) {
        for (int i = 0; i < connections; ++i, ++sent) {
            send(clients[std::size_t(i)], i, value);
            rd_kafka_poll(clients[std::size_t(i)], 0);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    for (rd_kafka_t* client : clients) {
        rd_kafka_flush(client, 30'000);
        rd_kafka_destroy(client);
    }
    if (deliveries.good != sent) die(std::to_string(deliveries.good) + " of " + std::to_string(sent) + " delivered");
    std::printf("{\"records\": %ld}\n", sent);
    return 0;
}

/// What the wear bench asks for: groups of records that are durable before the next group begins. Record i of a group goes
/// to topic NAME-(i % topics); what goes to one topic is one batch. Says `ready` and begins when it is told to.
int wear(long groups, int size, int topics, long pace_ms, int keys) {
    const auto values = make_values(200);
    const int batch = size / topics;
    Deliveries deliveries;
    rd_kafka_t* client = open(RD_KAFKA_PRODUCER, {{"acks", "all"}, {"linger.ms", batch > 1 ? "50" : "0"},
                                                  {"batch.num.messages", std::to_string(batch)}}, &deliveries);
    std::vector<std::string> names;
    for (int i = 0; i < topics; ++i) names.push_back(topic + "-" + std::to_string(i));
    const auto acknowledged = [&](long expected) {
        rd_kafka_flush(client, 60'000);
        if (deliveries.good != expected) die(std::to_string(deliveries.good) + " of " + std::to_string(expected) + " delivered");
    };
    for (const std::string& name : names) send(client, 0, values[0], "ready", name);
    acknowledged(topics);
    std::printf("ready\n");
    std::fflush(stdout);
    if (std::getchar() == EOF) return 1;
    const auto start = Clock::now();
    long sent = topics;
    for (long group = 0; group < groups; ++group) {
        std::this_thread::sleep_until(start + std::chrono::milliseconds(group * pace_ms));
        for (int i = 0; i < size; ++i, ++sent) {
            const long number = group * size + i;
            const std::string key = keys > 0 ? "key-" + std::to_string(number % keys) : "";
            send(client, 0, values[std::size_t(number) % values.size()], key, names[std::size_t(i % topics)]);
        }
        acknowledged(sent);
    }
    std::printf("{\"records\": %ld, \"seconds\": %.3f}\n", sent - topics, seconds_since(start));
    rd_kafka_destroy(client);
    return 0;
}

int count() {
    rd_kafka_t* client = open(RD_KAFKA_CONSUMER, {{"enable.partition.eof", "true"}});
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    if (rd_kafka_consume_start(handle, 0, RD_KAFKA_OFFSET_BEGINNING)) die("consume_start");
    long seen = 0;
    for (bool end = false; !end;) {
        rd_kafka_message_t* message = rd_kafka_consume(handle, 0, 30'000);
        if (!message) die("the end of the partition was not reached");
        end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!message->err) ++seen;
        rd_kafka_message_destroy(message);
    }
    std::printf("{\"records\": %ld}\n", seen);
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
    return 0;
}

/// Creates the topic with so many partitions, or deletes it (0); waits until the broker has done so.
int change_topic(int partitions, const std::vector<std::string>& settings) {
    rd_kafka_t* client = open(RD_KAFKA_PRODUCER, {});
    rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_ANY);
    char text[512];
    if (rd_kafka_AdminOptions_set_operation_timeout(options, 20'000, text, sizeof text)) die(text);
    if (partitions > 0) {
        rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, text, sizeof text);
        if (!wanted) die(text);
        for (const std::string& setting : settings)
            if (const auto at = setting.find('='); at != std::string::npos)
                rd_kafka_NewTopic_set_config(wanted, setting.substr(0, at).c_str(), setting.substr(at + 1).c_str());
        rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
        rd_kafka_NewTopic_destroy(wanted);
    } else {
        rd_kafka_DeleteTopic_t* unwanted = rd_kafka_DeleteTopic_new(topic.c_str());
        rd_kafka_DeleteTopics(client, &unwanted, 1, options, queue);
        rd_kafka_DeleteTopic_destroy(unwanted);
    }
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 30'000);
    if (!event) die("no answer to the change of a topic");
    if (rd_kafka_event_error(event)) die(rd_kafka_event_error_string(event));
    std::size_t count = 0;
    const rd_kafka_topic_result_t** results =
        partitions > 0 ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
                       : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    for (std::size_t i = 0; i < count; ++i)
        if (const auto error = rd_kafka_topic_result_error(results[i])) die(rd_kafka_err2str(error));
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    std::printf("{}\n");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: see the head of rdkafka_bench.cpp\n");
        return 2;
    }
    const std::string verb = argv[1];
    bootstrap = argv[2];
    topic = argv[3];
    const auto number = [&](int i) { return i < argc ? std::atol(argv[i]) : 1; };
    if (verb == "produce") return produce(number(4), std::size_t(number(5)), int(number(6)));
    if (verb == "consume") return consume(number(4));
    if (verb == "latency") return latency(double(number(4)), double(number(5)));
    if (verb == "create" || verb == "delete") return change_topic(int(number(4)), {argv + 5, argv + argc});
    if (verb == "wear") return wear(number(4), int(number(5)), int(number(6)), number(7), int(number(8)));
    if (verb == "count") return count();
    if (verb == "trickle") return trickle(double(number(4)), int(number(5)));
    return 2;
}
