// From reset to run(): memory, constructors, vectors.
#include <cstddef>
#include <cstdint>

#include "board.hpp"

extern "C" {
extern std::uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
extern void (*init_begin[])();
extern void (*init_end[])();
void on_systick();
void on_uart0();
[[noreturn]] void run();

[[noreturn]] void on_reset() {
    const std::uint32_t* from = data_load;
    for (std::uint32_t* to = data_begin; to != data_end;) *to++ = *from++;
    for (std::uint32_t* to = bss_begin; to != bss_end;) *to++ = 0;
    for (auto constructor = init_begin; constructor != init_end; ++constructor) (*constructor)();
    run();
}

/// A fault, or an interrupt that nobody asked for: start again. The gateway recognises what it has
/// already.
[[noreturn, gnu::noinline]] void on_fault() {
    board::reg(0xE000ED0C) = 0x05FA0004;  // AIRCR: system reset
    for (;;) {
    }
}
}

// Byte by byte and a tenth of newlib's: nothing here copies more than a batch. The compiler calls
// them by name, and must not take a loop in one of them for a call to itself.
extern "C" {
#define PLAIN gnu::used, gnu::optimize("no-tree-loop-distribute-patterns")
[[PLAIN]] void* memcpy(void* to, const void* from, std::size_t size) {
    auto* out = static_cast<char*>(to);
    auto* in = static_cast<const char*>(from);
    while (size-- > 0) *out++ = *in++;
    return to;
}
[[PLAIN]] void* memmove(void* to, const void* from, std::size_t size) {
    auto* out = static_cast<char*>(to);
    auto* in = static_cast<const char*>(from);
    if (out <= in) return memcpy(to, from, size);
    while (size-- > 0) out[size] = in[size];
    return to;
}
[[PLAIN]] void* memset(void* to, int value, std::size_t size) {
    auto* out = static_cast<char*>(to);
    while (size-- > 0) *out++ = static_cast<char>(value);
    return to;
}
[[PLAIN]] int memcmp(const void* a, const void* b, std::size_t size) {
    auto* x = static_cast<const unsigned char*>(a);
    auto* y = static_cast<const unsigned char*>(b);
    for (; size > 0; --size, ++x, ++y)
        if (*x != *y) return *x - *y;
    return 0;
}
#undef PLAIN
}

namespace leat {
/// No text, no stdio: the arguments are dropped, and with them the strings (link-time
/// optimisation).
[[noreturn]] void check_failed(const char*, const char*, int) noexcept { on_fault(); }
}  // namespace leat

using Vector = void (*)();
struct Vectors {
    const std::uint32_t* stack;
    Vector exceptions[15];
    Vector interrupts[board::uart0_irq + 1];
};
[[gnu::section(".vectors"), gnu::used]] constexpr Vectors vectors{
    stack_top,
    {on_reset, on_fault, on_fault, on_fault, on_fault, on_fault, on_fault, on_fault, on_fault,
     on_fault, on_fault, on_fault, on_fault, on_fault, on_systick},
    {on_fault, on_fault, on_fault, on_fault, on_fault, on_uart0},
};
