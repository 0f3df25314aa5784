#include "sdk/device/producer_of.hpp"

namespace leat::device {
template class ProducerOf<port::Clock, port::Transport>;
}  // namespace leat::device
