#include "broker/log/footer.hpp"

#include <algorithm>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

constexpr std::uint32_t trailer_magic = 0x4641454C;  // 'L' 'E' 'A' 'F'
constexpr std::size_t stream_body_bytes = 96;
constexpr std::uint32_t frame_cost(std::size_t body) {
    return static_cast<std::uint32_t>(round_up(frame_header_bytes + body, 8));
}

/// With its frame header, straight to where it stays: there may be thousands of them.
void put_stream(std::vector<std::uint8_t>& out, StreamId id, const StreamInSegment& stream) {
    FrameHeader header;
    header.type = FrameType::footer_stream;
    header.stream = id;
    header.body_bytes = header.total_bytes = static_cast<std::uint32_t>(
        stream_body_bytes + link_bytes * stream.links.size() + 8 * stream.points.size());
    const std::size_t at = out.size();
    out.resize(at + header.padded_bytes());
    encode_frame_header(header, out.data() + at);
    InPlace to(out.data() + at + frame_header_bytes);
    to.put<std::int64_t>(stream.first_offset);
    to.put<std::int64_t>(stream.end_offset);
    to.put<std::int64_t>(stream.log_start);
    to.put<std::int64_t>(stream.raised_end);
    to.put<std::uint64_t>(stream.batch_bytes);
    to.put<std::int64_t>(stream.max_timestamp);
    to.put<std::int64_t>(stream.max_timestamp_offset);
    to.put<std::uint64_t>(stream.last_age_ms);
    to.put<std::int64_t>(stream.stream_max_timestamp);
    to.put<std::uint32_t>(stream.batches);
    to.put<std::uint32_t>(stream.dropped ? 1 : 0);
    to.put<std::uint32_t>(stream.ordinal);
    to.put<std::uint32_t>(static_cast<std::uint32_t>(stream.links.size()));
    to.put<std::uint32_t>(static_cast<std::uint32_t>(stream.points.size()));
    to.put<std::uint32_t>(0);
    for (const Link& link : stream.links) put_link(to, link);
    for (const Point& point : stream.points) {
        to.put<std::uint32_t>(point.offset_delta);
        to.put<std::uint32_t>(point.position);
    }
}

Result<StreamInSegment> get_stream(ByteView body) {
    LittleReader in(body);
    StreamInSegment stream;
    stream.first_offset = in.get<std::int64_t>();
    stream.end_offset = in.get<std::int64_t>();
    stream.log_start = in.get<std::int64_t>();
    stream.raised_end = in.get<std::int64_t>();
    stream.batch_bytes = in.get<std::uint64_t>();
    stream.max_timestamp = in.get<std::int64_t>();
    stream.max_timestamp_offset = in.get<std::int64_t>();
    stream.last_age_ms = in.get<std::uint64_t>();
    stream.stream_max_timestamp = in.get<std::int64_t>();
    stream.batches = in.get<std::uint32_t>();
    stream.dropped = (in.get<std::uint32_t>() & 1) != 0;
    stream.ordinal = in.get<std::uint32_t>();
    const auto links = in.get<std::uint32_t>();
    const auto points = in.get<std::uint32_t>();
    in.skip(4);
    if (!in.ok() || links > levels_max || in.left() / 8 < points) return fail(Error::corrupt);
    for (std::uint32_t i = 0; i < links; ++i) stream.links.push_back(get_link(in));
    for (std::uint32_t i = 0; i < points; ++i) {
        const auto delta = in.get<std::uint32_t>();
        stream.points.push_back({delta, in.get<std::uint32_t>()});
    }
    if (!in.ok() || stream.first_offset < -1 || stream.end_offset < stream.first_offset ||
        stream.batch_bytes > UINT32_MAX)  // no segment holds so many
        return fail(Error::corrupt);
    return stream;
}

/// Walks the frames of a footer: visit(header, body) says whether to go on.
template <class Visit>
Status walk(ByteView bytes, const CommitHeader& commit, std::uint32_t salt, bool check,
            Visit visit) {
    std::size_t at = commit_header_bytes;
    std::uint32_t tie = 0;
    for (std::uint32_t i = 0; i < commit.frames; ++i) {
        if (at + frame_header_bytes > commit.used) return fail(Error::corrupt);
        const FrameHeader header = decode_frame_header(bytes.data() + at);
        if (header.header_bytes < frame_header_bytes || header.padded_bytes() > commit.used - at)
            return fail(Error::corrupt);
        if (check && frame_crc(salt, bytes.subspan(at), header) != header.crc)
            return fail(Error::corrupt);
        if (!visit(header, bytes.subspan(at + header.header_bytes, header.body_bytes))) return ok();
        at += header.padded_bytes();
        tie = tied(tie, header.crc);
    }
    if (check && tie != commit.tie) return fail(Error::corrupt);
    return ok();
}

}  // namespace

