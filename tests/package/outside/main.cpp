#include <leat/producer.hpp>

int main(int argc, char** argv) {
    leat::Loop loop;
    auto producer = leat::Producer::open(loop, {.bootstrap = argc > 1 ? argv[1] : "127.0.0.1:9092"});
    if (!producer) return 1;
    (void)producer->send({.topic = "temperature", .key = "boiler", .value = "81.5"});
    return producer->flush(leat::milliseconds(5000)) ? 0 : 1;
}
