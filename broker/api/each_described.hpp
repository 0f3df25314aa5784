// A request that names things, and an answer with one element for each: told in turns, counted in
// the byte pool while it is gathered, and ended when nobody waits for it any more.
#pragma once

#include <memory>
#include <utility>

#include "broker/api/gathered.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {

template <class Request, class Asked, class Response, class Element>
class EachDescribed : public SlicedRequest<Request> {
public:
    /// asked, told: the two arrays; turn: so many are told at one go.
    EachDescribed(wire::Array<Asked> Request::*asked, wire::Array<Element> Response::*told,
                  int turn)
        : answer_(told), asked_(asked) {
        this->per_turn = turn;
    }
    void begin() { at_ = (this->request.*asked_).begin(); }

    Sliced::Step step(Context& context, log::CommitId&) final {
        if (at_ == (this->request.*asked_).end() || !this->address.reply.alive())
            return Sliced::Step::end;
        add(context, *at_);
        ++at_;
        return gathered_.may_grow(context, this->address.reply, answer_.bytes(), bytes_max(context))
                   ? Sliced::Step::done
                   : Sliced::Step::end;
    }
    void finish(Context& context, bool) final {
        gathered_.release();
        if (this->address.reply.alive()) answer_.send(context, this->address);
    }

protected:
    /// Tells one to `answer_`; or nothing, if it was told before.
    virtual void add(Context& context, const Asked& asked) = 0;
    virtual std::size_t bytes_max(const Context&) const { return answer_bytes_max; }

    LongAnswer<Response, Element> answer_;

private:
    wire::Array<Asked> Request::*asked_;
    typename wire::Array<Asked>::Iterator at_;
    Gathered gathered_;
};

/// The whole of such a handler.
template <class Describing>
void describe_each(Context& context, Call call) {
    auto described = std::make_shared<Describing>();
    if (!described->keep(context, call)) return;
    described->begin();
    run_slices(context, std::move(described));
}

}  // namespace leat::api
