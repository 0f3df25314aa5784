#include "tests/sim/broker_host.hpp"

namespace leat::sim {

BrokerHost::BrokerHost(World& world, Network& network, HostOptions options)
    : world_(world),
      network_(network),
      options_(std::move(options)),
      entropy_(options_.seed),
      random_(options_.seed + 1),
      image_(options_.flash_bytes) {
    world_.add(*this);
    network_.listen(options_.name, *this);
}

BrokerHost::~BrokerHost() {
    node_.reset();  // before the device that it uses
}

void BrokerHost::power_on() {
    if (node_) return;
    ++life_;
    ++starts_;
    storage_ = std::make_unique<test::SimStorage>(
        test::SimStorageOptions{
            .seed = random_.next(), .size = image_.size(), .lies_for_writes = lying_ ? 6u : 0u},
        std::move(image_));
    node_ = node::make_node(options_.config, {*storage_, entropy_});
    const Status started = node_->start(world_.now(), wall());
    world_.note(started ? "started" : "start failed", options_.seed);
    if (!started) {
        start_error_ = node_->start_error_text();
        node_.reset();
        image_ = storage_->image();
        return;
    }
    storage_->on_write = [this] { on_write(); };
    storage_->hold(true);
    // Writes that start() left under way were submitted before the hook was there.
    for (std::size_t i = storage_->writes_under_way(); i > 0; --i) on_write();
}

/// A write finishes some milliseconds later, and not always in order.
void BrokerHost::on_write() {
    const milliseconds takes =
        random_.chance(slow_ ? 30 : 1) ? world_.between(20, 400) : world_.between(0, 4);
    world_.after(takes, [this, life = life_] {
        if (life != life_ || !node_ || storage_->writes_under_way() == 0) return;
        storage_->complete(random_.below(storage_->writes_under_way()));
        world_.note("write done", options_.seed);
        node_->on_storage(world_.now(), wall());
    });
}

/// Works end when they will, and overtake each other: as on threads.
void BrokerHost::begin_work(node::Work work) {
    ++works_;
    const milliseconds takes = random_.chance(20) ? world_.between(5, 100) : world_.between(0, 3);
    world_.after(takes, [this, life = life_, work = std::move(work)] {
        if (life != life_ || !node_) return;
        work.run();
        world_.note("work done", work.id);
        node_->work_done(world_.now(), wall(), work.id);
    });
}

void BrokerHost::take_down(test::SimImage image, bool silent) {
    image_ = std::move(image);
    node_.reset();
    storage_.reset();
    ++life_;
    sessions_.clear();
    pipes_.clear();
    network_.machine_died(this, this, silent);
}

void BrokerHost::power_cut() {
    if (!node_) return;
    world_.note("power cut", options_.seed);
    take_down(storage_->crash_image(static_cast<test::Tear>(random_.below(test::tears)), random_),
              random_.chance(50));
}

void BrokerHost::kill() {
    if (!node_) return;
    world_.note("killed", options_.seed);
    while (storage_->writes_under_way() > 0) storage_->complete(0);
    take_down(storage_->image(), false);
}

void BrokerHost::on_deadline() {
    if (node_) node_->on_deadline(world_.now(), wall());
}

void BrokerHost::drain() {
    if (!node_ || busy_) return;
    busy_ = true;
    node_->on_storage(world_.now(), wall());  // reads finish at once
    for (bool again = true; again;) {
        again = false;
        while (const std::optional<node::LinkAction> action = node_->poll_link_action()) {
            again = true;
            if (action->kind == node::LinkAction::Kind::connect)
                network_.connect(*this, action->link, action->host);
            else
                network_.close_from_caller(*this, action->link);
        }
        while (std::optional<node::Work> work = node_->poll_work()) {
            again = true;
            begin_work(std::move(*work));
        }
        while (const std::optional<node::LinkId> link = node_->link_ready()) {
            for (ByteView bytes = node_->link_poll_write(*link); !bytes.empty();
                 bytes = node_->link_poll_write(*link)) {
                again = true;
                network_.send_from_caller(*this, *link, {bytes.begin(), bytes.end()});
                node_->link_sent(world_.now(), *link, bytes.size());
            }
        }
        while (const std::optional<node::SessionId> ready = node_->session_ready()) {
            const auto pipe = pipes_.find(*ready);
            if (pipe == pipes_.end()) continue;
            again = true;
            const std::uint64_t id = pipe->second;
            feed(id, sessions_.at(id));
            for (ByteView bytes = node_->poll_write(*ready); !bytes.empty();
                 bytes = node_->poll_write(*ready)) {
                network_.send_from_listener(id, {bytes.begin(), bytes.end()});
                node_->sent(world_.now(), *ready, bytes.size());
            }
            if (node_->wants_close(*ready)) {
                world_.note("session refused", id);
                network_.close_from_listener(id);
                pipe_closed(id);
            }
        }
    }
    while (const std::optional<node::Event> event = node_->poll_event()) {
        if (event->level < node::Event::Level::warn) continue;
        last_events += std::to_string(world_.now().time_since_epoch().count()) + " " + event->room +
                       ": " + event->text + "\n";
        if (last_events.size() > 4000) last_events.erase(0, 2000);
    }
    busy_ = false;
}

bool BrokerHost::accept(std::uint64_t pipe) {
    Result<node::SessionId> session = node_->open_session(world_.now(), "sim");
    if (!session) return false;
    sessions_[pipe] = {*session, {}};
    pipes_[*session] = pipe;
    return true;
}

void BrokerHost::feed(std::uint64_t, Session& session) {
    while (!session.waiting.empty()) {
        const MutableBytes window = node_->receive_window(world_.now(), session.id);
        if (window.empty()) return;
        const std::size_t count = std::min(window.size(), session.waiting.size());
        copy_bytes(ByteView(session.waiting).first(count), window);
        session.waiting.erase(session.waiting.begin(),
                              session.waiting.begin() + static_cast<std::ptrdiff_t>(count));
        node_->received(world_.now(), wall(), session.id, count);
    }
}

void BrokerHost::pipe_received(std::uint64_t pipe, ByteView bytes) {
    const auto found = sessions_.find(pipe);
    if (!node_ || found == sessions_.end()) return;
    found->second.waiting.insert(found->second.waiting.end(), bytes.begin(), bytes.end());
    feed(pipe, found->second);
}

void BrokerHost::pipe_closed(std::uint64_t pipe) {
    const auto found = sessions_.find(pipe);
    if (!node_ || found == sessions_.end()) return;
    const node::SessionId session = found->second.id;
    sessions_.erase(found);
    pipes_.erase(session);
    node_->session_closed(world_.now(), session);
}

void BrokerHost::link_opened(std::uint64_t link) {
    if (node_) node_->link_opened(world_.now(), link);
}
void BrokerHost::link_received(std::uint64_t link, ByteView bytes) {
    if (node_) node_->link_received(world_.now(), link, bytes);
}
void BrokerHost::link_closed(std::uint64_t link, Error why) {
    if (node_) node_->link_closed(world_.now(), link, why);
}

}  // namespace leat::sim
