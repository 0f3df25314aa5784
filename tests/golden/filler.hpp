// Messages with something in every field, drawn by chance: what a stranger may ask, in the layout
// of its version.
#pragma once

#include <random>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sdk/wire/fields.hpp"

namespace leat::wire::golden {

/// What fields are filled with.
struct Filling {
    std::minstd_rand random{1};
    std::string_view text;                    ///< of strings: of all, if there are no words
    std::span<const std::string_view> words;
    std::span<const std::int64_t> numbers;    ///< those that fit, else 0
    ByteView bytes;

    bool one_of(unsigned n) { return random() % n == 0; }
};

/// An `io`, as the Encoder.
class Filler : public Writer {
public:
    Filler(Writer writer, Filling& with, std::int16_t version, bool flexible)
        : Writer(writer), with_(with), version_(version), flexible_(flexible) {}

    template <class T>
    void operator()(const char*, T& field, FieldVersions versions = always) {
        if (!versions.on_wire_in(version_)) return;
        if constexpr (std::is_same_v<T, std::int8_t>)
            i8(field = number<T>());  // it may say whether what comes next is there
        else
            value<T>(versions.null_in(version_));
    }

    template <class T>
    void value(Null null) {
        const bool none = null == Null::allowed && with_.one_of(8);
        if constexpr (std::is_same_v<T, bool>) i8(with_.one_of(2) ? 1 : 0);
        else if constexpr (std::is_enum_v<T>) i16(0);
        else if constexpr (std::is_same_v<T, std::int8_t>) i8(number<T>());
        else if constexpr (std::is_same_v<T, std::int16_t>) i16(number<T>());
        else if constexpr (std::is_same_v<T, std::uint16_t>) i16(number<std::int16_t>());
        else if constexpr (std::is_same_v<T, std::int32_t>) i32(number<T>());
        else if constexpr (std::is_same_v<T, std::int64_t>) i64(number<T>());
        else if constexpr (std::is_same_v<T, double>) f64(double(number<std::int32_t>()));
        else if constexpr (std::is_same_v<T, Uuid>) uuid({});
        else if constexpr (std::is_same_v<T, StringView>)
            string(none ? StringView(nullptr) : text(), lengths(), null);
        else if constexpr (std::is_same_v<T, BytesView>)
            bytes(none ? BytesView(nullptr) : BytesView(with_.bytes), lengths(), null);
        else if constexpr (is_array<T>) {
            ArrayView array;
            array.count = none ? -1 : with_.one_of(4) ? 2 : 1;
            array_count(array, lengths(), null);
            for (std::int32_t i = 0; i < array.count; ++i)
                value<typename T::value_type>(Null::refused);
        } else structure<T>();
    }

    template <class M>
    void structure() {
        M m{};
        M::fields(*this, m);
        if (!flexible_) return;
        if constexpr (HasTags<M>) {
            TagCounter counter{version_};
            M::tags(counter, m);
            uvarint(counter.count);
            TagFiller tags{*this};
            M::tags(tags, m);
        } else {
            uvarint(0);
        }
    }

private:
    struct TagCounter {
        std::int16_t version;
        std::uint32_t count = 0;
        void operator()(std::uint32_t, const char*, const auto&, FieldVersions versions,
                        const auto&...) {
            count += versions.on_wire_in(version);
        }
    };
    struct TagFiller {
        Filler& filler;
        template <class T>
        void operator()(std::uint32_t tag, const char*, const T&, FieldVersions versions,
                        const auto&...) {
            if (!versions.on_wire_in(filler.version_)) return;
            const auto before = filler.with_.random;
            const Null null = versions.null_in(filler.version_);
            Filler size(Writer{}, filler.with_, filler.version_, true);
            size.value<T>(null);
            filler.with_.random = before;  // the same again
            filler.uvarint(tag);
            filler.uvarint(static_cast<std::uint32_t>(size.size()));
            filler.value<T>(null);
        }
    };

    Lengths lengths() const { return flexible_ ? Lengths::compact : Lengths::classic; }
    StringView text() {
        if (with_.words.empty() || with_.one_of(4)) return with_.text;
        return with_.words[with_.random() % with_.words.size()];
    }
    template <class T>
    T number() {
        const std::int64_t number = with_.numbers[with_.random() % with_.numbers.size()];
        return static_cast<T>(number) == number ? static_cast<T>(number) : T{};
    }

    Filling& with_;
    std::int16_t version_;
    bool flexible_;
};

/// A body of M.
template <class M>
std::vector<std::uint8_t> filled(Filling& with, std::int16_t version) {
    const auto before = with.random;
    const bool flexible = version >= M::versions.flexible;
    Filler size(Writer{}, with, version, flexible);
    size.structure<M>();
    with.random = before;
    std::vector<std::uint8_t> body(size.size());
    Filler filler(Writer(body), with, version, flexible);
    filler.structure<M>();
    LEAT_CHECK(bool(filler.finish()));
    return body;
}

}  // namespace leat::wire::golden
