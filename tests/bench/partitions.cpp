// Whether many partitions cost more than few: `partitions_bench [BATCH_BYTES]`. Two gateways in
// process, one with 10 partitions and one with 10,000, take the same Produce requests in turns:
// batches of one size, to partitions in any order, on devices in memory that finish at once. Prints
// the ratio of what they take, pair by pair, by the processor's time (so that a busy machine tells
// the same), and what each writes to its device; the aim is 0.9. For a profiler, one gateway alone:
// `partitions_bench PARTITIONS BATCH_BYTES`.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>

#include "broker/node/node.hpp"
#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/codec.hpp"
#include "sdk/wire/header.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/sim_storage.hpp"

using namespace leat;

namespace {

constexpr std::uint64_t log_bytes = 768 * MiB;
/// What small batches leave of their pages, too, stays well within the log.
constexpr std::uint64_t slice_bytes(std::size_t batch) { return (batch < 1'000 ? 3 : 24) * MiB; }
constexpr int slices = 15;
constexpr std::int32_t few = 10, many = 10'000;

/// Nothing here ever waits, so this is what it takes on a machine that does nothing else.
double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "partitions_bench: %s\n", what);
    std::exit(1);
}

class Memory final : public port::Storage {
public:
    explicit Memory(std::uint64_t size) : bytes_(size) {}
    port::StorageGeometry geometry() const override {
        port::StorageGeometry geometry;
        geometry.size = bytes_.size();
        return geometry;
    }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        std::memcpy(bytes_.data() + at, bytes.data(), bytes.size());
        written += bytes.size();
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        std::memcpy(into.data(), bytes_.data() + at, into.size());
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t) override {
        done_.push_back({ticket, ok()});  // it was never written
        return ok();
    }
    Status start_shrink(std::uint64_t, std::uint64_t) override { return fail(Error::invalid); }
    std::optional<port::StorageDone> poll_done() override {
        if (done_.empty()) return std::nullopt;
        const port::StorageDone first = done_.front();
        done_.pop_front();
        return first;
    }
    void wait_done() override {}
    std::uint64_t written = 0;

private:
    std::vector<std::uint8_t> bytes_;
    std::deque<port::StorageDone> done_;
};

template <class M>
std::vector<std::uint8_t> frame_of(const M& request, std::int16_t version) {
    const wire::RequestHeader header{.api_key = M::api_key,
                                     .api_version = version,
                                     .correlation_id = 7,
                                     .client_id = "b"};
    std::vector<std::uint8_t> bytes(4 + wire::request_header_size(header) +
                                    wire::encoded_size(request, version));
    const auto head = wire::encode_request_header(header, MutableBytes(bytes).subspan(4));
    if (!head || !wire::encode(request, version, MutableBytes(bytes).subspan(4 + *head)))
        stop("a request cannot be encoded");
    store_big(bytes.data(), static_cast<std::int32_t>(bytes.size() - 4));
    return bytes;
}

std::vector<std::uint8_t> metadata_frame() {
    wire::MetadataRequest::MetadataRequestTopic topic;
    topic.name = "t";
    wire::MetadataRequest request;
    request.topics = std::span(&topic, 1);
    request.allow_auto_topic_creation = true;
    return frame_of(request, 9);
}

/// A Produce request with one batch, and where its partition stands.
struct Request {
    std::vector<std::uint8_t> bytes;
    std::size_t partition_at = 0;
    std::size_t batch_bytes = 0;

    explicit Request(std::size_t batch_size) {
        const auto batch = test::make_batch({.records = 10, .value_bytes = batch_size / 10 - 10});
        batch_bytes = batch.size();
        constexpr std::int32_t mark = 0x7A6B5C4D;
        wire::ProduceRequest::PartitionProduceData data;
        data.index = mark;
        data.records = ByteView(batch);
        wire::ProduceRequest::TopicProduceData topic;
        topic.name = "t";
        topic.partition_data = std::span(&data, 1);
        wire::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 1000;
        request.topic_data = std::span(&topic, 1);
        bytes = frame_of(request, 9);
        std::uint8_t sought[4];
        store_big(sought, mark);
        partition_at = static_cast<std::size_t>(
            std::search(bytes.begin(), bytes.end(), sought, sought + 4) - bytes.begin());
    }
};

