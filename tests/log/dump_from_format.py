"""Dumps a log as broker/log/FORMAT.md alone tells it, and holds the outcome against `leatd log dump --json`.

It shares no code with the broker: what this reader needs and FORMAT.md does not say is a fault of FORMAT.md. It is
slow on purpose and keeps everything in memory.

    dump_from_format.py FILE                 prints the dump
    dump_from_format.py LEATD MAKER FOLDER   MAKER writes sample logs into FOLDER; each is dumped by both
"""
import json
import os
import shutil
import struct
import subprocess
import sys

NONE = 0xFFFFFFFF
TYPES = {1: "append", 2: "moved", 3: "more", 4: "fact", 5: "fact_erased", 6: "log_start", 7: "log_end", 8: "dropped",
         9: "loss", 16: "footer_summary", 17: "footer_stream", 18: "producer", 32: "checkpoint_begin",
         33: "checkpoint_stream", 34: "checkpoint_segments", 40: "checkpoint_end", 41: "checkpoint_parity"}
KINDS = {1: "data", 2: "footer", 3: "checkpoint", 4: "seal"}
AREAS = {1: "arrivals", 2: "survivors"}

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(seed, data):
    crc = seed ^ NONE
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ NONE


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def tied(crcs):
    """Section 4: what ties a commit's header to its frames."""
    tie = 0
    for crc in crcs:
        tie = (tie + crc) * 0x9E3779B1 & NONE
    return tie


# ---- section 11: one lost bit

POLYNOMIAL = 0x82F63B78
KNOWN = [*range(1, 10), 16, 17, 18, 32, 33, 34, 40, 41]


def flipped(data, bit):
    return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]


def lost_bit(difference, size):
    effect = POLYNOMIAL
    for bit in reversed(range(size * 8)):
        if effect == difference:
            return bit
        effect = effect >> 1 ^ (POLYNOMIAL if effect & 1 else 0)
    return None


def mended(data, at, end, crc_at, seed):
    """data with one bit of [at, end) or of the checksum at crc_at given back; None: more is lost."""
    difference = crc32c(seed, data[at:end]) ^ u32(data, crc_at)
    if difference & difference - 1 == 0:
        return data[:crc_at] + struct.pack("<I", crc32c(seed, data[at:end])) + data[crc_at + 4:]
    bit = lost_bit(difference, end - at)
    return None if bit is None else flipped(data, at * 8 + bit)


def mended_block(block, magic):
    if len(block) == 512 and u32(block, 508) != crc32c(0, block[:508]):
        block = mended(block, 0, 508, 508, 0) or block
    return block if block[:8] == magic and u32(block, 508) == crc32c(0, block[:508]) else None


def mended_commit_header(head, salt):
    magic = u32(head, 0) ^ u32(b"\xC7CMT", 0)
    if magic:
        return b"\xC7CMT" + head[4:] if magic & magic - 1 == 0 else head
    return mended(head, 8, 80, 4, salt) or head


def mended_frame(data, at, limit, salt, bodies):
    """data with one bit of the frame at `at` given back, and the frame; Bad: more is lost."""

    def sensible(header):
        kind, header_bytes, body = header[0], header[2] + 256 * header[3], u32(header, 8)
        return (kind in KNOWN and header_bytes == (40 if kind == 2 else 24) and (header_bytes + body + 7) // 8 * 8 <= limit - at
                and (kind > 2 or body >= 61))

    head = data[at:at + 24]
    if limit - at < 24:
        raise Bad
    for bit in range(192):
        changed = flipped(head, bit)
        if sensible(changed):
            try:
                whole = data[:at] + changed + data[at + 24:]
                return whole, Frame(whole, at, limit, salt)
            except Bad:
                pass
    if not sensible(head) or not bodies and head[0] > 2:
        raise Bad
    body = u32(head, 8)
    covered = head[2] + {1: min(21, body), 2: min(21, body), 3: 0}.get(head[0], body)
    front = data[at:at + 4] + bytes(4) + data[at + 8:at + covered]
    bit = lost_bit(crc32c(salt, front) ^ u32(head, 4), covered)
    if bit is None or bit < 192:
        raise Bad
    whole = flipped(data, at * 8 + bit)
    return whole, Frame(whole, at, limit, salt)


def mended_commit(data, at, salt, bodies):
    """data in which the commit at `at` has one bit back, so that it holds but for batches' payload; Bad: more is lost."""
    whole = data[:at] + mended_commit_header(data[at:at + 80], salt) + data[at + 80:]
    done = whole[at:at + 80] != data[at:at + 80]
    commit = Commit(whole, at, len(whole), salt)
    place, crcs = at + 80, []
    for _ in range(commit.frames):
        try:
            frame = Frame(whole, place, at + commit.used, salt)
        except Bad:
            if done:
                raise
            whole, frame = mended_frame(whole, place, at + commit.used, salt, bodies)
            done = True
        place += frame.padded
        crcs.append(frame.crc)
    if tied(crcs) != commit.tie:
        raise Bad
    padding = whole[at + commit.used:at + commit.bytes]
    bits = sum(bin(byte).count("1") for byte in padding) if commit.kind != 2 else 0
    if bits > (0 if done else 1):
        raise Bad
    if bits:
        whole = whole[:at + commit.used] + bytes(len(padding)) + whole[at + commit.bytes:]
    return whole


