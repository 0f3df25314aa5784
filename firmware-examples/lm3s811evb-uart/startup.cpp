// From reset to run(): memory, constructors, vectors.
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
[[noreturn]] void on_fault() {
    board::reg(0xE000ED0C) = 0x05FA0004;  // AIRCR: system reset
    for (;;) {
    }
}
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
