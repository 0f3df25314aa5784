#include "sdk/client/due_list.hpp"

namespace leat::client::many {

void DueLink::unlink() {
    if (after == nullptr) return;
    before->after = after;
    after->before = before;
    before = after = nullptr;
}

void DueList::insert(DueLink& link, Instant due) {
    link.unlink();
    link.due = due;
    DueLink* place = root_.before;
    while (place != &root_ && place->due > due) place = place->before;
    link.before = place;
    link.after = place->after;
    place->after->before = &link;
    place->after = &link;
}

}  // namespace leat::client::many
