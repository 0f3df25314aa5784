#include "broker/log_tool.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

#include "broker/config/text.hpp"
#include "broker/log/facts.hpp"
#include "broker/log/inspect.hpp"
#include "sdk/host/file_image.hpp"

namespace leat {
namespace {

using log::Damage;
using log::FrameType;
using log::Inspection;

constexpr int exit_whole = 0, exit_damage = 1, exit_usage = 2, exit_no_log = 3;
constexpr int tries_max = 3;  // beside a running broker the newest checkpoint may move on meanwhile

std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
    return out + "\"";
}

std::string hex(ByteView bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

const char* name_of(FrameType type) {
    switch (type) {
        case FrameType::padding:
            return "padding";
        case FrameType::append:
            return "append";
        case FrameType::moved:
            return "moved";
        case FrameType::more:
            return "more";
        case FrameType::fact:
            return "fact";
        case FrameType::fact_erased:
            return "fact_erased";
        case FrameType::log_start:
            return "log_start";
        case FrameType::log_end:
            return "log_end";
        case FrameType::dropped:
            return "dropped";
        case FrameType::loss:
            return "loss";
        case FrameType::footer_summary:
            return "footer_summary";
        case FrameType::footer_stream:
            return "footer_stream";
        case FrameType::footer_producer:
            return "producer";
        case FrameType::checkpoint_begin:
            return "checkpoint_begin";
        case FrameType::checkpoint_stream:
            return "checkpoint_stream";
        case FrameType::checkpoint_segments:
            return "checkpoint_segments";
        case FrameType::checkpoint_end:
            return "checkpoint_end";
        case FrameType::checkpoint_parity:
            return "checkpoint_parity";
    }
    return "unknown";
}

const char* name_of(log::CommitKind kind) {
    switch (kind) {
        case log::CommitKind::data:
            return "data";
        case log::CommitKind::footer:
            return "footer";
        case log::CommitKind::checkpoint:
            return "checkpoint";
        case log::CommitKind::seal:
            return "seal";
    }
    return "unknown";
}

class Dump final : public log::InspectVisitor {
public:
    explicit Dump(bool json) : json_(json) {}

    void on_segment(std::uint32_t segment, const log::SegmentEntry& entry) override {
        const char* area = entry.area == log::Area::arrivals ? "arrivals" : "survivors";
        std::printf(json_ ? "{\"what\":\"segment\",\"segment\":%u,\"area\":\"%s\",\"place\":%" PRIu64
                            ",\"generation\":%" PRIu64 ",\"data_end\":%u,\"footer\":%u}\n"
                          : "segment %u  %s place %" PRIu64 " generation %" PRIu64
                            " data end %u footer %u\n",
                    segment, area, entry.place, entry.generation, entry.data_end,
                    entry.footer_position);
    }
    void on_commit(std::uint32_t segment, const log::CommitHeader& commit) override {
        std::printf(
            json_ ? "{\"what\":\"commit\",\"segment\":%u,\"position\":%u,\"kind\":\"%s\","
                    "\"sequence\":%" PRIu64 ",\"bytes\":%u,\"used\":%u,\"frames\":%u,\"run\":%u,"
                    "\"log_time_ms\":%" PRIu64 ",\"wall_ms\":%" PRId64 "}\n"
                  : "%u:%-9u commit %s sequence %" PRIu64
                    " bytes %u used %u frames %u run %u log time %" PRIu64 " wall %" PRId64 "\n",
            segment, commit.position, name_of(commit.kind), commit.sequence, commit.bytes,
            commit.used, commit.frames, commit.run, commit.log_time_ms, commit.wall_ms);
    }
    void on_frame(const log::InspectedFrame& frame) override {
        std::string more;
        const auto add = [&](const char* name, std::int64_t value) {
            more += json_ ? ",\"" + std::string(name) + "\":" : " " + std::string(name) + " ";
            more += std::to_string(value);
        };
        if (frame.batch) {
            add("from", frame.batch->base_offset);
            add("to", frame.batch->end_offset());
            add("batch_bytes", frame.batch->total_bytes);
            add("codec", frame.batch->attributes & 7);
            add("max_timestamp", frame.batch->max_timestamp);
            add("producer_id", frame.batch->producer_id);
            add("sequence", frame.batch->base_sequence);
            add("wanted", frame.wanted ? 1 : 0);
        } else if (frame.header.type == FrameType::fact ||
                   frame.header.type == FrameType::fact_erased) {
            if (const auto fact = log::decode_fact_body(frame.body)) {
                add("kind", fact->kind);
                more += json_ ? ",\"key\":" + in_quotes(hex(fact->key)) : " key " + hex(fact->key);
                add("value_bytes", static_cast<std::int64_t>(fact->value.size()));
            }
        } else if ((frame.header.type == FrameType::log_start ||
                    frame.header.type == FrameType::log_end) &&
                   frame.body.size() == 8) {
            add("offset", load_little<std::int64_t>(frame.body.data()));
        }
        std::printf(json_ ? "{\"what\":\"frame\",\"segment\":%u,\"position\":%u,\"type\":\"%s\","
                            "\"stream\":%u,\"body_bytes\":%u%s}\n"
                          : "%u:%-9u   %s stream %u body %u%s\n",
                    frame.segment, frame.position, name_of(frame.header.type), frame.header.stream,
                    frame.header.body_bytes, more.c_str());
    }

private:
    bool json_;
};

void print_damage(const Damage& damage, bool json) {
    const bool records = damage.from >= 0;
    if (json) {
        std::printf("{\"what\":\"damage\",\"kind\":%s",
                    in_quotes(log::damage_text(damage.kind)).c_str());
        if (damage.segment != log::no_segment) std::printf(",\"segment\":%u", damage.segment);
        std::printf(",\"position\":%u,\"bytes\":%u", damage.position, damage.bytes);
        if (records)
            std::printf(",\"stream\":%u,\"from\":%" PRId64 ",\"to\":%" PRId64, damage.stream,
                        damage.from, damage.to);
        std::printf("}\n");
        return;
    }
    std::printf("damage: %s", log::damage_text(damage.kind));
    if (damage.segment != log::no_segment) std::printf(", segment %u", damage.segment);
    if (damage.bytes != 0) std::printf(", position %u, %u bytes", damage.position, damage.bytes);
    if (records)
        std::printf(": costs stream %u offsets %" PRId64 " to %" PRId64, damage.stream,
                    damage.from, damage.to - 1);
    else if (damage.kind != Damage::Kind::missing)
        std::printf(": costs no record");
    std::printf("\n");
}

void print_summary(const Inspection& log, bool json) {
    if (json)
        std::printf("{\"what\":\"summary\",\"log_id\":%s,\"sealed\":%s,\"segments_live\":%u,"
                    "\"segments_free\":%u,\"recycled_meanwhile\":%u,\"commits\":%" PRIu64
                    ",\"frames\":%" PRIu64 ",\"damages\":%zu,\"start\":%s}\n",
                    in_quotes(log::log_id_text(log.super.log_id)).c_str(), log.sealed ? "true" : "false",
                    log.segments_live, log.segments_free, log.segments_recycled_meanwhile,
                    log.commits, log.frames, log.damages.size(), in_quotes(log.start_text).c_str());
    else
        std::printf("log %s: %s; %u segments live, %u free, %" PRIu64 " commits, %" PRIu64
                    " frames, %zu damaged places%s%s\n",
                    log::log_id_text(log.super.log_id).c_str(),
                    log.sealed ? "stopped cleanly" : "running, or stopped uncleanly",
                    log.segments_live, log.segments_free, log.commits, log.frames,
                    log.damages.size(), log.start_text.empty() ? "" : "; a start now would say: ",
                    log.start_text.c_str());
}

void print_stats(const Inspection& log, bool json) {
    const Inspection::Purposes& p = log.purposes;
    const std::pair<const char*, std::uint64_t> purposes[] = {
        {"batches", p.batches},
        {"batches_freed", p.batches_freed},
        {"facts", p.facts},
        {"log_starts", p.log_starts},
        {"frame_headers", p.frame_headers},
        {"commit_headers", p.commit_headers},
        {"segment_headers", p.segment_headers},
        {"padding", p.padding},
        {"footers", p.footers},
        {"checkpoint", p.checkpoint},
        {"damaged", p.damaged},
        {"unused", p.unused},
        {"free", p.free},
        {"pool", std::uint64_t{log.super.segments} * log.super.segment_bytes}};
    for (const auto& [name, bytes] : purposes)
        std::printf(json ? "{\"what\":\"purpose\",\"purpose\":\"%s\",\"bytes\":%" PRIu64 "}\n"
                         : "%-16s %14" PRIu64 " bytes\n",
                    name, bytes);
    for (const auto& [id, stream] : log.streams)
        std::printf(json ? "{\"what\":\"stream\",\"stream\":%u,\"from\":%" PRId64 ",\"to\":%" PRId64
                           ",\"batches\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
                           "}\n"
                         : "stream %-9u offsets %" PRId64 " to %" PRId64 ": %" PRIu64
                           " batches, %" PRIu64 " records, %" PRIu64 " bytes\n",
                    id, stream.log_start, stream.log_end, stream.batches, stream.records,
                    stream.bytes);
}

}  // namespace

namespace {

/// CLI11 says only that one of them is wanted.
bool is_unknown_command(std::string_view given) {
    constexpr std::array<std::string_view, 3> commands{"dump", "verify", "stats"};
    const bool is_known = std::find(commands.begin(), commands.end(), given) != commands.end();
    if (is_known || given.starts_with('-')) return false;
    const auto meant = config::nearest(given, commands);
    std::fprintf(stderr, "leatd log: %s is not dump, verify or stats%s%s%s\n",
                 in_quotes(given).c_str(), meant ? "; did you mean " : "",
                 meant ? meant->data() : "", meant ? "?" : "");
    return true;
}

}  // namespace

int run_log_tool(int argc, const char* const* argv) {
    if (argc > 1 && is_unknown_command(argv[1])) return exit_usage;
    CLI::App app{"looks at the log of a data folder, stopped or in use, and changes nothing",
                 "leatd log"};
    app.require_subcommand(1);
    bool json = false;
    std::string folder;
    const auto command = [&](const char* name, const char* text) {
        CLI::App* made = app.add_subcommand(name, text);
        made->add_option("DIR", folder, "the data folder, or the log file itself")->required();
        made->add_flag("--json", json, "one JSON object per line");
        return made;
    };
    CLI::App* dump = command("dump", "prints every live segment, commit and frame in order");
    CLI::App* verify =
        command("verify", "makes every checksum again; leaves with 1 and the exact places if one "
                          "does not hold");
    CLI::App* stats = command("stats", "bytes by what they are for, and what each stream holds");
    app.footer("Exit codes: 0 whole; 1 damage was found (verify); 2 wrong flags; 3 no log there, or "
               "none that a start would take.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_whole : exit_usage;
    }
    std::string why;
    const auto file = host::FileImage::open(folder, why);
    if (!file) {
        std::fprintf(stderr, "leatd log: %s\n", why.c_str());
        return exit_no_log;
    }
    Dump visitor(json);
    Result<Inspection> log = fail(Error::storage);
    for (int i = 0; i < tries_max; ++i) {
        why.clear();
        log = log::inspect(*file, dump->parsed() ? &visitor : nullptr, why);
        if (dump->parsed() || (log && log->damages.empty())) break;
    }
    if (!log) {
        std::fprintf(stderr, "leatd log: %s: %s\n", folder.c_str(),
                     why.empty() ? error_text(log.error()) : why.c_str());
        return exit_no_log;
    }
    if (stats->parsed()) print_stats(*log, json);
    for (const Damage& damage : log->damages) print_damage(damage, json);
    print_summary(*log, json);
    return verify->parsed() && !log->damages.empty() ? exit_damage : exit_whole;
}

}  // namespace leat