Link get_link(LittleReader& from) {
    Link link;
    link.first_offset = from.get<std::int64_t>();
    link.max_timestamp = from.get<std::int64_t>();
    link.segment = from.get<std::uint32_t>();
    link.ordinal = from.get<std::uint32_t>();
    return link;
}

StreamInSegment& SegmentIndex::touch(StreamId stream) {
    if (StreamInSegment* known = streams.find(stream)) return *known;
    footer_bytes_ += frame_cost(stream_body_bytes);
    return streams[stream];
}

void SegmentIndex::on_moved(StreamId id, const BatchFields& fields, std::uint32_t position,
                            std::uint64_t age_ms) {
    (void)on_records(id, fields, position, age_ms);
    last_age_ms = std::max(last_age_ms, age_ms);
}

StreamInSegment& SegmentIndex::on_records(StreamId id, const BatchFields& fields,
                                          std::uint32_t position, std::uint64_t age_ms) {
    StreamInSegment& stream = touch(id);
    if (stream.first_offset < 0) stream.first_offset = fields.base_offset;
    stream.end_offset = std::max(stream.end_offset, fields.end_offset());
    stream.batch_bytes += fields.total_bytes;
    batch_bytes += fields.total_bytes;
    if (fields.max_timestamp > stream.max_timestamp) {
        stream.max_timestamp = fields.max_timestamp;
        stream.max_timestamp_offset = fields.base_offset + fields.last_offset_delta;
    }
    stream.last_age_ms = std::max(stream.last_age_ms, age_ms);
    ++stream.batches;
    const auto delta = static_cast<std::uint64_t>(fields.base_offset - stream.first_offset);
    if (delta <= UINT32_MAX &&
        (stream.points.empty() ||
         stream.points.back().position / point_block_bytes != position / point_block_bytes)) {
        stream.points.push_back({static_cast<std::uint32_t>(delta), position});
        footer_bytes_ += 8;
    }
    return stream;
}

StreamInSegment& SegmentIndex::on_batch(StreamId id, const BatchFields& fields,
                                        std::uint32_t position, std::uint64_t age_ms) {
    StreamInSegment& here = on_records(id, fields, position, age_ms);
    if (fields.producer_id < 0 || fields.base_sequence < 0) return here;
    const auto [found, fresh] = producers.try_emplace({id, fields.producer_id});
    Producer& producer = found->second;
    const std::size_t before = producer.state.count;
    push_producer_batch(producer.state, fields.producer_epoch, producer_batch_of(fields, 0));
    producer.age_ms = age_ms;
    if (fresh) footer_bytes_ += frame_cost(producer_body_bytes(0));
    if (producer.state.count > before) footer_bytes_ += 24;
    return here;
}

void SegmentIndex::on_fact(const FactBody& fact, bool erased, std::uint64_t sequence) {
    const std::string key = Facts::key_of(fact.kind, fact.key);
    const auto [found, fresh] = facts.try_emplace(key);
    if (!fresh) {
        const std::size_t old = found->second.value ? found->second.value->size() : 0;
        footer_bytes_ -= frame_cost(fact_body_bytes + fact.key.size() + old);
    }
    found->second.value =
        erased ? std::nullopt : std::optional<std::string>(std::string(text_of(fact.value)));
    found->second.sequence = sequence;
    footer_bytes_ +=
        frame_cost(fact_body_bytes + fact.key.size() + (erased ? 0 : fact.value.size()));
}

std::uint32_t SegmentIndex::live_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [id, stream] : streams) sum += stream.moved_bytes();
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, UINT32_MAX));
}

std::uint32_t SegmentIndex::batches() const {
    std::uint32_t sum = 0;
    for (const auto& [id, stream] : streams) sum += stream.batches;
    return sum;
}

void SegmentIndex::on_log_start(StreamId id, Offset offset) {
    StreamInSegment& stream = touch(id);
    stream.log_start = std::max(stream.log_start, offset);
}
void SegmentIndex::on_log_end(StreamId id, Offset offset) {
    StreamInSegment& stream = touch(id);
    stream.raised_end = std::max(stream.raised_end, offset);
}
void SegmentIndex::on_dropped(StreamId id) { touch(id).dropped = true; }

std::uint32_t footer_growth(FrameType type, std::uint32_t body_bytes) {
    switch (type) {
        // A stream, one point, its links, and a producer with one batch more.
        case FrameType::append:
            return frame_cost(stream_body_bytes) + 8 +
                   static_cast<std::uint32_t>(levels_max * link_bytes) +
                   frame_cost(producer_body_bytes(0)) + 24;
        case FrameType::fact:
        case FrameType::fact_erased:
            return frame_cost(body_bytes);
        default:
            return frame_cost(stream_body_bytes);
    }
}

