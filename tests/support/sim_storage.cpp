#include "tests/support/sim_storage.hpp"

#include <algorithm>
#include <cstring>

namespace leat::test {

void SimImage::read(std::uint64_t at, std::span<std::uint8_t> into) const {
    while (!into.empty()) {
        const std::size_t inside = at % page_bytes;
        const std::size_t count = std::min(into.size(), page_bytes - inside);
        const auto& page = pages_[at / page_bytes];
        if (page)
            std::memcpy(into.data(), page->bytes.data() + inside, count);
        else
            std::memset(into.data(), 0, count);
        into = into.subspan(count);
        at += count;
    }
}

void SimImage::write(std::uint64_t at, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const std::size_t inside = at % page_bytes;
        const std::size_t count = std::min(bytes.size(), page_bytes - inside);
        auto& page = pages_[at / page_bytes];
        const bool zeros =
            count == page_bytes && std::all_of(bytes.begin(), bytes.begin() + page_bytes,
                                               [](std::uint8_t byte) { return byte == 0; });
        if (zeros) {  // costs nothing: a gigabyte of them can be tested
            page.reset();
            bytes = bytes.subspan(count);
            at += count;
            continue;
        }
        if (!page)
            page = std::make_shared<Page>();
        else if (page.use_count() > 1)
            page = std::make_shared<Page>(*page);
        std::memcpy(page->bytes.data() + inside, bytes.data(), count);
        page->hash = 0;
        bytes = bytes.subspan(count);
        at += count;
    }
}

void SimImage::resize(std::uint64_t size) {
    pages_.resize((size + page_bytes - 1) / page_bytes);
    if (size < size_ && size % page_bytes != 0 && pages_.back()) {
        pages_.back() = std::make_shared<Page>(*pages_.back());
        std::fill(pages_.back()->bytes.begin() + size % page_bytes, pages_.back()->bytes.end(),
                  std::uint8_t{0});
        pages_.back()->hash = 0;
    }
    size_ = size;
}

std::uint64_t SimImage::hash() const {
    std::uint64_t sum = size_;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
        const auto& page = pages_[i];
        if (!page) continue;
        if (page->hash == 0) {
            std::uint64_t h = 0x9E3779B97F4A7C15ull;
            bool zero = true;
            for (std::size_t at = 0; at < page_bytes; at += 8) {
                std::uint64_t word;
                std::memcpy(&word, page->bytes.data() + at, 8);
                zero = zero && word == 0;
                h = (h ^ word) * 0x100000001B3ull;
                h ^= h >> 29;
            }
            page->hash = zero ? 1 : (h | 2);
        }
        if (page->hash != 1)
            sum += (page->hash ^ (i * 0xD6E8FEB86659FD93ull)) * 0xFF51AFD7ED558CCDull;
    }
    return sum;
}

SimStorage::SimStorage(SimStorageOptions options, SimImage image)
    : options_(options), image_(std::move(image)), random_(options.seed) {}

port::StorageGeometry SimStorage::geometry() const {
    return {.size = size(), .write_size = options_.write_size, .erase_size = 0, .align = 1};
}

Status SimStorage::start_write(std::uint64_t ticket, std::uint64_t at,
                               std::span<const std::uint8_t> bytes) {
    if (bytes.empty() || at % options_.write_size != 0 || bytes.size() % options_.write_size != 0 ||
        at > size() || bytes.size() > size() - at)
        return fail(Error::invalid);
    // Which of the two would win on a real device nobody knows.
    for (const Erase& erase : erases_)
        LEAT_CHECK(at >= erase.at + erase.size || at + bytes.size() <= erase.at);
    const std::uint64_t number = counts_.writes++;
    counts_.bytes_written += bytes.size();
    const bool fails =
        number >= options_.fail_write_at && number - options_.fail_write_at < options_.fail_writes;
    std::vector<std::uint8_t> written(bytes.begin(), bytes.end());
    constexpr std::uint64_t pool_start = 32 * 1024;
    if (options_.tail_rewritten_in != 0 && at > pool_start &&
        (at - pool_start) % options_.tail_rewritten_in != 0) {
        at -= SimImage::page_bytes;
        written.insert(written.begin(), SimImage::page_bytes, 0);
        image_.read(at, std::span(written).first(SimImage::page_bytes));
    }
    writes_.push_back({ticket, at, std::move(written), fails});
    if (number >= options_.power_cut_at_write) cut_ = true;
    if (on_write) on_write();
    return ok();
}

