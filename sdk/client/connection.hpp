// One Kafka connection without its socket: frames, correlation ids, answers in order, time-outs.
//
// The driver owns the pipe. It tells what happened (on_connected, on_received, on_written,
// on_disconnected, on_deadline), and drains what to do (poll_write, poll_event, deadline). Kafka
// answers the requests of one connection in order, so an answer belongs to the oldest request that
// waits for one. An answer to an older request than that is left over from before a restart (a UART
// knows no disconnect) and is skipped; any other correlation id means that we and the peer no
// longer agree about frames, and the connection is given up. Correlation ids go on counting over
// reconnects for the same reason.
//
//   driver loop:  read into receive_room() -> on_received(n) -> poll_event() until empty
//                 write poll_write() (one gathered write) -> on_written(n)
//                 at deadline(): on_deadline()
//                 event `closed`: close the pipe, reconnect when backoff_delay says so,
//                 on_connected()
#pragma once

#include <optional>
#include <span>

#include "leat/result.hpp"
#include "leat/time.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/base/room.hpp"
#include "sdk/wire/api_key.hpp"
#include "sdk/wire/codec.hpp"
#include "sdk/wire/header.hpp"

namespace leat::client {

class Connection;

/// Who asked, so that the driver hands each event to the right object. The numbers are the driver's
/// own.
using Owner = std::uint8_t;
constexpr Owner owner_handshake = 0xFF;  ///< taken by the connection itself

enum class Answer : std::uint8_t {
    expected,
    none,  ///< Produce with acks=0: the request is over when its last byte is written
};

/// Else only the Sender's two pinned requests, whose answers both have tags in their header.
constexpr bool any_api = !profile.memory.is_fixed();

struct RequestOptions {
    [[no_unique_address]] If<any_api, Owner> owner = Owner{0};
    void* context = nullptr;      ///< comes back with the event, untouched
    milliseconds timeout{30000};  ///< from send to the whole answer; expiry gives up the connection
    [[no_unique_address]] If<profile.any_acks, Answer> answer = Answer::expected;
};

struct Event {
    enum class Kind : std::uint8_t {
        ready,     ///< connected and the handshake, if any, is over: requests may be sent. Not told
                   ///< where there is but one Sender, who looks for himself (any_api)
        response,  ///< `body` is the answer, behind its response header
        written,   ///< a request with Answer::none left
        failed,    ///< no usable answer: `error` too_large (it came, was longer than the receive
                   ///< buffer and was skipped), or the connection died first (disconnected,
                   ///< timed_out, malformed): then nobody knows whether the request was carried out
        closed,    ///< the last event of a connection: close the pipe. All its requests have failed
                   ///< before
    };
    Kind kind{};
    [[no_unique_address]] If<any_api, Owner> owner = Owner{0};
    Error error{};
    [[no_unique_address]] If<any_api, wire::ApiKey> api_key{};
    [[no_unique_address]] If<any_api, std::int16_t> api_version{};
    void* context = nullptr;
    ByteView body{};  ///< in the receive buffer: borrowed until the next call that is not const
};

/// What happens between "connected" and "ready": ApiVersions, SASL, or both. An interface, so that
/// a device with pinned versions links none of it.
class Handshake {
public:
    enum class Step : std::uint8_t { waiting, done, refused };
    /// Connected: send the first request (Connection::send with owner_handshake).
    virtual Step start(Instant now, Connection& connection) = 0;
    /// An answer to one of them. May send the next one.
    virtual Step on_response(Instant now, Connection& connection, const Event& event) = 0;
    /// The version to speak for `key`; -1: the peer does not have it, or none that we know.
    virtual std::int16_t version(wire::ApiKey key) const = 0;

protected:
    ~Handshake() = default;
};

class Connection {
public:
    struct InFlight {
        Instant deadline{};
        void* context = nullptr;
        std::int32_t correlation_id = 0;
        /// The count of bytes written when its last one is.
        [[no_unique_address]] If<profile.any_acks, std::uint32_t> written_at{};
        [[no_unique_address]] If<any_api, std::int16_t> api_key{};
        [[no_unique_address]] If<any_api, std::int8_t> api_version{};
        [[no_unique_address]] If<any_api, std::uint8_t> response_header{};
        [[no_unique_address]] If<any_api, Owner, 1> owner{};
        [[no_unique_address]] If<profile.any_acks, Answer> answer{};
    };
    /// All the memory there is. The caller keeps it alive as long as the connection.
    struct Memory {
        MutableBytes receive;  ///< bounds the longest answer: 4-byte length included
        MutableBytes send;     ///< heads of requests that are not written yet; see send_room
        std::span<ByteView>
            pieces;  ///< views for gathered writes; 2 per batch + 1 per Produce request
        std::span<InFlight> in_flight;  ///< requests between send and answer
    };

    /// client_id is borrowed for the connection's life. No handshake: versions are pinned by who
    /// sends.
    Connection(const Memory& memory, std::string_view client_id, Handshake* handshake = nullptr);
    /// With memory of its own (Profile::memory). All zero, and start() comes first.
    constexpr Connection() = default;
    void start(std::string_view client_id) { client_id_ = client_id; }

