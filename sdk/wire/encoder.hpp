// Encoder: the `io` that writes a message, or only counts its bytes. See fields.hpp.
#pragma once

#include <type_traits>

#include "sdk/wire/fields.hpp"

namespace leat::wire {

template <class Version>
class Encoder : public Writer {
public:
    constexpr Encoder(Writer writer, Version version) : Writer(writer), version_(version) {}

    template <class T>
    [[gnu::always_inline]] void operator()(const char*, const T& field,
                                           FieldVersions versions = always) {
        if (versions.on_wire_in(version_.number()))
            value(field, versions.null_in(version_.number()));
    }

    template <class T>
    [[gnu::always_inline]] void value(const T& field, Null null) {
        if constexpr (std::is_same_v<T, bool>) i8(field ? 1 : 0);
        else if constexpr (std::is_enum_v<T>) i16(static_cast<std::int16_t>(field));
        else if constexpr (std::is_same_v<T, std::int8_t>) i8(field);
        else if constexpr (std::is_same_v<T, std::int16_t>) i16(field);
        else if constexpr (std::is_same_v<T, std::uint16_t>) i16(static_cast<std::int16_t>(field));
        else if constexpr (std::is_same_v<T, std::int32_t>) i32(field);
        else if constexpr (std::is_same_v<T, std::int64_t>) i64(field);
        else if constexpr (std::is_same_v<T, double>) f64(field);
        else if constexpr (std::is_same_v<T, Uuid>) uuid(field);
        else if constexpr (std::is_same_v<T, StringView>) string(field, version_.lengths(), null);
        else if constexpr (std::is_same_v<T, BytesView>) bytes(field, version_.lengths(), null);
        else if constexpr (is_array<T>) array(field, null);
        else structure(field);
    }

    template <class M>
    void structure(const M& m) {
        M::fields(*this, m);
        if (!version_.flexible()) return;
        if constexpr (has_tags<M, Version>()) tags(m);
        else uvarint(0);
    }

private:
    /// Two passes over the tagged fields: how many differ from their default, then those.
    struct TagCounter {
        std::int16_t version;
        std::uint32_t count = 0;

        template <class T>
        void operator()(std::uint32_t, const char*, const T& field, FieldVersions versions,
                        const std::type_identity_t<T>& fallback = T{}) {
            if (versions.on_wire_in(version) && !is_default(field, fallback)) ++count;
        }
    };
    struct TagWriter {
        Encoder& encoder;

        template <class T>
        void operator()(std::uint32_t tag, const char*, const T& field, FieldVersions versions,
                        const std::type_identity_t<T>& fallback = T{}) {
            std::int16_t version = encoder.version_.number();
            if (!versions.on_wire_in(version) || is_default(field, fallback)) return;
            Encoder size(Writer{}, encoder.version_);
            size.value(field, versions.null_in(version));
            encoder.uvarint(tag);
            encoder.uvarint(static_cast<std::uint32_t>(size.size()));
            encoder.value(field, versions.null_in(version));
        }
    };

    template <class T>
    static bool is_default(const T& field, const T& fallback) {
        if constexpr (is_array<T>) return field.empty() && field.is_null() == fallback.is_null();
        else return field == fallback;
    }

    template <class M>
    void tags(const M& m) {
        TagCounter counter{version_.number()};
        M::tags(counter, m);
        uvarint(counter.count);
        TagWriter writer{*this};
        if (counter.count > 0) M::tags(writer, m);
    }

    template <class T>
    void array(const Array<T>& field, Null null) {
        array_count(field, version_.lengths(), null);
        for (const T& item : field.items()) value(item, Null::refused);
        if (!field.decode) return;
        // What was decoded can be encoded again, in any version, but not at a device's expense.
        if constexpr (Version::is_fixed) refuse();
        else
            for (const T& item : field) value(item, Null::refused);
    }

    [[no_unique_address]] Version version_;
};

}  // namespace leat::wire
