#pragma once
// A weft::stream as Boost.Beast's SyncStream: Beast's blocking `http::read` and `http::write`, unchanged,
// then suspend a fiber where they would have blocked a thread. No asio context or executor takes part.
//
// What weft throws (cancelled, timeout, a failed system call with its text) passes through Beast as it is;
// only the end of file becomes an error code, because Beast has to see it: a body may last until there.

#include <weft/stream.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace fetch {

class beast_stream {
public:
    /// `stream` must live as long as this.
    explicit beast_stream(weft::stream& stream) noexcept : stream_(stream) {}

    template <class MutableBuffers>
    std::size_t read_some(const MutableBuffers& buffers, boost::system::error_code& error) {
        error = {};
        // Reading into the first buffer that has room is enough: read_some promises no more than one byte.
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto next = boost::asio::buffer_sequence_begin(buffers); next != end; ++next) {
            const boost::asio::mutable_buffer buffer(*next);
            if (buffer.size() == 0)
                continue;
            const std::size_t count =
                stream_.read_some({static_cast<std::byte*>(buffer.data()), buffer.size()});
            if (count == 0)
                error = boost::asio::error::eof;
            return count;
        }
        return 0;
    }

    template <class MutableBuffers> std::size_t read_some(const MutableBuffers& buffers) {
        boost::system::error_code error;
        const std::size_t count = read_some(buffers, error);
        if (error)
            throw boost::system::system_error(error);
        return count;
    }

    template <class ConstBuffers>
    std::size_t write_some(const ConstBuffers& buffers, boost::system::error_code& error) {
        error = {};
        return write_some(buffers);
    }

    /// Writes all of it.
    template <class ConstBuffers> std::size_t write_some(const ConstBuffers& buffers) {
        std::vector<std::string_view> pieces;
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto next = boost::asio::buffer_sequence_begin(buffers); next != end; ++next) {
            const boost::asio::const_buffer buffer(*next);
            pieces.emplace_back(static_cast<const char*>(buffer.data()), buffer.size());
        }
        stream_.writev(pieces);
        return boost::asio::buffer_size(buffers);
    }

private:
    weft::stream& stream_;
};

}  // namespace fetch
