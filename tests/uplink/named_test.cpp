// An upstream that names the records for which it refuses a batch (KIP-467): one device's wrong
// clock must not cost the records of its neighbours.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

using Mapping = config::Route::Mapping;

/// Refuses the records that have one of these numbers.
void refuse(Rig& rig, std::set<int> numbers) {
    rig.upstream.bad_records = [numbers = std::move(numbers)](const Stored& batch) {
        std::vector<std::int32_t> places;
        const std::vector<Plain> records = records_of(batch);
        for (std::size_t i = 0; i < records.size(); ++i)
            if (numbers.contains(std::stoi(records[i].value.substr(1))))
                places.push_back(static_cast<std::int32_t>(i));
        return places;
    };
}

std::vector<std::string> all_but(int count, const std::set<int>& missing) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i)
        if (!missing.contains(i)) all.push_back("v" + std::to_string(i));
    return all;
}

std::set<int> entered(Rig& rig) {
    std::set<int> all;
    for (const auto& loss : rig.log.losses[rig.stream("t")])
        for (log::Offset at = loss.from; at < loss.to; ++at)
            CHECK(all.insert(static_cast<int>(at)).second);  // none twice
    return all;
}

Rig& prepare(Rig& rig, Mapping mapping, bool skips) {
    rig.config.routes[0].mapping = mapping;
    if (skips) rig.config.routes[0].on_poison = config::Route::OnPoison::skip;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    return rig;
}

}  // namespace

TEST_CASE("named: of a batch only the records that the upstream names are left out") {
    const std::set<int> bad = {3, 4, 9, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 41};
    for (const Mapping mapping : {Mapping::same_partition, Mapping::pinned, Mapping::by_key})
        for (const Codec codec : {Codec::none, Codec::zstd})
            for (const int variant : {0, 1, 2}) {
                Rig rig;
                INFO("mapping=" << static_cast<int>(mapping) << " codec=" << static_cast<int>(codec)
                                << " variant=" << variant);
                prepare(rig, mapping, true);
                rig.config.routes[0].headers = variant == 1;
                rig.config.routes[0].merge_bytes = variant == 2 ? 100'000 : 0;
                refuse(rig, bad);
                for (int i = 0; i < 6; ++i)
                    rig.append("t", {.count = 10, .first = i * 10, .codec = codec});
                rig.start();
                rig.pass(1'000);  // no back-off
                CHECK(rig.values("t") == all_but(60, bad));
                CHECK(entered(rig) == bad);
                CHECK(rig.status().skipped_records == bad.size());
                CHECK(rig.status().delivered_records == 60 - bad.size());
                CHECK(rig.status().refused_batches <= 10);
                CHECK(rig.status().stalled == 0);
                CHECK(rig.status().backlog_records == 0);
                CHECK(rig.status().in_flight_bytes == 0);
                CHECK(rig.was_told("records of t-0 from offset 3 on will not go upstream"));
                CHECK(rig.log.stream(rig.stream("t"))->release == 60);
                for (const Plain& record : rig.arrived("t"))
                    CHECK(record.timestamp == 1'700'000'000'000 +
                                                  std::stoi(record.value.substr(1)) % 10);
            }
}

TEST_CASE("named: a route that stalls says which record it is") {
    Rig rig;
    prepare(rig, Mapping::same_partition, false);
    refuse(rig, {14, 16});
    rig.append("t", {.count = 10});
    rig.append("t", {.count = 10, .first = 10});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 10));
    CHECK(rig.status().stalled == 1);
    CHECK(rig.status().last_error.find("The first such record is offset 14 of t-0") !=
          std::string::npos);
    CHECK(entered(rig).empty());
    rig.upstream.bad_records = nullptr;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 20));
}

TEST_CASE("named: an upstream that names none says at which offset the batch begins") {
    Rig rig;
    prepare(rig, Mapping::same_partition, false);
    rig.upstream.names_records = false;
    refuse(rig, {14});
    rig.append("t", {.count = 10});
    rig.append("t", {.count = 10, .first = 10});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.status().last_error.find("It begins at offset 10 of t-0") != std::string::npos);
}

TEST_CASE("named: killed and cut at any step, good records arrive, and bad ones are in the books") {
    const std::set<int> bad = {2, 13, 14, 31};
    for (int step = 0; step < 60; ++step)
        for (const bool loses_answer : {false, true}) {
            Rig rig;
            INFO("step=" << step << " loses_answer=" << loses_answer);
            prepare(rig, Mapping::same_partition, true);
            rig.config.cursor_interval = milliseconds{60'000};  // only what is written at once
            refuse(rig, bad);
            rig.cut_at_step = step;
            rig.cut_loses_answer = loses_answer;
            rig.start();
            for (int life = 0; life < 3; ++life) {
                for (int i = 0; i < 3; ++i)
                    rig.append("t", {.count = 5, .first = life * 15 + i * 5});
                rig.hold_answers = life == 1;
                rig.run();
                if (step % 2 == 0) rig.pass(5'000);
                rig.kill();
                rig.hold_answers = false;
                rig.start();
                rig.pass(step % 3 == 0 ? 0 : 5'000);
            }
            rig.pass(60'000);
            CHECK(first_arrivals(rig.values("t")) == all_but(45, bad));
            std::set<int> books;  // a loss that is told twice is better than one that is not
            for (const auto& loss : rig.log.losses[rig.stream("t")])
                for (log::Offset at = loss.from; at < loss.to; ++at)
                    books.insert(static_cast<int>(at));
            CHECK(books == bad);
            CHECK(rig.status().stalled == 0);
            CHECK(rig.status().backlog_records == 0);
        }
}
