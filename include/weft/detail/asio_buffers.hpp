#pragma once

/// asio_buffers: what Boost.Asio calls a buffer sequence, told by its shape, so that a stream can take one without this
/// library's headers reaching Boost's. What is done with one stands in <weft/boost_asio.hpp>.

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace weft::detail {

/// mutable_buffer, const_buffer: bytes behind a pointer to void. Strings, vectors and spans point to what they hold.
template <class T>
concept asio_buffer = requires(const T& b) {
    b.data();
    requires std::is_void_v<std::remove_pointer_t<decltype(b.data())>>;
    { b.size() } -> std::convertible_to<std::size_t>;
};

template <class T>
concept asio_buffers = asio_buffer<T> || requires(const T& s) {
    *s.begin();
    s.begin() != s.end();
    requires asio_buffer<std::remove_cvref_t<decltype(*s.begin())>>;
};

/// The calls themselves; <weft/boost_asio.hpp> specializes it for every Buffers.
template <class Buffers, class = void>
struct asio_bridge {
    static_assert(sizeof(Buffers) == 0, "weft: a stream takes Boost.Asio's buffers once <weft/boost_asio.hpp> is included");
};

}  // namespace weft::detail
