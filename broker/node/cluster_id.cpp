#include "broker/node/cluster_id.hpp"

#include <array>

namespace leat::node {
namespace {

constexpr std::string_view fact_key = "node.cluster_id";

std::string base64url(ByteView bytes) {
    static constexpr char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t bits = 0;
    int have = 0;
    for (const std::uint8_t byte : bytes) {
        bits = (bits << 8) | byte;
        for (have += 8; have >= 6; have -= 6) text += digits[(bits >> (have - 6)) & 63];
    }
    if (have > 0) text += digits[(bits << (6 - have)) & 63];
    return text;
}

}  // namespace

Result<std::string> cluster_id_of(const std::string& configured, log::Log& log,
                                  port::Entropy& entropy, Instant now, bool anew) {
    if (!configured.empty()) return configured;
    if (const auto kept = log.find_fact(log::FactKind::node, bytes_of(fact_key));
        kept && !kept->empty() && !anew)
        return std::string(text_of(*kept));
    std::string id;
    do {  // a leading '-' reads as a flag to command line tools: Kafka draws again, too
        std::array<std::uint8_t, 16> uuid{};
        if (const Status filled = entropy.fill(uuid); !filled) return fail(filled.error());
        uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x40);
        uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);
        id = base64url(uuid);
    } while (id.front() == '-');
    if (const auto put = log.put_fact(now, log::FactKind::node, bytes_of(fact_key), bytes_of(id));
        !put)
        return fail(put.error());
    return id;
}

}  // namespace leat::node