Status SimStorage::start_read(std::uint64_t ticket, std::uint64_t at,
                              std::span<std::uint8_t> into) {
    if (at > size() || into.size() > size() - at) return fail(Error::invalid);
    const std::uint64_t number = counts_.reads++;
    counts_.bytes_read += into.size();
    image_.read(at, into);
    for (const Write& write : volatile_) {  // a device that lies still reads its own cache
        for (std::size_t i = 0; i < write.bytes.size(); ++i)
            if (write.at + i >= at && write.at + i < at + into.size())
                into[write.at + i - at] = write.bytes[i];
    }
    const bool fails =
        number >= options_.fail_read_at && number - options_.fail_read_at < options_.fail_reads;
    done_.push_back({ticket, !fails});
    return ok();
}

Status SimStorage::start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) {
    if (size == 0 || at % options_.write_size != 0 || size % options_.write_size != 0 ||
        at > this->size() || size > this->size() - at)
        return fail(Error::invalid);
    ++counts_.erases;
    erases_.push_back({ticket, at, size});
    return ok();
}

Status SimStorage::start_shrink(std::uint64_t ticket, std::uint64_t size) {
    if (size % options_.write_size != 0 || size >= this->size() || shrink_)
        return fail(Error::invalid);
    const auto behind = [size](const auto& one, std::uint64_t bytes) {
        return one.at + bytes > size;
    };
    for (const Erase& erase : erases_) LEAT_CHECK(!behind(erase, erase.size));
    for (const Write& write : writes_) LEAT_CHECK(!behind(write, write.bytes.size()));
    ++counts_.shrinks;
    shrink_ = Shrink{ticket, size};
    if (options_.shrinks) limit_ = size;
    if (on_write) on_write();
    return ok();
}

void SimStorage::finish(Write write) {
    if (write.fails) {
        tear(image_, write, static_cast<Tear>(random_.below(tears)), random_);
        done_.push_back({write.ticket, false});
        return;
    }
    done_.push_back({write.ticket, true});
    if (options_.lies_for_writes == 0) {
        image_.write(write.at, write.bytes);
        return;
    }
    volatile_.push_back(std::move(write));
    while (volatile_.size() > options_.lies_for_writes) {
        image_.write(volatile_.front().at, volatile_.front().bytes);
        volatile_.pop_front();
    }
}

void SimStorage::settle() {
    // An erase is slow: it finishes after the writes that came while it ran, or when there are
    // none.
    if (!cut_ && !erases_.empty() && (writes_.empty() || random_.chance(20))) {
        const Erase erase = erases_.front();
        erases_.pop_front();
        const std::vector<std::uint8_t> zeros(erase.size);
        image_.write(erase.at, zeros);
        done_.push_back({erase.ticket, true});
        return;
    }
    if (!cut_ && shrink_ && (writes_.empty() || random_.chance(20))) {
        const bool fails = std::exchange(shrink_fails_, false);
        if (options_.shrinks && !fails) image_.resize(shrink_->size);
        done_.push_back({shrink_->ticket, !fails});
        shrink_.reset();
        return;
    }
    while (!held_ && !cut_ && !writes_.empty()) {
        const std::size_t index = options_.shuffle ? random_.below(writes_.size()) : 0;
        complete(index);
        if (options_.shuffle) break;  // one at a time, so that others may be submitted in between
    }
}

void SimStorage::complete(std::size_t index, bool good) {
    Write write = std::move(writes_[index]);
    writes_.erase(writes_.begin() + static_cast<std::ptrdiff_t>(index));
    write.fails = write.fails || !good;
    finish(std::move(write));
}

