#pragma once

/// serializer: how values travel between processes of one program, and byte_writer and byte_reader, which it uses.
///
/// What travels as it is: arithmetic types and enums; trivially copyable ones, byte by byte; strings; vector, array, optional,
/// pair, tuple, map and unordered_map of what travels. Addresses do not: pointers, string_view, span and reference_wrapper are
/// refused by the compiler (in a trivially copyable class of one's own they cannot be seen: leave them out). For another
/// type T specialize
///
///     template <> struct weft::serializer<T> {
///         static void write(byte_writer& out, const T& value) { out.write(value.name); out.write(value.size); }
///         static T read(byte_reader& in) { auto name = in.read<std::string>(); return T(name, in.read<int>()); }
///     };
///
/// Invariant: every value takes at least one byte, so a number of elements can be checked against what is left before
/// anything is allocated for them. Reading checks every length; what is not what was written is a std::runtime_error, never
/// a crash. The byte order is the machine's: both ends are the same program.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>

namespace weft {

template <class T>
struct serializer;

/// Appends values to bytes.
class WEFT_API byte_writer {
public:
    explicit byte_writer(std::string& to) noexcept : to_(to) {}

    template <class T>
    void write(const T& value) {
        serializer<T>::write(*this, value);
    }
    void write_bytes(const void* from, std::size_t size) { to_.append(static_cast<const char*>(from), size); }

private:
    std::string& to_;
};

/// Takes values from bytes.
class WEFT_API byte_reader {
public:
    explicit byte_reader(std::string_view from) noexcept : from_(from) {}

    /// Errors: std::runtime_error if the bytes are not those of a T.
    template <class T>
    T read() {
        return serializer<T>::read(*this);
    }
    /// The next bytes, where they are. Errors: std::runtime_error if there are not so many.
    std::string_view read_bytes(std::size_t size) {
        if (size > from_.size()) refuse("they end too early");
        const std::string_view bytes = from_.substr(0, size);
        from_.remove_prefix(size);
        return bytes;
    }
    /// A number of elements, each of at least so many bytes. Errors: std::runtime_error if they cannot all be there.
    std::size_t read_count(std::size_t bytes_each = 1) {
        std::uint64_t count = 0;
        std::memcpy(&count, read_bytes(sizeof count).data(), sizeof count);
        if (count > from_.size() / bytes_each) refuse("they end too early");
        return static_cast<std::size_t>(count);
    }
    std::size_t left() const noexcept { return from_.size(); }
    /// Errors: std::runtime_error if anything is left.
    void expect_end() const {
        if (!from_.empty()) refuse("there are more of them than the value has");
    }
    /// Throws the std::runtime_error for bytes that are no value of the type.
    [[noreturn]] static void refuse(const char* why);

private:
    std::string_view from_;
};

namespace detail {

template <class T>
inline constexpr bool is_address = std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>;
template <class C, class Traits>
inline constexpr bool is_address<std::basic_string_view<C, Traits>> = true;
template <class T, std::size_t N>
inline constexpr bool is_address<std::span<T, N>> = true;
template <class T>
inline constexpr bool is_address<std::reference_wrapper<T>> = true;
template <class T>
inline constexpr bool is_address<std::initializer_list<T>> = true;

/// Every pattern of bytes is a value.
template <class T>
inline constexpr bool is_plain_number = (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || std::is_same_v<T, std::byte>;

}  // namespace detail

/// What is trivially copyable, byte by byte.
template <class T>
struct serializer {
    static_assert(!detail::is_address<T>, "weft::serializer: an address means nothing in another process; send what is there");
    static_assert(detail::is_address<T> || std::is_trivially_copyable_v<T>,
                  "weft::serializer: this type does not travel by itself; specialize weft::serializer for it");

