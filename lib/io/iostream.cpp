#include <algorithm>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <weft/cancellation.hpp>
#include <weft/error.hpp>
#include <weft/iostream.hpp>

namespace weft {

stream_buffer::stream_buffer(stream& s) : stream_(&s) { prepare(); }
stream_buffer::stream_buffer(stream&& s) : own_(std::move(s)), stream_(&*own_) { prepare(); }

void stream_buffer::prepare() {
    exceptions_before_ = std::uncaught_exceptions();
    storage_.reset(new storage);
    setg(storage_->input, storage_->input, storage_->input);
    setp(storage_->output, storage_->output + size);
}

stream_buffer::~stream_buffer() {
    if (pptr() == pbase() || std::uncaught_exceptions() > exceptions_before_) return;
    try {
        uncancellable([this] { write_out({}); });
    } catch (...) {
        // Nobody is there to be told; who wants to know flushes before.
    }
}

stream_buffer::int_type stream_buffer::underflow() {
    if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
    sync();
    char* const input = storage_->input;
    const std::size_t count = stream_->read_some(std::as_writable_bytes(std::span(input, size)));
    setg(input, input, input + count);
    return count == 0 ? traits_type::eof() : traits_type::to_int_type(*input);
}

// Takes all or, if an exception cuts it short, nothing.
std::streamsize stream_buffer::xsgetn(char* to, std::streamsize count) {
    const std::streamsize have = egptr() - gptr();
    std::string rest;
    if (count > have) {
        sync();
        try {
            rest = stream_->read_exactly(static_cast<std::size_t>(count - have));
        } catch (const incomplete_read_error& end) {
            rest = end.partial();
        }
    }
    const std::streamsize from_buffer = std::min(count, have);
    std::memcpy(to, gptr(), static_cast<std::size_t>(from_buffer));
    std::memcpy(to + from_buffer, rest.data(), rest.size());
    gbump(static_cast<int>(from_buffer));
    return from_buffer + static_cast<std::streamsize>(rest.size());
}

void stream_buffer::write_out(std::string_view more) {
    const std::string_view pieces[] = {{pbase(), static_cast<std::size_t>(pptr() - pbase())}, more};
    setp(storage_->output, storage_->output + size);
    stream_->writev(pieces);
}

stream_buffer::int_type stream_buffer::overflow(int_type c) {
    write_out({});
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
}

std::streamsize stream_buffer::xsputn(const char* from, std::streamsize count) {
    if (count <= epptr() - pptr()) {
        std::memcpy(pptr(), from, static_cast<std::size_t>(count));
        pbump(static_cast<int>(count));
    } else {
        write_out({from, static_cast<std::size_t>(count)});
    }
    return count;
}

int stream_buffer::sync() {
    if (pptr() != pbase()) write_out({});
    return 0;
}

iostream::iostream(stream& s) : stream_buffer_holder{stream_buffer(s)}, std::iostream(&buffer_) {
    exceptions(std::ios::badbit);
}
iostream::iostream(stream&& s) : stream_buffer_holder{stream_buffer(std::move(s))}, std::iostream(&buffer_) {
    exceptions(std::ios::badbit);
}
iostream::~iostream() = default;

}  // namespace weft
