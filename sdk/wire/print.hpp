// Printer: the `io` that shows a message to people. Hosts only pay for it where they call print().
#pragma once

#include <span>
#include <type_traits>

#include "sdk/wire/fields.hpp"

namespace leat::wire {

/// Writes text into the caller's memory and stops when it is full.
class PrintText {
public:
    explicit PrintText(std::span<char> out) : out_(out) {}

    std::size_t size() const { return used_; }
    bool full() const { return used_ == out_.size(); }
    void text(std::string_view text);
    void number(std::int64_t value);
    void number(double value);            ///< six digits; any of a peer's values: nan, inf, 1e+300
    void quoted(const StringView& text);  ///< what is not printable ASCII shows as \xNN
    void hex(const Uuid& uuid);
    void byte_count(const BytesView& bytes);
    void name(const char* name);  ///< with a comma before all but the first of a struct
    void open(char bracket);
    void close(char bracket);

private:
    void put(char c) {
        if (used_ < out_.size()) out_[used_++] = c;
    }

    std::span<char> out_;
    std::size_t used_ = 0;
    bool first_ = true;
};

class Printer : public PrintText {
public:
    Printer(std::span<char> out, std::int16_t version) : PrintText(out), version_(version) {}

    template <class T>
    void operator()(const char* name, const T& field, FieldVersions versions = always) {
        if (!versions.on_wire_in(version_)) return;
        PrintText::name(name);
        value(field);
    }
    template <class T>
    void operator()(std::uint32_t, const char* name, const T& field, FieldVersions versions,
                    const std::type_identity_t<T>& = T{}) {
        (*this)(name, field, versions);
    }

    template <class T>
    void value(const T& field) {
        if constexpr (std::is_same_v<T, bool>)
            text(field ? "true" : "false");
        else if constexpr (std::is_same_v<T, ErrorCode>)
            text(wire::name(field));
        else if constexpr (std::is_same_v<T, double>)
            number(field);
        else if constexpr (std::is_integral_v<T>)
            number(std::int64_t{field});
        else if constexpr (std::is_same_v<T, Uuid>)
            hex(field);
        else if constexpr (std::is_same_v<T, StringView>)
            quoted(field);
        else if constexpr (std::is_same_v<T, BytesView>)
            byte_count(field);
        else if constexpr (is_array<T>)
            array(field);
        else
            structure(field);
    }

    template <class M>
    void structure(const M& m) {
        open('{');
        M::fields(*this, m);
        if constexpr (HasTags<M>) M::tags(*this, m);
        close('}');
    }

private:
    template <class T>
    void array(const Array<T>& items) {
        if (items.is_null()) return text("null");
        open('[');
        for (const T& item : items) {
            if (full()) break;
            name(nullptr);
            value(item);
        }
        close(']');
    }

    std::int16_t version_;
};

}  // namespace leat::wire