class Bad(Exception):
    pass


class Commit:
    """Section 4. Bad if it is none; whether it holds is asked apart."""

    def __init__(self, data, at, limit, salt):
        if limit - at < 80 or data[at:at + 4] != b"\xC7CMT" or u32(data, at + 4) != crc32c(salt, data[at + 8:at + 80]):
            raise Bad
        (self.generation, self.sequence, self.bytes, self.used, self.frames, self.run, self.log_time, self.off_time,
         self.wall, self.kind, self.flags, _, self.position, self.tie) = struct.unpack_from("<QQIIIIQQqBBHII", data, at + 8)
        if not 80 <= self.used <= self.bytes <= limit - at or self.position != at:
            raise Bad


class Frame:
    """Section 5. Bad if it is none, or its own checksum does not hold."""

    def __init__(self, data, at, limit, salt):
        if limit - at < 24:
            raise Bad
        (self.type, self.flags, self.header_bytes, self.crc, self.body_bytes, self.stream, self.total,
         self.before) = struct.unpack_from("<BBHIIIII", data, at)
        self.at = at
        self.padded = (self.header_bytes + self.body_bytes + 7) // 8 * 8
        if not 1 <= self.type < 0x80 or self.header_bytes < 24 or self.padded > limit - at:
            raise Bad
        covered = {1: min(21, self.body_bytes), 2: min(21, self.body_bytes), 3: 0}.get(self.type, self.body_bytes)
        front = data[at:at + 4] + bytes(4) + data[at + 8:at + self.header_bytes + covered]
        if crc32c(salt, front) != self.crc:
            raise Bad
        self.body = data[at + self.header_bytes:at + self.header_bytes + self.body_bytes]
        self.goes_on = bool(self.flags & 1)
        self.holds_batch = self.type in (1, 2)


class Batch:
    """Kafka's RecordBatch, magic 2 (big-endian)."""

    def __init__(self, body):
        if len(body) < 61:
            raise Bad
        (self.base, length, _, magic, self.crc, self.attributes, self.last_delta, _, self.max_timestamp,
         self.producer_id, _, self.sequence) = struct.unpack_from(">qiibIhiqqqhi", body, 0)
        self.bytes, self.end = length + 12, self.base + self.last_delta + 1
        if magic != 2 or length < 49 or self.base < 0 or self.last_delta < 0:
            raise Bad


class Segment:
    """What is known of one: from its header, or from a checkpoint's table."""

    def __init__(self, number, generation, place, salt, area, data_end=0, footer=0):
        self.number, self.generation, self.place, self.salt = number, generation, place, salt
        self.area, self.data_end, self.footer = area, data_end, footer
        self.listed_open = False

    def ring_order(self):
        return self.place, self.area != 2, -self.generation


