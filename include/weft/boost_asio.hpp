#pragma once

/// The bridge from streams to Boost.Asio and Boost.Beast: with this header a weft::stream is a SyncReadStream and a SyncWriteStream,
/// so that `boost::asio::read_until(stream, …)`, `boost::beast::http::read(stream, …)` work on it as they are, and suspend
/// a fiber where they would have blocked a thread. No asio context or executor takes part.
///
/// What is asio's business becomes its error code: the end (boost::asio::error::eof) and failures of the system. What is not,
/// a cancellation or a misuse, passes through asio's and Beast's algorithms as the exception it is.
///
/// The one public header that includes Boost; no other one includes it.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <weft/stream.hpp>

namespace weft::detail {

template <class Buffers>
struct asio_bridge<Buffers, void> {
    using error_code = boost::system::error_code;

    static std::size_t read_some(stream& s, const Buffers& buffers, error_code& error) {
        return in_code(error, [&](error_code& ended) { return read(s, buffers, ended); });
    }
    static std::size_t read_some(stream& s, const Buffers& buffers) {
        return thrown([&](error_code& ended) { return read(s, buffers, ended); });
    }
    static std::size_t write_some(stream& s, const Buffers& buffers, error_code& error) {
        return in_code(error, [&](error_code&) { return write(s, buffers); });
    }
    static std::size_t write_some(stream& s, const Buffers& buffers) {
        return thrown([&](error_code&) { return write(s, buffers); });
    }

private:
    /// Into the first buffer that has room: read_some promises no more than one byte.
    static std::size_t read(stream& s, const Buffers& buffers, error_code& ended) {
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto next = boost::asio::buffer_sequence_begin(buffers); next != end; ++next) {
            const boost::asio::mutable_buffer buffer(*next);
            if (buffer.size() == 0) continue;
            const std::size_t count = s.read_some(std::span(static_cast<std::byte*>(buffer.data()), buffer.size()));
            if (count == 0) ended = boost::asio::error::eof;
            return count;
        }
        return 0;
    }

    /// All of them: asio's callers would only come back with the rest.
    static std::size_t write(stream& s, const Buffers& buffers) {
        constexpr std::size_t batch = 64;
        std::string_view pieces[batch];
        std::size_t count = 0, total = 0;
        const auto flush = [&] {
            s.writev(std::span<const std::string_view>(pieces, count));
            count = 0;
        };
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto next = boost::asio::buffer_sequence_begin(buffers); next != end; ++next) {
            const boost::asio::const_buffer buffer(*next);
            pieces[count++] = {static_cast<const char*>(buffer.data()), buffer.size()};
            total += buffer.size();
            if (count == batch) flush();
        }
        flush();
        return total;
    }

    /// As asio has it: a failure of the system in asio's category, so that it equals asio's constants.
    static error_code code_of(const std::system_error& failure) {
        const std::error_code& code = failure.code();
        if (code.category() == std::generic_category() || code.category() == std::system_category())
            return {code.value(), boost::system::system_category()};
        return error_code(code);
    }

    template <class Call>
    static std::size_t in_code(error_code& error, Call call) {
        error = {};
        try {
            return call(error);
        } catch (const std::system_error& failure) {
            error = code_of(failure);
            return 0;
        }
    }

    template <class Call>
    static std::size_t thrown(Call call) {
        error_code ended;
        std::size_t count = 0;
        try {
            count = call(ended);
        } catch (const std::system_error& failure) {
            throw boost::system::system_error(code_of(failure), failure.what());
        }
        if (ended) throw boost::system::system_error(ended, "weft::stream");
        return count;
    }
};

}  // namespace weft::detail
