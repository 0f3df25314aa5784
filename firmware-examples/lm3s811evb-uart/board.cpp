#include "board.hpp"

namespace board {

namespace {

void start_clock() {
    constexpr std::uint32_t rcc = sysctl + 0x60, ris = sysctl + 0x50;
    constexpr std::uint32_t bypass = 1u << 11, power_down = 1u << 13, output_off = 1u << 12,
                            use_divider = 1u << 22;
    constexpr std::uint32_t xtal_6_mhz = 0xBu << 6, divide_by_4 = 3u << 23;
    reg(rcc) = bypass | power_down | output_off | xtal_6_mhz;
    reg(rcc) = bypass | xtal_6_mhz;  // the PLL runs
    while ((reg(ris) & 0x40) == 0) {
    }
    reg(rcc) = xtal_6_mhz | divide_by_4 | use_divider;  // 200 MHz / 4
}

void start_uart() {
    reg(gpio_a + 0x420) = 3;  // AFSEL: PA0 and PA1 are the UART's
    reg(gpio_a + 0x51C) = 3;  // DEN
    reg(uart0 + 0x24) = 27;   // 50 MHz / (16 * 115,200) = 27.127
    reg(uart0 + 0x28) = 8;
    reg(uart0 + 0x2C) = 0x70;   // LCRH: 8N1, FIFOs
    reg(uart0 + 0x38) = 0x50;   // IM: bytes arrived, or a few and then silence
    reg(uart0 + 0x30) = 0x301;  // CTL: on, both ways
    reg(nvic_enable) = 1u << uart0_irq;
}

void start_sampling(std::uint32_t sample_ms) {
    reg(adc0 + 0x00) = 0;       // ACTSS: off while it is set up
    reg(adc0 + 0x14) = 0x5000;  // EMUX: sequencer 3 by timer
    reg(adc0 + 0xA0) = 0;       // SSMUX3: channel 0
    reg(adc0 + 0xA4) = 0x6;     // SSCTL3: the only sample of the sequence
    reg(adc0 + 0x00) = 0x8;
    reg(timer0 + 0x00) = 0;  // one timer of 32 bits
    reg(timer0 + 0x04) = 2;  // periodic
    reg(timer0 + 0x28) = clock_hz / 1000 * sample_ms;
    reg(timer0 + 0x0C) = 0x21;  // on, and triggers the ADC
}

}  // namespace

void start(std::uint32_t sample_ms) {
    start_clock();
    reg(sysctl + 0x100) = 0x00010000;  // RCGC0: ADC
    reg(sysctl + 0x104) = 0x00010001;  // RCGC1: timer 0, UART0
    reg(sysctl + 0x108) = 0x00000001;  // RCGC2: port A
    start_uart();
    start_sampling(sample_ms);
    reg(systick + 4) = clock_hz / 1000 - 1;
    reg(systick + 8) = 0;
    reg(systick) = 7;  // processor clock, interrupt, on
}

}  // namespace board