class Log:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.device = file.read()
        self.out = []
        self.start, self.starts_of_books, self.fact_sequence = {}, {}, {}
        self.live_streams, self.ends, self.begun_ends = set(), {}, {}
        self.table, self.generation = {}, {}
        self.extents = []
        self.redo = None
        self.superblock()
        for checkpoint in self.checkpoints:
            try:
                self.load_checkpoint(*checkpoint)
                break
            except Bad:
                self.start, self.starts_of_books, self.fact_sequence = {}, {}, {}
                self.live_streams, self.table, self.ends, self.generation = set(), {}, {}, {}
                self.extents, self.redo = [], None
                self.segments = self.told_segments
                self.misled = True
        listed = self.listed_now()
        self.follow_ring()
        self.table = {number: one for number, one in self.table.items() if not one.listed_open}
        if self.misled:
            self.adopt_survivors(listed if self.redo else self.listed_now())

    def superblock(self):
        """Section 2."""
        slots = []
        for slot in range(2):
            for slot_bytes in [1 << n for n in range(14, 27)]:
                block = mended_block(self.device[slot * slot_bytes:slot * slot_bytes + 512], b"LEATSUPR")
                if block and u32(block, 68) == slot_bytes:
                    slots.append(block)
                    where = slot
                    break
        if not slots:
            raise Bad("neither superblock holds")
        other = 0 if where == 1 else u32(slots[0], 68)
        self.misled = len(slots) == 1 and self.device[other:other + 512].strip(b"\0") != b""
        slots.sort(key=lambda block: -u64(block, 16))
        self.misled = self.misled or bool(u32(slots[0], 92) & 1)
        block = slots[0]
        if u32(block, 8) != 1:
            raise Bad("another format version")
        self.ids = {block[24:40], block[40:56]} - {bytes(16)}  # its own, and that of the log it was forked from
        self.page, self.segment_bytes, self.segments, _ = struct.unpack_from("<4I", block, 56)
        self.told_segments = self.segments
        self.pool, self.starts = u64(block, 72), u64(block, 80)
        self.void_from, self.void_generation = u32(block, 220), u64(block, 224)
        places = [(block, 128), (block, 232)] + [(one, 128) for one in slots[1:]]
        places = [struct.unpack_from("<IIIIQ", one, at) for one, at in places]
        self.checkpoints = list(dict.fromkeys(place for place in places if place[0] != NONE and place[2] != 0))

    def bytes_of(self, number):
        at = self.pool + number * self.segment_bytes
        return self.device[at:at + self.segment_bytes]

    # ---- section 7

    def load_checkpoint(self, segment, position, size, salt, generation):
        data = self.bytes_of(segment)[:position + size]
        end, data = self.checkpoint_commit(data, position, salt, generation)
        frames = list(self.frames_of(data, end, salt))
        if len(frames) != 1 or frames[0].type != 40:
            raise Bad
        body = frames[0].body
        number, count, _, extents = struct.unpack_from("<QQQI", body, 0)
        begun = None
        for i in range(extents):
            one, its_salt, its_generation, at, to = struct.unpack_from("<IIQII", body, 32 + 24 * i)
            self.extents.append((one, its_salt, its_generation, at, to))
            data = self.bytes_of(one)[:to]
            while at < to:
                commit, data = self.checkpoint_commit(data, at, its_salt, its_generation)
                for frame in self.frames_of(data, commit, its_salt):
                    count -= 1
                    if frame.type == 32:
                        begun = u64(frame.body, 0)
                        self.redo = (u32(frame.body, 8), u64(frame.body, 16), u64(frame.body, 24))
                    elif frame.type == 33:
                        self.live_streams.add(frame.stream)
                        self.raise_start(frame.stream, struct.unpack_from("<q", frame.body, 0)[0])
                        self.raise_end(frame.stream, struct.unpack_from("<q", frame.body, 8)[0])
                    elif frame.type == 34:
                        first, entries = struct.unpack_from("<II", frame.body, 0)
                        self.segments = max(self.segments, first + entries)
                        if self.segments > (len(self.device) - self.pool) // self.segment_bytes:
                            raise Bad
                        for j in range(entries):
                            its_generation_, place, _, salt_, data_end, footer, _, area, state, records = struct.unpack_from(
                                "<QQQIIIIBBB", frame.body, 8 + 48 * j)
                            self.generation[first + j] = its_generation_
                            if area == 1 and state in (1, 2) or area == 2 and state == 2 and records == 1:
                                self.table[first + j] = Segment(first + j, its_generation_, place, salt_, area, data_end, footer)
                                self.table[first + j].listed_open = state == 1
                    elif frame.type == 4:
                        self.fact(frame)
                at += commit.bytes
        if count != 0 or begun != number:
            raise Bad
        self.extents.append((segment, salt, generation, position, position + size))
        for extent in self.extents:
            self.table.pop(extent[0], None)
            self.generation[extent[0]] = extent[2]

    def checkpoint_commit(self, data, at, salt, generation):
        """The commit, and the bytes that it is in: section 11 may have changed them."""
        for _ in range(2):
            try:
                commit = Commit(data, at, len(data), salt)
                if commit.kind == 3 and commit.generation == generation and self.holds(data, commit, salt, None) is not Bad:
                    return commit, data
            except Bad:
                pass
            data = mended_commit(data, at, salt, True)
        raise Bad

    # ---- sections 4 and 5: what holds

    def frames_of(self, data, commit, salt):
        at = commit.position + 80
        for _ in range(commit.frames):
            frame = Frame(data, at, commit.position + commit.used, salt)
            yield frame
            at += frame.padded

    def holds(self, data, commit, salt, part):
        """Bad, or what goes on in the next commit: (stream, bytes so far, bytes in all, crc so far, wanted crc)."""
        try:
            frames = list(self.frames_of(data, commit, salt))
            if tied(frame.crc for frame in frames) != commit.tie:
                return Bad
            for i, frame in enumerate(frames):
                if frame.holds_batch:
                    batch = Batch(frame.body)
                    crc = crc32c(0, frame.body[21:])
                    if frame.goes_on:
                        if i + 1 != len(frames):
                            return Bad
                        part = (frame.stream, frame.body_bytes, frame.total, crc, batch.crc)
                    elif crc != batch.crc:
                        return Bad
                elif frame.type == 3 and part and i == 0:
                    stream, have, total, crc, wanted = part
                    if frame.stream != stream or frame.before != have:
                        return Bad
                    have, crc = have + frame.body_bytes, crc32c(crc, frame.body)
                    part = (stream, have, total, crc, wanted)
                    if not frame.goes_on:
                        if have != total or crc != wanted:
                            return Bad
                        part = None
        except Bad:
            return Bad
        if not commit.flags & 2:
            part = None
        padding = data[commit.position + commit.used:commit.position + commit.bytes]
        if commit.kind != 2 and padding.strip(b"\0"):
            return Bad
        return part

    # ---- sections 3 and 9: the ring

    def header(self, number):
        if number >= self.segments:
            return None
        block = mended_block(self.bytes_of(number)[:512], b"LEATSEGM")
        if not block or u32(block, 8) != 1:
            return None
        if block[16:32] not in self.ids or u32(block, 32) != number or u32(block, 68) != self.page:
            return None
        one = Segment(number, u64(block, 40), u64(block, 48), u32(block, 64), block[36])
        one.first_sequence, one.run, one.kind = u64(block, 56), u32(block, 112), block[37]
        one.before, one.before_end, one.before_generation = struct.unpack_from("<IIQ", block, 72)
        one.candidates = [u32(block, 120 + 4 * i) for i in range(min(u32(block, 116), 8))]
        void = one.before_generation == self.void_generation != 0 and one.run < self.starts
        return None if void and one.area == 1 else one

    def listed(self, number, place):
        """Section 9, damage on the way: a header that does not hold, from the checkpoint's table."""
        entry = self.table.get(number)
        if not entry or entry.area != 1 or entry.place != place:
            return None
        one = Segment(number, entry.generation, place, entry.salt, 1)
        one.first_sequence, one.run, one.kind, one.candidates = 0, 0, 0, []
        one.before, one.before_end, one.before_generation = NONE, self.segment_bytes, 0
        try:
            data = self.bytes_of(number)
            commit = Commit(data, self.page, len(data), one.salt)
            if commit.generation == one.generation:
                one.first_sequence, one.run = commit.sequence, commit.run
                return one
        except Bad:
            pass
        return one if self.footer(one) else None

    def header_lost(self, number):
        if number >= self.segments:
            return False
        data = self.bytes_of(number)
        if mended_block(data[:512], b"LEATSEGM"):
            return False
        return (data[:512] + data[self.page:self.page + 80]).strip(b"\0") != b""

    def newest_headers(self):
        newest = {}
        for one in filter(None, map(self.header, range(self.segments))):
            if one.area == 1 and one.place > 0:
                if one.place not in newest or newest[one.place].generation < one.generation:
                    newest[one.place] = one
        return [newest[place] for place in sorted(newest)]

    def behind_damage(self, at, candidates):
        lost = not candidates or self.misled or any(map(self.header_lost, candidates))
        if not lost and at and not self.footer_counts(at):
            lost, named = self.footer_lost(at)
            after = self.successor(at.number, at.generation, at.place, named)
            if after:
                return after
            lost = lost or any(map(self.header_lost, named))
        if not lost:
            return None
        place, generation = (at.place, at.generation) if at else (0, 0)
        return next((one for one in self.newest_headers() if one.place > place and one.generation > generation), None)

    def footer_lost(self, at):
        """Whether who it names is lost with it, and who is known to be named."""
        data = self.bytes_of(at.number)
        last = data[-32:]
        told = (last[:4] == b"LEAF" and u32(last, 4) == crc32c(at.salt, last[8:]) and u64(last, 8) == at.generation
                and u32(last, 16) + u32(last, 20) == self.segment_bytes and not self.void(at, u32(last, 16), u32(last, 28)))
        for place in range(self.page, self.segment_bytes, self.page):
            try:
                commit = Commit(data, place, self.segment_bytes, at.salt)
            except Bad:
                continue
            if commit.generation != at.generation:
                continue
            if commit.kind == 4 and commit.run == self.starts:
                return False, []
            if commit.kind != 2 or commit.bytes != self.segment_bytes - place or self.void(at, place, commit.run):
                continue
            try:
                frame = Frame(data, place + 80, place + 168, at.salt)
                if frame.type == 16 and frame.header_bytes == 24 and frame.body_bytes == 64:
                    other = told and (u32(last, 16), u32(last, 24)) != (place, commit.tie)
                    return other, [u32(frame.body, 32 + 4 * i) for i in range(min(u32(frame.body, 4), 8))]
            except Bad:
                pass
            return True, []
        return told, []

    def successor(self, number, generation, place, candidates):
        found = []
        for candidate in candidates:
            one = self.header(candidate)
            if not one:
                one = self.listed(candidate, place + 1)
                if one:
                    one.before, one.before_generation = number, generation
            found.append(one)
        fit = [one for one in found
               if one and one.area == 1 and one.place == place + 1 and one.before == number
               and one.before_generation == generation]
        return max(fit, key=lambda one: one.generation, default=None)

    def footer(self, one):
        """Section 6: the footer's commit and frames, or None."""
        data = self.bytes_of(one.number)
        last = data[-32:]
        if last[:4] != b"LEAF" or u32(last, 4) != crc32c(one.salt, last[8:]) or u64(last, 8) != one.generation:
            return None
        position, size = u32(last, 16), u32(last, 20)
        if position + size != len(data) or position % self.page:
            return None
        try:
            commit = Commit(data, position, len(data), one.salt)
            if commit.kind != 2 or commit.generation != one.generation or commit.bytes != size:
                return None
            frames = list(self.frames_of(data, commit, one.salt))
            return (commit, frames) if tied(frame.crc for frame in frames) == commit.tie == u32(last, 24) else None
        except Bad:
            return None

    def follow_ring(self):
        at = None
        if self.redo:
            at = self.header(self.redo[0]) or self.listed(self.redo[0], self.redo[2])
            if at and (at.generation, at.place) != self.redo[1:]:
                at = None
        else:
            at = self.successor(NONE, 0, 0, range(8))
            if not at and not self.misled:
                at = self.behind_damage(None, range(8))
        if self.misled if not self.redo else not at:  # the chain cannot be entered: all headers by place
            chain = [one for one in self.newest_headers() if not self.redo or one.place >= self.redo[2]]
            for i, one in enumerate(chain):
                after = chain[i + 1] if i + 1 < len(chain) else None
                named = after and after.place == one.place + 1 and after.before_generation == one.generation
                self.take(one, after.before_end if named else self.segment_bytes, not after)
            if chain:
                self.set_free(chain[-1])
            return
        while at:
            candidates = at.candidates + self.promised(at)
            after = self.successor(at.number, at.generation, at.place, candidates) or self.behind_damage(at, candidates)
            named = after and after.before_generation == at.generation
            self.take(at, after.before_end if named else self.segment_bytes, not after)
            if not after:
                self.set_free(at)
            at = after

    def void(self, one, position, run):
        return one.generation == self.void_generation and position >= self.void_from and run < self.starts

    def footer_counts(self, one):
        footer = self.footer(one)
        return footer if footer and not self.void(one, footer[0].position, footer[0].run) else None

    def promised(self, one):
        footer = self.footer_counts(one)
        bodies = [frame.body for frame in footer[1] if frame.type == 16] if footer else []
        return [u32(body, 32 + 4 * i) for body in bodies for i in range(min(u32(body, 4), 8))]

    def set_free(self, last):
        for number in last.candidates + (self.promised(last) if last.footer else []):
            named = self.table.get(number)
            if number != last.number and named and (named.area == 1 or named.generation < last.generation):
                del self.table[number]

    def listed_now(self):
        return sorted((one for one in self.table.values()
                       if not self.redo or one.area == 2 or one.place < self.redo[2]), key=Segment.ring_order)

    def adopt_survivors(self, listed):
        """Section 9.1: the checkpoint in force is lost, and with it which moves were done."""
        unknown = not self.redo
        found = []
        for one in filter(None, map(self.header, range(self.segments))):
            if one.area != 2 or one.kind != 0 or one.generation <= self.generation.get(one.number, 0):
                continue
            footer = self.footer(one)
            if not footer:
                continue
            fits, held = True, {}  # stream -> reached, end, a hole since, lacking
            for frame in footer[1]:
                if frame.type == 16:
                    one.data_end, one.footer = u32(frame.body, 0), footer[0].position
                elif frame.type == 17 and frame.stream in self.live_streams:
                    first, end = struct.unpack_from("<qq", frame.body, 0)
                    fits = fits and end <= self.ends.get(frame.stream, 0)
                    start = max(first, self.start.get(frame.stream, 0))
                    if first >= 0 and start < end:
                        held[frame.stream] = [start, end, unknown, False]
            if fits:
                found.append((one, held))
        for entry in listed:
            one, now = self.header(entry.number), self.table.get(entry.number)
            live = one and now and one.generation == now.generation == entry.generation
            ranges = self.ranges_of(one, now.data_end) if live else {}
            for copies, held in found:
                for number, (first, end) in ranges.items():
                    if number in held:
                        stream = held[number]
                        stream[3] = stream[3] or stream[2] and stream[0] < min(first, stream[1])
                        stream[0], stream[2] = max(stream[0], end), False
                if unknown or not ranges and entry.place >= copies.place:
                    for stream in held.values():
                        stream[2] = True
        for one, held in found:
            if any(lacking or reached < end for reached, end, _, lacking in held.values()):
                self.table[one.number] = one

    def ranges_of(self, one, data_end):
        """Stream -> first and end offset: by the footer, else by the commits, of which the whole ones count here."""
        footer = self.footer(one)
        if footer and any(frame.type == 16 and u32(frame.body, 0) == data_end for frame in footer[1]):
            told = [(frame.stream, struct.unpack_from("<qq", frame.body, 0)) for frame in footer[1] if frame.type == 17]
            return {stream: (first, end) for stream, (first, end) in told if first >= 0}
        data, at, ranges, begun = self.bytes_of(one.number), self.page, {}, {}
        while data_end - at >= self.page:
            commit = self.walk_commit(data, one, at, data_end)
            for frame in self.frames_of(data, commit, one.salt) if commit else []:
                if frame.holds_batch:
                    batch = Batch(frame.body)
                    begun[frame.stream] = (batch.base, batch.end)
                if frame.stream in begun and (frame.holds_batch or frame.type == 3) and not frame.goes_on:
                    first, end = begun[frame.stream]
                    old = ranges.get(frame.stream, (first, end))
                    ranges[frame.stream] = (min(first, old[0]), max(end, old[1]))
            at += commit.bytes if commit else self.page
        return ranges

    def is_free(self, number, last):
        entry = self.table.get(number)
        return number < self.segments and number not in [extent[0] for extent in self.extents] and not (
            entry and entry.area == 2 and entry.generation > last.generation)

    def take(self, one, valid_end, last):
        """What a segment tells: by its footer, else by its commits (section 9)."""
        footer = self.footer_counts(one)
        if footer and last and sum(self.is_free(number, one) for number in {*one.candidates, *self.promised(one)}) <= max(
                1, len(self.extents)):
            ends = [u32(frame.body, 0) for frame in footer[1] if frame.type == 16]
            footer = None if self.scan(one, self.segment_bytes, learns=False) in ends else footer
        self.table[one.number] = one
        self.generation[one.number] = one.generation
        if footer:
            for frame in footer[1]:
                if frame.type == 16 and valid_end in (u32(frame.body, 0), self.segment_bytes):
                    one.data_end, one.footer = u32(frame.body, 0), footer[0].position
        if one.footer:
            self.learn_footer(footer[1])
            return
        self.scan(one, valid_end)

    def learn_footer(self, frames):
        for frame in frames:
            if frame.type == 17:
                log_start, flags = struct.unpack_from("<q", frame.body, 16)[0], u32(frame.body, 76)
                if flags & 1:
                    self.forget(frame.stream)
                else:
                    self.live_streams.add(frame.stream)
                    self.raise_start(frame.stream, log_start)
                    self.raise_end(frame.stream, struct.unpack_from("<q", frame.body, 8)[0])
                    self.raise_end(frame.stream, struct.unpack_from("<q", frame.body, 24)[0])
            elif frame.type in (4, 5):
                self.fact(frame)

    def scan(self, one, limit, learns=True):
        """Without learning: where the commits end in front of the footer, if all of them hold up to there."""
        data = self.bytes_of(one.number)
        state = {"sequence": one.first_sequence, "run": one.run, "last": None}

        def commit_at(at, exact, part, data=data):
            try:
                commit = Commit(data, at, limit, one.salt)
            except Bad:
                return None, None
            if commit.generation != one.generation or commit.run < state["run"] or commit.bytes % self.page:
                return None, None
            if commit.sequence != state["sequence"] if exact else commit.sequence < state["sequence"]:
                return None, None
            if one.generation == self.void_generation and at >= self.void_from and commit.run < self.starts:
                return None, None
            part = self.holds(data, commit, one.salt, part)
            return (None, None) if part is Bad else (commit, part)

        at, part, commit = self.page, None, None
        while limit - at >= self.page:
            commit, after = commit_at(at, True, part)
            if commit is None:
                if state["last"] and state["last"].kind == 4 and state["last"].run == self.starts:
                    break
                later = at + self.page
                while later < limit and commit is None:
                    commit, after = commit_at(later, False, None)
                    later += 0 if commit else self.page
                if commit is None:  # the end, but for one that was whole once
                    try:
                        commit, after = commit_at(at, True, part, mended_commit(data[:limit], at, one.salt, False))
                    except Bad:
                        pass
                    if commit is None or commit.kind == 2 or not learns:
                        commit = None
                        break
                    self.salvage(data, one, at, at + commit.bytes, state["sequence"])
                    state.update(run=commit.run, sequence=commit.sequence + 1, last=commit)
                    part = after
                    at += commit.bytes
                    continue
                if commit.kind != 2 or commit.sequence != state["sequence"]:
                    if not learns:
                        return None
                    if commit.kind == 2:
                        frames = list(self.frames_of(data, commit, one.salt))
                        self.learn_footer(frames)
                        for body in [frame.body for frame in frames if frame.type == 16]:
                            at = u32(body, 0)
                            one.candidates = one.candidates + [
                                u32(body, 32 + 4 * i) for i in range(min(u32(body, 4), 8))]
                    else:
                        self.salvage(data, one, at, later, state["sequence"])
                if commit.kind == 2:
                    break
                at = later
            elif commit.kind == 2:
                break
            part = after
            for frame in self.frames_of(data, commit, one.salt) if learns else []:
                self.learn(frame, commit.sequence)
            state.update(run=commit.run, sequence=commit.sequence + 1, last=commit)
            at += commit.bytes
        if not learns:
            return at if commit and commit.kind == 2 else None
        if at < limit < self.segment_bytes and not (commit and commit.kind == 2):
            self.salvage(data, one, at, limit, state["sequence"])
            at = limit
        one.data_end = at

    def salvage(self, data, one, at, to, sequence):
        begin, expected, tries = at, False, 4
        data = data[:to]
        while to - at >= 24:
            if at % self.page == 0:
                head = data[at:at + 80]
                try:
                    commit = Commit(data[:at] + mended_commit_header(head, one.salt) + data[at + 80:] if at == begin else data,
                                    at, len(data), one.salt)
                    if commit.generation == one.generation and commit.sequence >= sequence:
                        sequence, expected = commit.sequence, commit.frames > 0
                        at += 80
                        continue
                except Bad:
                    pass
            whole, lost = data, False
            try:
                frame = Frame(data, at, to, one.salt)
                if frame.type not in KNOWN or frame.header_bytes != (40 if frame.type == 2 else 24):
                    raise Bad
            except Bad:
                try:
                    if not expected or tries == 0:
                        raise
                    tries -= 1
                    whole, frame = mended_frame(data, at, to, one.salt, True)
                    lost = True
                except Bad:
                    at, expected = at + 8, False
                    continue
            expected = True
            if frame.holds_batch:
                try:
                    batch = Batch(frame.body)
                    sure = struct.unpack_from(">i", frame.body, 57)[0] == batch.last_delta + 1
                    if frame.goes_on:
                        lost = not sure
                    else:
                        lost = lost or crc32c(0, frame.body[21:]) != batch.crc
                        if lost and frame.type == 1:
                            self.live_streams.add(frame.stream)
                            self.raise_end(frame.stream, batch.end if sure else batch.base + 1)
                except Bad:
                    lost = True
            else:
                lost = False
            if not lost:
                self.learn(frame, sequence)
            at += frame.padded

    # ---- what is wanted: the log start of each stream

    def learn(self, frame, of_commit):
        if frame.type == 6:
            self.live_streams.add(frame.stream)
            self.raise_start(frame.stream, struct.unpack_from("<q", frame.body, 0)[0])
        elif frame.type == 1:
            self.live_streams.add(frame.stream)
            self.begun_ends[frame.stream] = Batch(frame.body).end
            if not frame.goes_on:
                self.raise_end(frame.stream, self.begun_ends[frame.stream])
        elif frame.type == 3 and not frame.goes_on:
            self.raise_end(frame.stream, self.begun_ends.get(frame.stream, 0))
        elif frame.type == 7:
            self.live_streams.add(frame.stream)
            self.raise_end(frame.stream, struct.unpack_from("<q", frame.body, 0)[0])
        elif frame.type == 8:
            self.forget(frame.stream)
        elif frame.type in (4, 5):
            self.fact(frame, of_commit)

    def raise_start(self, stream, offset):
        self.start[stream] = max(self.start.get(stream, 0), offset)

    def raise_end(self, stream, offset):
        self.ends[stream] = max(self.ends.get(stream, 0), offset)

    def forget(self, stream):
        self.live_streams.discard(stream)
        self.ends.pop(stream, None)
        self.start.pop(stream, None)

    def fact(self, frame, of_commit=0):
        """The books (section 5.1) are the facts that say a log start; the larger sequence is the newer fact."""
        kind, _, key_bytes, value_bytes, sequence = struct.unpack_from("<BBHIQ", frame.body, 0)
        key, value = frame.body[16:16 + key_bytes], frame.body[16 + key_bytes:16 + key_bytes + value_bytes]
        if kind == 64 and key_bytes == 4:
            stream = struct.unpack(">I", key)[0]
            sequence = sequence or of_commit
            if sequence < self.fact_sequence.get(stream, 0):
                return
            self.fact_sequence[stream] = sequence
            if frame.type == 5:
                self.starts_of_books.pop(stream, None)
            elif value[:1] == b"\1":
                self.starts_of_books[stream] = struct.unpack_from("<q", value, 2)[0]

    def wanted(self, stream, end):
        return stream in self.live_streams and end > max(self.start.get(stream, 0), self.starts_of_books.get(stream, 0))

    # ---- section 10: the dump

    def dump(self):
        ring = sorted(self.table.values(), key=Segment.ring_order)
        for one, behind in zip(ring, ring[1:] + [None]):
            if self.recycled(one.number, one.generation):
                continue
            data = self.bytes_of(one.number)
            footer = one.footer or self.find_footer(data, one)
            self.say(what="segment", segment=one.number, area=AREAS[one.area], place=one.place,
                     generation=one.generation, data_end=one.data_end, footer=one.footer)
            last = self.walk(data, one, self.page, one.data_end)
            if not one.footer and behind and self.closed_without_footer(one, behind, last):
                continue
            if footer >= one.data_end:
                self.say_footer(data, one, footer)
        for number, salt, generation, at, to in self.extents:
            if self.recycled(number, generation):
                continue
            is_last = number == self.extents[-1][0]
            ends = [extent[4] for extent in self.extents if extent[0] == number]
            self.say(what="segment", segment=number, area="survivors", place=0, generation=generation,
                     data_end=max(ends) if is_last else ends[-1], footer=0)
            self.walk(self.bytes_of(number), Segment(number, generation, 0, salt, 2), at, to)

    def recycled(self, number, generation):
        block = self.bytes_of(number)[:512]
        good = block[:8] == b"LEATSEGM" and u32(block, 508) == crc32c(0, block[:508]) and block[16:32] in self.ids
        return good and u64(block, 40) > generation

    def find_footer(self, data, one):
        last = data[-32:]
        if last[:4] == b"LEAF" and u32(last, 4) == crc32c(one.salt, last[8:]) and u64(last, 8) == one.generation:
            if u32(last, 16) % self.page == 0 and one.data_end <= u32(last, 16) == len(data) - u32(last, 20):
                return u32(last, 16)
        for at in range(one.data_end, len(data), self.page):
            commit = self.walk_commit(data, one, at, len(data))
            if commit and commit.kind == 2:
                return at
        return 0

    def closed_without_footer(self, one, behind, last):
        """Its write failed: the successor's first sequence is the next one."""
        header = self.header(behind.number)
        return (header and header.area == 1 and one.area == 1 and header.before == one.number
                and header.before_generation == one.generation and header.first_sequence == last + 1)

    def say_footer(self, data, one, at):
        footer = self.footer(one)
        commit = self.walk_commit(data, one, at, len(data))
        if footer and commit and footer[0].position == at and self.holds(data, commit, one.salt, None) is not Bad:
            self.say_commit(one, commit)

    def walk_commit(self, data, one, at, limit):
        try:
            commit = Commit(data, at, limit, one.salt)
            return commit if commit.generation == one.generation and commit.bytes % self.page == 0 else None
        except Bad:
            return None

    def walk(self, data, one, at, to):
        """Returns the sequence of the last commit."""
        last = 0
        while to - at >= self.page:
            commit = self.walk_commit(data, one, at, to)
            if commit:
                self.say_commit(one, commit)
                last = commit.sequence
                self.walk_frames(data, one, at + 80, at + commit.used, True)
                at += commit.bytes
            else:
                end = self.walk_frames(data, one, at + 80, to, False)
                at = (end + self.page - 1) // self.page * self.page
        return last

    def walk_frames(self, data, one, at, limit, inside):
        while at < limit:
            if not inside and at % self.page == 0 and self.walk_commit(data, one, at, limit):
                return at
            try:
                frame = Frame(data, at, limit, one.salt)
                self.say_frame(one, frame)
                at += frame.padded
                continue
            except Bad:
                pass
            if not inside and data[at] == 0:
                return at
            at += 8
            while at < limit and not self.frame_here(data, one, at, limit) and not (
                    not inside and at % self.page == 0 and self.walk_commit(data, one, at, limit)):
                at += 8
            at = min(at, limit)
        return at

    def frame_here(self, data, one, at, limit):
        try:
            return Frame(data, at, limit, one.salt)
        except Bad:
            return None

    def say_commit(self, one, commit):
        self.say(what="commit", segment=one.number, position=commit.position, kind=KINDS.get(commit.kind, "unknown"),
                 sequence=commit.sequence, bytes=commit.bytes, used=commit.used, frames=commit.frames, run=commit.run,
                 log_time_ms=commit.log_time, wall_ms=commit.wall)

    def say_frame(self, one, frame):
        line = dict(what="frame", segment=one.number, position=frame.at, type=TYPES.get(frame.type, "unknown"),
                    stream=frame.stream, body_bytes=frame.body_bytes)
        if frame.holds_batch:
            try:
                batch = Batch(frame.body)
                if batch.bytes == frame.total:
                    line.update({"from": batch.base, "to": batch.end, "batch_bytes": batch.bytes,
                                 "codec": batch.attributes & 7, "max_timestamp": batch.max_timestamp,
                                 "producer_id": batch.producer_id, "sequence": batch.sequence,
                                 "wanted": int(self.wanted(frame.stream, batch.end))})
            except Bad:
                pass
        elif frame.type in (4, 5):
            kind, _, key_bytes, value_bytes, _ = struct.unpack_from("<BBHIQ", frame.body, 0)
            line.update(kind=kind, key=frame.body[16:16 + key_bytes].hex(), value_bytes=value_bytes)
        elif frame.type in (6, 7):
            line.update(offset=struct.unpack_from("<q", frame.body, 0)[0])
        self.say(**line)

    def say(self, **line):
        self.out.append(line)


