#include <doctest/doctest.h>

#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

namespace {

struct Fixture : Deliveries {
    std::vector<Accumulator::Slot> slots{2};
    std::vector<Accumulator::Buffer> small{2}, large{2};
    Bytes small_memory = Bytes(2 * 128), large_memory = Bytes(2 * 512);
    Accumulator accumulator;
    std::vector<DeliveryReport> reports;
    Instant now = instant_ms(1000);

    explicit Fixture(milliseconds linger = milliseconds{10})
        : accumulator(slots, {.linger = linger, .batch_bytes = 512}, this) {
        accumulator.add_buffers(small, small_memory);
        accumulator.add_buffers(large, large_memory);
    }
    void delivered(const DeliveryReport& report) override { reports.push_back(report); }
    Result<std::uint64_t> append(std::size_t bytes, std::uint16_t slot = 0) {
        const std::string value(bytes, 'v');
        return accumulator.append(slot, now, {.timestamp = 7, .value = bytes_of(value)});
    }
    SourceBatch take(std::uint16_t slot = 0) {
        SourceBatch batch;
        REQUIRE(accumulator.peek(slot, now, batch) == Peek::batch);
        accumulator.take(slot, batch.ticket);
        return batch;
    }
};

}  // namespace

TEST_CASE("accumulator: a batch is pending while it lingers and ready exactly at its end") {
    Fixture f;
    SourceBatch batch;
    CHECK(f.accumulator.peek(0, f.now, batch) == Peek::empty);
    CHECK(f.accumulator.deadline() == never);
    REQUIRE(f.append(5));
    CHECK(f.accumulator.deadline() == f.now + milliseconds{10});
    CHECK(f.accumulator.peek(0, f.now + milliseconds{9}, batch) == Peek::pending);
    CHECK(f.accumulator.peek(0, f.now + milliseconds{10}, batch) == Peek::batch);
    CHECK(batch.record_count == 1);
    CHECK(batch.created == f.now);
}

TEST_CASE("accumulator: a full batch and a flush do not wait for the linger") {
    Fixture f(milliseconds{100'000});
    SourceBatch batch;
    REQUIRE(f.append(70));
    CHECK(f.accumulator.peek(0, f.now, batch) == Peek::pending);
    REQUIRE(f.append(70));  // does not fit the small buffer any more
    CHECK(f.take().record_count == 1);
    CHECK(f.accumulator.peek(0, f.now, batch) == Peek::pending);
    f.accumulator.flush(f.now);
    CHECK(f.take().record_count == 1);
    CHECK(f.accumulator.deadline() == never);
}

TEST_CASE("accumulator: with linger 0 records gather while nobody takes them") {
    Fixture f(milliseconds{0});
    for (int i = 0; i < 4; ++i) REQUIRE(f.append(3));
    CHECK(f.take().record_count == 4);
}

TEST_CASE(
    "accumulator: the buffer that fits is taken, the next larger if it is gone; then full; too "
    "large at once") {
    Fixture f(milliseconds{0});
    CHECK(f.append(600).error() == Error::too_large);
    REQUIRE(f.append(300));
    CHECK(f.accumulator.free_buffers() == 3);
    REQUIRE(f.append(300, 1));
    CHECK(f.append(300).error() == Error::full);
    REQUIRE(f.append(10));
    CHECK(f.append(300).error() == Error::full);
    REQUIRE(f.append(10));
    CHECK(f.accumulator.free_buffers() == 0);
    CHECK(f.append(200, 1).error() == Error::full);
    const SourceBatch batch = f.take();
    f.accumulator.settle(0, batch.ticket, {ErrorCode::none, 41, -1});
    CHECK(static_cast<bool>(f.append(300)));
}

TEST_CASE("accumulator: reports name the records by their number in the slot, in order") {
    Fixture f(milliseconds{0});
    for (int i = 0; i < 3; ++i) CHECK(*f.append(3) == static_cast<std::uint64_t>(i));
    const SourceBatch first = f.take();
    CHECK(*f.append(3) == 3);
    const SourceBatch second = f.take();
    CHECK(!f.accumulator.is_drained());
    f.accumulator.settle(0, first.ticket, {ErrorCode::none, 100, 55});
    f.accumulator.settle(0, second.ticket, {ErrorCode::message_too_large, -1, -1});
    REQUIRE(f.reports.size() == 2);
    CHECK(f.reports[0].first_record == 0);
    CHECK(f.reports[0].record_count == 3);
    CHECK(f.reports[0].base_offset == 100);
    CHECK(f.reports[0].log_append_time == 55);
    CHECK(f.reports[1].first_record == 3);
    CHECK(f.reports[1].error == ErrorCode::message_too_large);
    CHECK(f.accumulator.is_drained());
    CHECK(f.accumulator.free_buffers() == 4);
}

TEST_CASE("accumulator: a compressor that helps is used, one that does not is not") {
    struct Halver final : BatchCompressor {
        Codec codec() const override { return Codec::lz4; }
        Result<std::size_t> compress(ByteView records, MutableBytes out) override {
            std::fill(out.begin(), out.begin() + 5, std::uint8_t{0xCC});
            return records.size() > 50 ? std::size_t{5} : records.size();
        }
    } halver;
    std::vector<Accumulator::Slot> slots(1);
    std::vector<Accumulator::Buffer> buffers(2);
    Bytes memory(1024), room(512);
    Accumulator accumulator(slots, {.linger = milliseconds{0}, .batch_bytes = 512}, nullptr,
                            &halver, room);
    accumulator.add_buffers(buffers, memory);
    SourceBatch batch;
    for (std::size_t size : {100u, 3u}) {
        REQUIRE(accumulator.append(0, instant_ms(1),
                                   {.timestamp = 1, .value = bytes_of(std::string(size, 'v'))}));
        REQUIRE(accumulator.peek(0, instant_ms(1), batch) == Peek::batch);
        CHECK(batch.attributes == (size == 100 ? 3 : 0));
        if (size == 100) CHECK(equal(batch.records, Bytes(5, 0xCC)));
        accumulator.take(0, batch.ticket);
    }
}

TEST_CASE("accumulator: a record of many headers fits where its bytes do") {
    if constexpr (!profile.record_headers) return;
    Fixture f(milliseconds{0});
    const std::vector<wire::RecordHeader> headers(100, {"k", bytes_of("v")});
    const wire::RecordInput record{.timestamp = 7, .headers = headers};
    REQUIRE(wire::BatchBuilder().size_of(record) < 420);  // of the 512 of the longest buffer
    CHECK(f.accumulator.append(0, f.now, record));
    CHECK(f.take().record_count == 1);
}
