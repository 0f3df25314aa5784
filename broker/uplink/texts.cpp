#include "broker/uplink/texts.hpp"

namespace leat::uplink {
namespace {

using wire::ErrorCode;

constexpr std::string_view again = "; it is tried again by itself";

}  // namespace

std::string code_text(ErrorCode error) {
    const std::string_view name = wire::name(error);
    if (name != "UNKNOWN") return std::string(name);
    return "error code " + std::to_string(static_cast<int>(error));
}

std::string connect_failed_text(const cluster::Endpoint& endpoint, Error why) {
    const std::string where = cluster::text_of(endpoint);
    switch (why) {
        case Error::malformed:
        case Error::unsupported:
            return where +
                   " answers, but not as a Kafka broker: check the route's bootstrap.servers, and "
                   "that the "
                   "port is a plaintext one" +
                   std::string(again);
        case Error::not_found:
            return where +
                   " cannot be resolved: check the name in the route's bootstrap.servers, or in "
                   "the "
                   "upstream's advertised.listeners" +
                   std::string(again);
        default:
            return "cannot connect to " + where + " (" + error_text(why) +
                   "): check that the upstream is up and reachable from here" + std::string(again);
    }
}

std::string disconnected_text(const cluster::Endpoint& endpoint, Error why) {
    if (why == Error::malformed || why == Error::unsupported)
        return connect_failed_text(endpoint, why);
    return "lost the connection to " + cluster::text_of(endpoint) + " (" + error_text(why) +
           "; if it hangs up at once, check that its port wants no login and no TLS)" +
           std::string(again);
}

std::string requests_cut_text(const cluster::Endpoint& endpoint, std::uint32_t bytes) {
    return cluster::text_of(endpoint) +
           " hangs up again and again instead of an answer to what is sent: is its "
           "socket.request.max.bytes smaller than that? It is sent at most " +
           std::to_string(bytes) +
           " bytes at a time from now on; a single batch may be larger, then raise it there";
}

std::string other_cluster_text(std::string_view before, std::string_view now) {
    return "the upstream's cluster " + std::string(before) + " is " + std::string(now) +
           " now: the route goes on there from where it was; check its bootstrap.servers if that "
           "is "
           "not what you want";
}

std::string topic_text(std::string_view topic, ErrorCode error, std::string_view detail) {
    std::string text = "upstream topic " + std::string(topic) + ": " + code_text(error);
    if (!detail.empty()) text += " (" + std::string(detail) + ")";
    switch (error) {
        case ErrorCode::unknown_topic_or_partition:
            return text +
                   ": create it upstream, or set create.topics on the route; its records wait here";
        case ErrorCode::topic_authorization_failed:
        case ErrorCode::cluster_authorization_failed:
            return text +
                   ": grant WRITE (and CREATE, if the route creates topics) on it; its records "
                   "wait here";
        case ErrorCode::invalid_topic_exception:
            return text +
                   ": the name is not legal upstream, change the route's upstream.topic; its "
                   "records wait here";
        case ErrorCode::unsupported_version:
            return text +
                   ": the upstream does not serve CreateTopics, create it by hand; its records "
                   "wait here";
        default:
            return text + "; its records wait here, and it is tried again by itself";
    }
}

std::string refused_text(std::string_view topic, std::int32_t partition, ErrorCode error) {
    std::string text = "upstream refuses the next batch of " + std::string(topic) + "-" +
                       std::to_string(partition) + " with " + code_text(error) + ": ";
    switch (error) {
        case ErrorCode::message_too_large:
        case ErrorCode::record_list_too_large:
            text += "raise max.message.bytes of the upstream topic to at least this gateway's";
            break;
        case ErrorCode::invalid_timestamp:
            text +=
                "a record is outside message.timestamp.before.max.ms / after.max.ms of the "
                "upstream topic, raise them";
            break;
        case ErrorCode::invalid_record:
            text += "the upstream topic's rules do not take it (compacted topics need keys)";
            break;
        case ErrorCode::topic_authorization_failed:
        case ErrorCode::cluster_authorization_failed:
            text += "grant WRITE on the topic";
            break;
        case ErrorCode::unsupported_compression_type:
            text += "the upstream is too old for its codec";
            break;
        default:
            text += "see the upstream's log";
            break;
    }
    return text + ". Nothing is skipped: this partition waits, and it is tried again by itself";
}

std::string retried_text(std::string_view topic, std::int32_t partition, ErrorCode error) {
    return "upstream does not take " + std::string(topic) + "-" + std::to_string(partition) +
           " now, and says " + code_text(error) +
           (error == ErrorCode::not_enough_replicas
                ? ": too few of its replicas are in sync, or it is a gateway whose log is full"
            : error == ErrorCode::unknown_topic_or_partition
                ? ": if it was deleted there, create it again, or set create.topics on the route"
                : ": see the upstream's log") +
           std::string(again);
}

bool is_too_large(ErrorCode error) {
    return error == ErrorCode::message_too_large || error == ErrorCode::record_list_too_large;
}

std::string cut_text(std::string_view topic, std::int32_t partition, std::size_t bytes) {
    return "upstream refuses a batch of " + std::to_string(bytes) + " bytes for " +
           std::string(topic) + "-" + std::to_string(partition) +
           ": it goes again in smaller ones (raise max.message.bytes upstream to spare the work)";
}

bool is_poison(ErrorCode error) {
    return is_too_large(error) || error == ErrorCode::invalid_timestamp ||
           error == ErrorCode::invalid_record;
}

std::string skipped_text(std::string_view place, ErrorCode error) {
    return std::string(place) + " will not go upstream: refused with " + code_text(error) +
           ", and the route says on.poison skip. They stay here as long as the topic keeps them";
}

std::string doubt_lost_text(std::string_view topic, std::int32_t partition, ErrorCode error) {
    return "the upstream does not know any more what it took of " + std::string(topic) + "-" +
           std::to_string(partition) + " (" + code_text(error) +
           "): what was not confirmed is sent again, some of it perhaps twice";
}

std::string name_unkept_text() {
    return "the log does not keep now under which name records go upstream (full, or its device "
           "fails): they go all the same, and what a power cut meets of them comes twice";
}

std::string circle_text(std::string_view cluster_id) {
    return "this route leads back to this broker (cluster id " + std::string(cluster_id) +
           " is its own): nothing is sent. Check the route's bootstrap.servers, and what the "
           "upstream "
           "advertises (advertised.listeners); if it is another broker with a copied cluster.id, "
           "give it one of its own" +
           std::string(again);
}

std::string round_text(std::string_view topic, bool is_us) {
    if (is_us)
        return "what is sent upstream of " + std::string(topic) +
               " arrives at this very broker, and nothing more of it is sent: the upstream "
               "advertises an address that means this machine here. Set its advertised.listeners "
               "to one that can be reached from here" +
               std::string(again);
    return "the upstream forwards " + std::string(topic) +
           " to here, and this route forwards it to there: its records would go round for good, "
           "and nothing of it is sent. Take the topic out of this route, or give it another name "
           "there (upstream.topic); or do so with the other's, then restart this broker";
}

std::string returned_text(std::string_view topic) {
    return "records that this gateway sent upstream come back into " + std::string(topic) +
           ": they are not sent again. Another broker's route leads here: take the topic out of "
           "it, or give it another name there (upstream.topic)";
}

std::string deleted_text(std::string_view topic, std::uint64_t records, std::string_view places) {
    return "topic " + std::string(topic) + " is deleted here with " + std::to_string(records) +
           " records that were not delivered: offsets " + std::string(places) +
           ". They are lost, and in the ledger (leat ledger)";
}

std::string producer_refused_text(ErrorCode error) {
    return "upstream refuses a producer id with " + code_text(error) +
           (wire::retriable(error) ? ": see the upstream's log"
                                   : ": grant IdempotentWrite on the cluster (Kafka before 2.8), "
                                     "or WRITE on the topics") +
           std::string(again);
}

}  // namespace leat::uplink