void SegmentIndex::shed(std::size_t count) {
    const auto some = [count](auto& all) {
        auto end = all.begin();
        for (std::size_t i = 0; i < count && end != all.end(); ++i) ++end;
        all.erase(all.begin(), end);
    };
    streams.shed(count);
    some(producers);
    some(facts);
}

std::vector<std::uint8_t> encode_footer(const SegmentIndex& index, CommitHeader header,
                                        std::uint32_t salt, std::uint32_t page_bytes,
                                        std::uint32_t segment_bytes) {
    std::vector<std::uint8_t> out, body;
    out.reserve(index.footer_bytes_bound() + page_bytes);
    out.resize(commit_header_bytes);
    header.frames = 0;
    const auto add = [&](FrameType type, StreamId stream) {
        put_frame(out, type, stream, body);
        ++header.frames;
        body.clear();
    };
    LittleWriter to(body);
    to.put<std::uint32_t>(index.data_end);
    to.put<std::uint32_t>(static_cast<std::uint32_t>(index.candidates.size()));
    to.put<std::uint64_t>(index.last_sequence);
    to.put<std::uint64_t>(index.last_age_ms);
    to.put<std::uint64_t>(index.batch_bytes);
    for (std::size_t i = 0; i < candidates_max; ++i)
        to.put<std::uint32_t>(i < index.candidates.size() ? index.candidates[i] : no_segment);
    add(FrameType::footer_summary, 0);
    const auto streams = index.streams.in_order();
    for (std::size_t i = 0; i < streams.size(); ++i) {
        constexpr std::size_t ahead = 6;  // in this order they lie anywhere
        if (i + ahead < streams.size())
            prefetch_front(streams[i + ahead], sizeof(SegmentStreams::Entry));
        put_stream(out, streams[i]->first, streams[i]->second);
        ++header.frames;
    }
    for (const auto& [key, producer] : index.producers) {
        encode_producer(body, key.producer_id, producer);
        add(FrameType::footer_producer, key.stream);
    }
    for (const auto& [key, fact] : index.facts) {
        const ByteView name = bytes_of(key).subspan(1);
        const ByteView value = fact.value ? bytes_of(*fact.value) : ByteView{};
        body.resize(fact_body_bytes + name.size() + value.size());
        encode_fact_body({static_cast<std::uint8_t>(key[0]), fact.sequence, name, value}, body);
        add(fact.value ? FrameType::fact : FrameType::fact_erased, 0);
    }
    header.kind = CommitKind::footer;
    header.used = static_cast<std::uint32_t>(out.size());
    header.bytes =
        static_cast<std::uint32_t>(round_up(out.size() + footer_trailer_bytes, page_bytes));
    if (header.bytes > segment_bytes - page_bytes) return {};
    header.position = segment_bytes - header.bytes;
    header.tie = 0;
    for (std::size_t at = commit_header_bytes; at < header.used;) {
        header.tie = tied(header.tie, seal_frame(salt, MutableBytes(out).subspan(at)));
        at += decode_frame_header(out.data() + at).padded_bytes();
    }
    out.resize(header.bytes);
    encode_commit_header(header, salt, out.data());
    std::uint8_t* trailer = out.data() + out.size() - footer_trailer_bytes;
    store_little<std::uint32_t>(trailer, trailer_magic);
    store_little<std::uint64_t>(trailer + 8, header.generation);
    store_little<std::uint32_t>(trailer + 16, header.position);
    store_little<std::uint32_t>(trailer + 20, header.bytes);
    store_little<std::uint32_t>(trailer + 24, header.tie);
    store_little<std::uint32_t>(trailer + 28, header.run);
    store_little<std::uint32_t>(trailer + 4,
                                crc32c(salt, ByteView(trailer + 8, footer_trailer_bytes - 8)));
    return out;
}

std::optional<FooterTrailer> decode_trailer(ByteView last, std::uint64_t generation,
                                            std::uint32_t salt, std::uint32_t segment_bytes) {
    LEAT_CHECK(last.size() == footer_trailer_bytes);
    const std::uint8_t* at = last.data();
    if (load_little<std::uint32_t>(at) != trailer_magic ||
        load_little<std::uint32_t>(at + 4) != crc32c(salt, last.subspan(8)) ||
        load_little<std::uint64_t>(at + 8) != generation)
        return std::nullopt;
    const FooterTrailer trailer{load_little<std::uint32_t>(at + 16),
                                load_little<std::uint32_t>(at + 20),
                                load_little<std::uint32_t>(at + 24)};
    if (trailer.position >= segment_bytes || trailer.bytes != segment_bytes - trailer.position)
        return std::nullopt;
    return trailer;
}

