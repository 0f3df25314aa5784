"""librdkafka's C interface: rdkafka_client.cpp, built with Debian's librdkafka."""


def run(lane, options):
    lane.converse("librdkafka", [options.rdkafka, lane.broker.bootstrap])
