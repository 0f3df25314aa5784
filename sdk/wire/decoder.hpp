// Decoder: the `io` that fills a message from a frame. See fields.hpp for what it is driven by.
#pragma once

#include <type_traits>

#include "sdk/wire/fields.hpp"

namespace leat::wire {

template <class Version>
class Decoder : public Reader {
public:
    constexpr Decoder(Reader reader, Version version) : Reader(reader), version_(version) {}

    template <class T>
    [[gnu::always_inline]] void operator()(const char*, T& field, FieldVersions versions = always) {
        if (versions.on_wire_in(version_.number()))
            value(field, versions.null_in(version_.number()));
    }

    template <class T>
    [[gnu::always_inline]] void value(T& field, Null null) {
        if constexpr (std::is_same_v<T, bool>) field = boolean();
        else if constexpr (std::is_enum_v<T>) field = static_cast<T>(i16());
        else if constexpr (std::is_same_v<T, std::int8_t>) field = i8();
        else if constexpr (std::is_same_v<T, std::int16_t>) field = i16();
        else if constexpr (std::is_same_v<T, std::uint16_t>) field = static_cast<T>(i16());
        else if constexpr (std::is_same_v<T, std::int32_t>) field = i32();
        else if constexpr (std::is_same_v<T, std::int64_t>) field = i64();
        else if constexpr (std::is_same_v<T, double>) field = f64();
        else if constexpr (std::is_same_v<T, Uuid>) field = uuid();
        else if constexpr (std::is_same_v<T, StringView>) field = string(version_.lengths(), null);
        else if constexpr (std::is_same_v<T, BytesView>) field = bytes(version_.lengths(), null);
        else if constexpr (is_array<T>) array(field, null);
        else structure(field);
    }

    template <class M>
    void structure(M& m) {
        M::fields(*this, m);
        if (!version_.flexible()) return;
        if constexpr (has_tags<M, Version>()) tags(m);
        else skip_tags();
    }

private:
    /// Offers one tag to a description; the field that bears it takes the bytes.
    struct TagReader {
        Decoder& decoder;
        std::uint32_t tag;
        bool known = false;

        template <class T>
        void operator()(std::uint32_t number, const char*, T& field, FieldVersions versions,
                        const std::type_identity_t<T>& = T{}) {
            std::int16_t version = decoder.version_.number();
            if (number != tag || !versions.on_wire_in(version)) return;
            known = true;
            decoder.value(field, versions.null_in(version));
        }
    };

    template <class M>
    void tags(M& m) {
        for (std::uint32_t count = uvarint(); count > 0 && !failed(); --count) {
            TagReader reader{*this, uvarint()};
            std::uint32_t size = uvarint();
            if (size > left()) return fail_with(Error::truncated);
            // A tag's field sees its own bytes only, and must use them up.
            const std::uint8_t* frame_end = end_;
            end_ = at_ + size;
            M::tags(reader, m);
            if (!failed()) {
                if (reader.known && at_ != end_) fail_with(Error::malformed);
                else at_ = end_;
            }
            end_ = frame_end;
            if (failed()) at_ = end_;
        }
    }

    template <class T>
    void array(Array<T>& field, Null null) {
        T item;
        static_cast<ArrayView&>(field) =
            Reader::array(decode_item<T>, version_.number(), version_.flexible(), null, &item);
    }

    /// The one decoder of elements, for the walk and for the iteration. Depth is that of the types,
    /// never of the data.
    template <class T>
    static void decode_item(Reader& reader, std::int16_t version, bool flexible, void* item) {
        Decoder decoder(reader, Version::make(version, flexible));
        T& field = *static_cast<T*>(item);
        field = T{};
        decoder.value(field, Null::refused);
        reader = decoder;
    }

    [[no_unique_address]] Version version_;
};

}  // namespace leat::wire
