// Every allocation of the program, counted: reading hurt bytes must ask for no more memory than a bound, in all or at
// one go. The C++ allocation functions are replaced; AddressSanitizer still watches malloc and free below them.
#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "tests/fuzz/flash_changes.hpp"

namespace {

std::atomic<std::size_t> held{0}, most{0};  // most: 0 = no bound

void* counted(std::size_t bytes, std::size_t align) {
    const std::size_t bound = most.load(std::memory_order_relaxed);
    const std::size_t all = held.load(std::memory_order_relaxed);
    if (bound != 0 && (bytes > bound || all > bound - bytes)) {
        std::fprintf(stderr, "unbounded memory: %zu bytes more than the %zu that are held\n", bytes, all);
        std::abort();
    }
    void* const at = align <= alignof(std::max_align_t)
                         ? std::malloc(bytes)
                         : std::aligned_alloc(align, (bytes + align - 1) / align * align);
    if (at == nullptr) std::abort();
    held.fetch_add(malloc_usable_size(at), std::memory_order_relaxed);
    return at;
}

void uncounted(void* at) {
    if (at == nullptr) return;
    held.fetch_sub(malloc_usable_size(at), std::memory_order_relaxed);
    std::free(at);
}

}  // namespace

namespace leat::log::fuzz {

void bound_memory(std::size_t bytes) { most = bytes == 0 ? 0 : held + bytes; }

}  // namespace leat::log::fuzz

void* operator new(std::size_t bytes) { return counted(bytes, 0); }
void* operator new[](std::size_t bytes) { return counted(bytes, 0); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes, 0); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t align) {
    return counted(bytes, static_cast<std::size_t>(align));
}
void* operator new[](std::size_t bytes, std::align_val_t align) {
    return counted(bytes, static_cast<std::size_t>(align));
}
void operator delete(void* at) noexcept { uncounted(at); }
void operator delete[](void* at) noexcept { uncounted(at); }
void operator delete(void* at, std::size_t) noexcept { uncounted(at); }
void operator delete[](void* at, std::size_t) noexcept { uncounted(at); }
void operator delete(void* at, std::align_val_t) noexcept { uncounted(at); }
void operator delete[](void* at, std::align_val_t) noexcept { uncounted(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { uncounted(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { uncounted(at); }