def dump(path):
    log = Log(path)
    log.dump()
    return log.out


def compare(leatd, maker, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    subprocess.run([maker, folder], check=True, timeout=120)
    samples = sorted(os.listdir(folder))
    wrong, totals = 0, {}
    for name in samples:
        path = os.path.join(folder, name)
        done = subprocess.run([leatd, "log", "dump", "--json", path], stdout=subprocess.PIPE, timeout=120)
        theirs = [json.loads(line) for line in done.stdout.decode().splitlines()]
        theirs = [line for line in theirs if line["what"] in ("segment", "commit", "frame")]
        try:
            ours = dump(path)
        except Bad as bad:
            ours = [{"what": "bad", "why": str(bad)}]
        for line in ours + theirs:
            if line["what"] == "segment" and line.get("area") == "survivors":
                line["place"] = 0  # what a checkpoint's segment says of its place is for the writer alone
        if ours != theirs or not ours:
            wrong += 1
            print("%s: %d lines here, %d there" % (name, len(ours), len(theirs)))
            for a, b in zip(ours + [None], theirs + [None]):
                if a != b:
                    print("  FORMAT.md  %s\n  leatd      %s" % (a, b))
                    break
        if "-hurt-" not in name:  # a power cut is no damage
            done = subprocess.run([leatd, "log", "verify", path], stdout=subprocess.PIPE, timeout=120)
            if done.returncode != 0:
                wrong += 1
                print("%s: verify says\n%s" % (name, done.stdout.decode()))
        for line in ours:
            key = line.get("type") or line["what"]
            totals[key] = totals.get(key, 0) + 1
    print("%d logs, %d differ; %s" % (len(samples), wrong, ", ".join("%d %s" % (n, k) for k, n in sorted(totals.items()))))
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong or len(samples) < 10 or not totals.get("append") or not totals.get("moved") or not totals.get("checkpoint_end") else 0


if __name__ == "__main__":
    if len(sys.argv) == 2:
        for shown in dump(sys.argv[1]):
            print(json.dumps(shown))
    elif len(sys.argv) == 4:
        sys.exit(compare(*sys.argv[1:]))
    else:
        sys.exit(__doc__)