    static void write(byte_writer& out, const T& value) { out.write_bytes(&value, sizeof value); }
    static T read(byte_reader& in) {
        std::array<std::byte, sizeof(T)> bytes;
        std::memcpy(bytes.data(), in.read_bytes(sizeof(T)).data(), sizeof(T));
        if constexpr (std::is_same_v<T, bool>)
            if (bytes[0] > std::byte{1}) byte_reader::refuse("a bool is neither true nor false");
        return std::bit_cast<T>(bytes);
    }
};

template <>
struct serializer<std::string> {
    static void write(byte_writer& out, const std::string& value) {
        out.write<std::uint64_t>(value.size());
        out.write_bytes(value.data(), value.size());
    }
    static std::string read(byte_reader& in) {
        const std::size_t size = in.read_count();
        return std::string(in.read_bytes(size));
    }
};

template <class T, class Allocator>
struct serializer<std::vector<T, Allocator>> {
    static void write(byte_writer& out, const std::vector<T, Allocator>& values) {
        out.write<std::uint64_t>(values.size());
        if constexpr (detail::is_plain_number<T>) {
            out.write_bytes(values.data(), values.size() * sizeof(T));
        } else {
            for (auto&& value : values) out.write<T>(value);   // vector<bool> has none to refer to
        }
    }
    static std::vector<T, Allocator> read(byte_reader& in) {
        std::vector<T, Allocator> values;
        if constexpr (detail::is_plain_number<T>) {
            const std::size_t count = in.read_count(sizeof(T));
            values.resize(count);
            const std::string_view bytes = in.read_bytes(count * sizeof(T));
            if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
        } else {
            // It grows as elements come: a lie about the count costs no more memory than the bytes that are there.
            for (std::size_t count = in.read_count(); count > 0; --count) values.push_back(in.read<T>());
        }
        return values;
    }
};

template <class T, std::size_t N>
struct serializer<std::array<T, N>> {
    static void write(byte_writer& out, const std::array<T, N>& values) {
        if constexpr (N == 0) out.write(char(0));
        for (const T& value : values) out.write(value);
    }
    static std::array<T, N> read(byte_reader& in) {
        if constexpr (N == 0) {
            in.read<char>();
            return {};
        } else {
            return read_all(in, std::make_index_sequence<N>());
        }
    }

private:
    template <std::size_t... I>
    static std::array<T, N> read_all(byte_reader& in, std::index_sequence<I...>) {
        return {((void)I, in.read<T>())...};   // in order: braces
    }
};

template <class T>
struct serializer<std::optional<T>> {
    static void write(byte_writer& out, const std::optional<T>& value) {
        out.write(value.has_value());
        if (value) out.write(*value);
    }
    static std::optional<T> read(byte_reader& in) {
        if (!in.read<bool>()) return std::nullopt;
        return in.read<T>();
    }
};

template <class... T>
struct serializer<std::tuple<T...>> {
    static void write(byte_writer& out, const std::tuple<T...>& values) {
        if constexpr (sizeof...(T) == 0) out.write(char(0));
        std::apply([&](const T&... value) { (out.write(value), ...); }, values);
    }
    static std::tuple<T...> read(byte_reader& in) {
        if constexpr (sizeof...(T) == 0) {
            in.read<char>();
            return {};
        } else {
            return std::tuple<T...>{in.read<T>()...};   // in order: braces
        }
    }
};

template <class A, class B>
struct serializer<std::pair<A, B>> {
    static void write(byte_writer& out, const std::pair<A, B>& value) {
        out.write(value.first);
        out.write(value.second);
    }
    static std::pair<A, B> read(byte_reader& in) { return {in.read<A>(), in.read<B>()}; }
};

namespace detail {

template <class Map>
struct map_serializer {
    static void write(byte_writer& out, const Map& values) {
        out.write<std::uint64_t>(values.size());
        for (const auto& [key, value] : values) {
            out.write(key);
            out.write(value);
        }
    }
    static Map read(byte_reader& in) {
        Map values;
        for (std::size_t count = in.read_count(2); count > 0; --count) {
            auto key = in.read<typename Map::key_type>();
            if (!values.emplace(std::move(key), in.read<typename Map::mapped_type>()).second)
                byte_reader::refuse("a map has a key twice");
        }
        return values;
    }
};

}  // namespace detail

template <class K, class V, class... Rest>
struct serializer<std::map<K, V, Rest...>> : detail::map_serializer<std::map<K, V, Rest...>> {};
template <class K, class V, class... Rest>
struct serializer<std::unordered_map<K, V, Rest...>> : detail::map_serializer<std::unordered_map<K, V, Rest...>> {};

}  // namespace weft