namespace {

Status read_footer(ByteView bytes, std::uint64_t generation, std::uint32_t salt,
                   SegmentIndex* index) {
    const Result<CommitHeader> commit = decode_commit_header(bytes, salt);
    if (!commit || commit->kind != CommitKind::footer || commit->generation != generation ||
        commit->bytes != bytes.size() || commit->used > bytes.size())
        return fail(Error::corrupt);
    bool good = true;
    const Status walked =
        walk(bytes, *commit, salt, true, [&](const FrameHeader& header, ByteView body) {
            if (header.type == FrameType::footer_summary) {
                SegmentIndex unwanted;
                SegmentIndex& to = index != nullptr ? *index : unwanted;
                LittleReader in(body);
                to.data_end = in.get<std::uint32_t>();
                const auto count = in.get<std::uint32_t>();
                to.last_sequence = in.get<std::uint64_t>();
                to.last_age_ms = in.get<std::uint64_t>();
                to.batch_bytes = in.get<std::uint64_t>();
                to.candidates.clear();  // a second summary is damage that has a checksum
                for (std::uint32_t i = 0; i < count && i < candidates_max; ++i)
                    to.candidates.push_back(in.get<std::uint32_t>());
                good = good && in.ok();
            } else if (header.type == FrameType::footer_stream) {
                Result<StreamInSegment> stream = get_stream(body);
                if (stream && index != nullptr)
                    index->streams[header.stream] = std::move(*stream);
                good = good && stream;
            } else if (header.type == FrameType::footer_producer) {
                const Result<DecodedProducer> producer = decode_producer(body);
                if (producer && index != nullptr)
                    index->producers[{header.stream, producer->producer_id}] = producer->producer;
                good = good && producer;
            } else if (header.type == FrameType::fact || header.type == FrameType::fact_erased) {
                const Result<FactBody> fact = decode_fact_body(body);
                if (fact && index != nullptr)
                    index->on_fact(*fact, header.type == FrameType::fact_erased, fact->sequence);
                good = good && fact;
            }
            if (index != nullptr && header.forbids_writing()) index->forbids_writing = true;
            return good;
        });
    if (!walked || !good) return fail(Error::corrupt);
    return ok();
}

}  // namespace

Result<SegmentIndex> decode_footer(ByteView bytes, std::uint64_t generation, std::uint32_t salt) {
    SegmentIndex index;
    if (const Status read = read_footer(bytes, generation, salt, &index); !read)
        return fail(read.error());
    return index;
}

Status check_footer(ByteView bytes, std::uint64_t generation, std::uint32_t salt) {
    return read_footer(bytes, generation, salt, nullptr);
}

// A thousand facts or dropped streams cost next to nothing here: retention looks at sixteen footers
// at a time, and all others wait for it.
Result<SegmentIndex> decode_footer_batches(ByteView bytes) {
    CommitHeader commit;
    commit.used = load_little<std::uint32_t>(bytes.data() + 28);
    commit.frames = load_little<std::uint32_t>(bytes.data() + 32);
    SegmentIndex index;
    bool good = true;
    const Status walked =
        walk(bytes, commit, 0, false, [&](const FrameHeader& header, ByteView body) {
            if (header.type == FrameType::footer_summary) return true;
            if (header.type != FrameType::footer_stream) return false;
            if (body.size() >= 8 && load_little<std::int64_t>(body.data()) < 0) return true;
            Result<StreamInSegment> stream = get_stream(body);
            if (stream)
                index.streams[header.stream] = std::move(*stream);
            good = static_cast<bool>(stream);
            return good;
        });
    if (!walked || !good) return fail(Error::corrupt);
    return index;
}

Result<StreamInSegment> find_in_footer(ByteView bytes, StreamId stream) {
    // Checked as a whole when it was read (decode_footer or the cache), so only lengths matter
    // here.
    CommitHeader commit;
    commit.used = load_little<std::uint32_t>(bytes.data() + 28);
    commit.frames = load_little<std::uint32_t>(bytes.data() + 32);
    Result<StreamInSegment> found = fail(Error::not_found);
    const Status walked =
        walk(bytes, commit, 0, false, [&](const FrameHeader& header, ByteView body) {
            if (header.type != FrameType::footer_stream || header.stream != stream) return true;
            found = get_stream(body);
            return false;
        });
    if (!walked) return fail(Error::corrupt);
    return found;
}

}  // namespace leat::log