std::optional<port::StorageDone> SimStorage::poll_done() {
    if (cut_) return std::nullopt;
    if (done_.empty()) settle();
    if (done_.empty()) return std::nullopt;
    const Done done = done_.front();
    done_.pop_front();
    return port::StorageDone{done.ticket, done.good ? ok() : Status(fail(Error::storage))};
}

void SimStorage::wait_done() {
    if (done_.empty()) settle();
}

void SimStorage::tear(SimImage& image, const Write& write, Tear tear, SimRandom& random) const {
    const std::size_t sector = options_.sector;
    const std::size_t count = (write.bytes.size() + sector - 1) / sector;
    const std::uint64_t drawn = random.next();
    const std::size_t one = drawn % count;
    const std::uint64_t page = (write.at + one * sector) / options_.lost_page * options_.lost_page;
    for (std::size_t i = 0; i < count; ++i) {
        bool keep = false;
        bool garbage = false;
        switch (tear) {
            case Tear::dropped:
                break;
            case Tear::kept:
                keep = true;
                break;
            case Tear::prefix:
                keep = i < one;
                break;
            case Tear::suffix:
                keep = i >= one;
                break;
            case Tear::subset:
                keep = random.chance(50);
                break;
            case Tear::garbage:
                keep = random.chance(70);
                garbage = i == one;
                break;
            case Tear::one_missing:
                keep = i != one;
                break;
            case Tear::one_kept:
                keep = i == one;
                break;
            case Tear::page_lost:
                keep = (write.at + i * sector) / options_.lost_page * options_.lost_page != page;
                break;
        }
        const std::size_t size = std::min(sector, write.bytes.size() - i * sector);
        if (garbage) {
            std::vector<std::uint8_t> bytes(size);
            for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
            image.write(write.at + i * sector, bytes);
        } else if (keep) {
            image.write(write.at + i * sector, std::span(write.bytes).subspan(i * sector, size));
        }
    }
    // Half of the time it is as before, else nothing of it is, whatever else it held.
    if (tear != Tear::page_lost || (drawn >> 32 & 1) == 0 || page >= image.size()) return;
    const std::uint64_t size = std::min<std::uint64_t>(options_.lost_page, image.size() - page);
    std::vector<std::uint64_t> noise(size / 8);
    SimRandom any(drawn);
    for (std::uint64_t& word : noise) word = any.next();
    image.write(page, {reinterpret_cast<const std::uint8_t*>(noise.data()), noise.size() * 8});
}

SimImage SimStorage::crash_image(Tear how, SimRandom& random) const {
    SimImage image = image_;
    // Of what a lying device said was done, a prefix really is.
    std::size_t lied = volatile_.empty() ? 0 : random.below(volatile_.size() + 1);
    for (const Write& write : volatile_) {
        if (lied-- == 0) break;
        image.write(write.at, write.bytes);
    }
    for (const Erase& erase : erases_) {
        const std::vector<std::uint8_t> zeros(erase.size / 4096 * 4096 / 2);
        if (random.chance(50)) image.write(erase.at + random.below(2) * zeros.size(), zeros);
    }
    if (shrink_ && options_.shrinks && random.chance(50)) image.resize(shrink_->size);
    for (const Write& write : writes_) {
        // The newest write gets the tear asked for, older ones any: that is what reordering means.
        const bool newest = &write == &writes_.back();
        tear(image, write, newest ? how : static_cast<Tear>(random.below(tears)), random);
    }
    return image;
}

void SimStorage::power_cycle() {
    image_ = crash_image(static_cast<Tear>(random_.below(tears)), random_);
    writes_.clear();
    erases_.clear();
    shrink_.reset();
    limit_ = UINT64_MAX;
    volatile_.clear();
    done_.clear();
    cut_ = false;
    held_ = false;
    options_.power_cut_at_write = UINT64_MAX;
}

}  // namespace leat::test