    // ask
    enum class State : std::uint8_t { idle, handshake, ready, closing };
    State state() const { return state_; }
    bool is_ready() const { return state_ == State::ready; }
    /// What to speak: from the handshake, or `pinned` without one. -1: the peer does not know this
    /// API.
    std::int16_t version(wire::ApiKey key, std::int16_t pinned) const {
        return profile.negotiates && handshake_ ? handshake_->version(key) : pinned;
    }
    std::string_view client_id() const { return client_id_; }
    std::size_t in_flight_count() const { return in_flight_count_; }
    /// A request could be opened now: in-flight slot, pieces and at least `bytes` of send memory
    /// are there.
    bool can_send(std::size_t bytes, std::size_t pieces = 1) const;
    std::size_t send_room() const { return send_.size() - send_end_; }
    std::size_t pieces_room() const { return pieces_.size() - pieces_end_; }
    /// Part of an answer is here and the rest is not: between drained events.
    bool is_in_frame() const { return received_ > answered_; }
    /// The longest answer frame that fits. A Fetch asks for less than this.
    std::size_t answer_bytes_max() const { return receive_.size() - 4; }

    // tell
    void on_connected(Instant now);
    /// The pipe is gone; what had been received was told and drained before. Also how a driver
    /// gives up a connection by itself. A write still under way in the driver must be over or
    /// cancelled: the views that poll_write gave die with the events that follow.
    void on_disconnected(Instant now, Error why = Error::disconnected);
    /// Where the driver reads to. Empty only if the events were not drained.
    MutableBytes receive_room();
    void on_received(Instant now, std::size_t bytes);
    /// The same for bytes that lie elsewhere. Returns how many were taken: drain the events, then
    /// come again with the rest.
    std::size_t on_bytes(Instant now, ByteView received);
    void on_written(Instant now, std::size_t bytes);
    void on_deadline(Instant now);
    /// A longer receive buffer takes over; what the old one holds moves along. Events must be
    /// drained.
    void use_receive_memory(MutableBytes longer);

    // want
    /// Sends a message that is copied into the send memory.
    /// fails: would_block (no room until more is written or answered), disconnected (not ready),
    ///        too_large (never fits this send memory), invalid (fields that `version` cannot say)
    ///
    /// version  a number, or a std::integral_constant where only one version shall be compiled in
    template <class M, class Version>
    Status send(Instant now, const M& message, Version version, const RequestOptions& options) {
        Result<MutableBytes> room = open_request(M::api_key, version);
        if (!room) return fail(room.error());
        Result<std::size_t> written = wire::encode(message, version, *room);
        if (!written) return give_back_request(written.error());
        append_own(*written);
        seal_request(now, options);
        return ok();
    }
    /// The gathering way, for Produce: open, append pieces in order, seal. One request at a time.
    /// Returned is the room behind the header for append_own.
    Result<MutableBytes> open_request(wire::ApiKey key, std::int16_t version) {
        wire::Lengths lengths =
            wire::is_flexible(key, version) ? wire::Lengths::compact : wire::Lengths::classic;
        Status opened = open_frame(key, version, lengths, wire::response_header_size(key, version));
        if (!opened) return fail(opened.error());
        return room();
    }
    void append_own(std::size_t bytes);    ///< the next bytes of the room, filled by the caller
    void append_borrowed(ByteView bytes);  ///< readable until this request's event has been drained
    MutableBytes room() { return send_.subspan(send_end_); }
    void seal_request(Instant now, const RequestOptions& options);
    void abandon_request();  ///< as if it had never been opened
    /// The same after an encoder's failure: `full` becomes would_block where an empty send memory
    /// may help.
    Fail give_back_request(Error error);

    // drain
    /// What to write next, in order, for one gathered write. Empty: nothing.
    std::span<const ByteView> poll_write() const {
        return pieces_.subspan(pieces_begin_, pieces_sealed_ - pieces_begin_);
    }
    std::optional<Event> poll_event(Instant now) {
        Event event;
        return poll_event(now, event) ? std::optional(event) : std::nullopt;
    }
    bool poll_event(Instant now, Event& out);
    /// The earliest request time-out. `never` if nothing is in flight.
    Instant deadline() const;

private:
    Status open_frame(wire::ApiKey key, std::int16_t version, wire::Lengths lengths,
                      std::size_t response_header);
    bool next_answer(Instant now, Event& out);
    bool is_full() const { return in_flight_count_ == in_flight_.size(); }
    bool run_handshake(Handshake::Step step);
    bool end_front(Event& out, Event::Kind kind, Error error);
    void close(Error why);

    std::size_t in_flight_count_ = 0;
    std::string_view client_id_{};
    Handshake* handshake_ = nullptr;
    std::size_t received_ = 0;  // bytes in receive_
    std::size_t answered_ = 0;  // its front that was looked at; the last event's body may lie there
    std::size_t skip_ = 0;      // bytes of an answer that nobody wants, still to come
    std::size_t send_end_ = 0;  // bytes used in send_
    std::size_t open_at_ = 0;   // where the open request's length field stands
    // Pieces [begin, sealed) are to be written, [sealed, end) belong to the open request.
    std::size_t pieces_begin_ = 0;
    std::size_t pieces_sealed_ = 0;
    std::size_t pieces_end_ = 0;
    std::uint32_t sealed_bytes_ = 0;  // ever, modulo 2^32
    std::uint32_t written_bytes_ = 0;
    std::uint32_t open_bytes_ = 0;
    std::int32_t next_correlation_ = 0;
    State state_ = State::idle;
    Error why_closed_{};
    bool ready_told_ = false;
    bool in_handshake_ = false;  // only the handshake may send before `ready`
    bool open_ = false;
    // Last, as what is near the front of an object is reached by shorter instructions.
    Room<std::uint8_t, profile.memory.receive_bytes> receive_{};
    Room<std::uint8_t, profile.memory.send_bytes> send_{};
    Room<ByteView, 3 * profile.memory.in_flight> pieces_{};
    Room<InFlight, profile.memory.in_flight> in_flight_{};  // oldest first; few: they move up
};

}  // namespace leat::client