class Gateway {
public:
    explicit Gateway(std::int32_t partitions) : partitions_(partitions), device_(log_bytes) {
        config_.commit_interval = milliseconds(0);
        config_.num_partitions = partitions;
        config_.auto_create_topics = true;
        node_ = node::make_node(config_, {device_, entropy_, nullptr});
        if (!node_->start(now(), wall())) stop(node_->start_error_text().c_str());
        session_ = *node_->open_session(now(), "127.0.0.1:1");
        const auto metadata = metadata_frame();  // makes the topic
        if (!pass_on(metadata)) stop("a request is not taken");
        while (answered_ == 0) settle();
    }
    /// Bytes of batches per second of the processor.
    double take(Request& request, std::uint64_t bytes) {
        const double begin = cpu_seconds();
        const std::uint64_t count = bytes / request.batch_bytes;
        std::uint64_t sent = 0;
        answered_ = 0;
        const std::uint64_t before = device_.written;
        for (std::uint64_t turns = 0; answered_ < count; ++turns) {
            if (turns > 100 * count + 1'000'000) stop("requests are not answered");
            while (sent < count && sent - answered_ < 5 && send(request)) ++sent;
            settle();
        }
        if (device_.written - before < bytes) stop("batches are refused");
        taken_ += bytes;
        written_ += device_.written - before;
        return static_cast<double>(bytes) / (cpu_seconds() - begin);
    }
    double device_bytes_per_byte() const {
        return static_cast<double>(written_) / static_cast<double>(taken_);
    }

private:
    static Instant now() {
        return Instant(std::chrono::duration_cast<milliseconds>(
            std::chrono::steady_clock::now().time_since_epoch()));
    }
    static WallTime wall() { return wall_ms(1'800'000'000'000); }
    bool send(Request& request) {
        if (at_ == 0)
            store_big(request.bytes.data() + request.partition_at,
                      static_cast<std::int32_t>(random_.below(
                          static_cast<std::uint64_t>(partitions_))));
        return pass_on(request.bytes);
    }
    bool pass_on(ByteView bytes) {
        while (at_ < bytes.size()) {
            const MutableBytes window = node_->receive_window(now(), session_);
            if (window.empty()) return false;
            const std::size_t part = std::min(window.size(), bytes.size() - at_);
            std::memcpy(window.data(), bytes.data() + at_, part);
            at_ += part;
            node_->received(now(), wall(), session_, part);
        }
        at_ = 0;
        return true;
    }
    void settle() {
        while (auto work = node_->poll_work()) {
            work->run();
            node_->work_done(now(), wall(), work->id);
        }
        node_->on_storage(now(), wall());
        if (node_->deadline() <= now()) node_->on_deadline(now(), wall());
        for (ByteView out = node_->poll_write(session_); !out.empty();
             out = node_->poll_write(session_)) {
            for (ByteView left = out; left.size() >= 4;
                 left = left.subspan(
                     4 + static_cast<std::size_t>(load_big<std::int32_t>(left.data()))))
                ++answered_;
            node_->sent(now(), session_, out.size());
        }
        while (node_->session_ready()) {
        }
        while (node_->poll_event()) {
        }
        if (node_->wants_close(session_)) stop("the connection is closed");
    }

    std::int32_t partitions_;
    config::Config config_;
    Memory device_;
    test::SimEntropy entropy_{7};
    test::SimRandom random_{3};
    std::unique_ptr<node::Node> node_;
    node::SessionId session_ = 0;
    std::size_t at_ = 0;
    std::uint64_t answered_ = 0;
    std::uint64_t taken_ = 0, written_ = 0;
};

/// For a profiler.
int one_alone(std::int32_t partitions, std::size_t batch) {
    Request request(batch);
    Gateway gateway(partitions);
    (void)gateway.take(request, slice_bytes(batch));
    double sum = 0;
    for (int i = 0; i < slices; ++i) sum += gateway.take(request, slice_bytes(batch));
    std::printf("%d partitions: %.0f requests/s, %.3f device bytes per byte\n", partitions,
                sum / slices / static_cast<double>(request.batch_bytes),
                gateway.device_bytes_per_byte());
    return 0;
}

}  // namespace

int main(int count, char** words) {
    ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);  // as leatd
    if (count == 3) return one_alone(std::atoi(words[1]), std::strtoull(words[2], nullptr, 10));
    std::vector<std::size_t> batches = {200, 1'000, 16'000, 100'000};
    if (count == 2) batches = {std::strtoull(words[1], nullptr, 10)};
    for (const std::size_t batch : batches) {
        Request request(batch);
        const std::uint64_t slice = slice_bytes(batch);
        Gateway small(few), large(many);
        (void)small.take(request, slice);  // all partitions were there once
        (void)large.take(request, slice);
        std::vector<double> ratios, rates;
        for (int i = 0; i < slices; ++i) {
            double a = 0, b = 0;
            if (i % 2 == 0) a = small.take(request, slice);
            b = large.take(request, slice);
            if (i % 2 != 0) a = small.take(request, slice);
            ratios.push_back(b / a);
            rates.push_back(a);
        }
        std::sort(ratios.begin(), ratios.end());
        std::sort(rates.begin(), rates.end());
        std::printf("batches of %6zu B: %7.0f requests/s with %d partitions, ", batch,
                    rates[slices / 2] / static_cast<double>(request.batch_bytes), few);
        std::printf("with %d x %.3f (%.3f to %.3f); device bytes per byte %.3f and %.3f\n", many,
                    ratios[slices / 2], ratios.front(), ratios.back(),
                    small.device_bytes_per_byte(), large.device_bytes_per_byte());
        std::fflush(stdout);
    }
}
