#include <leat/device.hpp>

int main() { return sizeof(leat::device::ProducerMemory<2, 1024>) > 2048 ? 0 : 1; }
