// An answer whose length is one array: encoded element by element, as these become known, so that
// an answer of thousands is no work of one piece.
//
// A message with one element, encoded, is what stands before the array, its length, the element and
// what stands behind. Beside the same message without elements the first byte that differs is the
// last (or only) one of the length: so it is seen where elements begin, in every version of every
// message.
//
// It is kept and sent in pieces: grown as one, twenty megabytes were copied again and again, there
// two or three times while they were, and everybody waited for a hundredth of a second each time.
#pragma once

#include <vector>

#include "broker/api/answer.hpp"

namespace leat::api {

/// What needs no type.
class LongBody {
public:
    /// `none` and `one`: the message without elements and with the one that is to be added.
    void add(const AnyResponse& none, const AnyResponse& one);
    /// `none` may say something else than before: in front of the elements of the same length.
    void send(Context& context, const AnyResponse& none, wire::Versions versions,
              std::int32_t correlation_id, session::Reply& reply);
    std::int32_t count() const { return count_; }
    std::size_t bytes() const { return bytes_; }

private:
    void begin_piece(const AnyResponse& none, std::size_t size);
    std::vector<session::Buffer> pieces_;
    std::size_t gap_ = 0;               ///< of the first piece, for what stands before the elements
    std::size_t filled_ = 0;            ///< so much of the last piece, with the gap
    std::size_t bytes_ = 0;             ///< of elements
    std::size_t front_ = 0, back_ = 0;  ///< bytes before the elements, and behind them
    std::int32_t count_ = 0;
};

template <class Response, class Element>
class LongAnswer {
public:
    using Field = wire::Array<Element> Response::*;
    explicit LongAnswer(Field field) : field_(field) {}

    /// Everything but the array, as it will be sent; before the first element.
    Response response;

    /// Borrows nothing.
    void add(std::int16_t version, const Element& element) {
        Response one = response;
        one.*field_ = std::span<const Element>(&element, 1);
        body_.add(any_response(response, version), any_response(one, version));
    }
    std::size_t bytes() const { return body_.bytes(); }  ///< so far
    void send(Context& context, Address& address) {
        if (body_.count() == 0) return answer(context, address, response);
        response.throttle_time_ms = throttle_time_ms(context, address.reply);
        body_.send(context, any_response(response, address.version), Response::versions,
                   address.correlation_id, address.reply);
    }

private:
    Field field_;
    LongBody body_;
};

}  // namespace leat::api
