// The LM3S811 evaluation board (Cortex-M3, 64 KB flash, 8 KB RAM, 50 MHz): just the registers that
// this image uses. Register names are the data sheet's.
#pragma once

#include <cstdint>

namespace board {

inline volatile std::uint32_t& reg(std::uint32_t address) {
    return *reinterpret_cast<volatile std::uint32_t*>(address);
}

constexpr std::uint32_t clock_hz = 50'000'000;
constexpr std::uint32_t sysctl = 0x400FE000, uart0 = 0x4000C000, gpio_a = 0x40004000;
constexpr std::uint32_t timer0 = 0x40030000, adc0 = 0x40038000, systick = 0xE000E010,
                        nvic_enable = 0xE000E100;
constexpr std::uint32_t uart0_irq = 5;

/// PL011 of UART0, for leat::device::UartTransport.
struct Uart0 {
    static bool can_read() { return (reg(uart0 + 0x18) & 0x10) == 0; }  // FR.RXFE
    static std::uint8_t read() { return static_cast<std::uint8_t>(reg(uart0)); }
    static bool can_write() { return (reg(uart0 + 0x18) & 0x20) == 0; }  // FR.TXFF
    static void write(std::uint8_t byte) { reg(uart0) = byte; }
};

/// 50 MHz from the PLL and the 6 MHz crystal, UART0 at 115,200 8N1 with interrupts, a tick per
/// millisecond, and the ADC sampling the potentiometer (channel 0) whenever timer 0 has run
/// `sample_ms`.
void start(std::uint32_t sample_ms);

/// The last sample of the ADC, 10 bits.
inline std::uint32_t sample() { return reg(adc0 + 0xA8) & 0x3FF; }  // SSFIFO3

inline void sleep_until_interrupt() { asm volatile("wfi"); }

}  // namespace board
