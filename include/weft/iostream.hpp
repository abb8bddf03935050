#pragma once

/// iostream: a std::iostream over a stream, for code that reads and writes std::istream and std::ostream.
///
/// What a stream throws (`cancelled`, a timeout's cancellation, std::system_error) leaves the reading or writing operation as it is:
/// exceptions() is set to badbit, which makes the standard library rethrow what it would else swallow. Who clears that
/// loses cancellations. After a cancelled operation clear() lets the next one go on; nothing that was read is lost, output not
/// yet flushed is.

#include <cstddef>
#include <iostream>
#include <memory>
#include <optional>
#include <streambuf>

#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

/// The buffer of an iostream. Its destructor may wait: it writes what is left, unless an exception is in flight; a
/// cancellation stays pending then, and failures are ignored: who wants to see them calls pubsync(), or flush().
class WEFT_API stream_buffer : public std::streambuf {
public:
    /// s must outlive this. What is buffered here is not seen by reading from s directly.
    explicit stream_buffer(stream& s);
    /// Takes the stream over.
    explicit stream_buffer(stream&& s);
    ~stream_buffer() override;
    stream_buffer(const stream_buffer&) = delete;
    stream_buffer& operator=(const stream_buffer&) = delete;

    stream& get_stream() noexcept { return *stream_; }

protected:
    int_type underflow() override;
    std::streamsize xsgetn(char* to, std::streamsize count) override;
    int_type overflow(int_type c) override;
    std::streamsize xsputn(const char* from, std::streamsize count) override;
    int sync() override;

private:
    static constexpr std::size_t size = 4096;
    struct storage {
        char input[size];
        char output[size];
    };
    void prepare();
    /// Writes what is buffered and `more` behind it. However that ends, the buffer is empty then: how much of it was written is
    /// not known.
    void write_out(std::string_view more);

    std::optional<stream> own_;
    stream* stream_;
    std::unique_ptr<storage> storage_;
    int exceptions_before_;   // in flight when this was made
};

namespace detail {
struct stream_buffer_holder {   // a base, so that it is there before std::iostream and gone after it
    stream_buffer buffer_;
};
}  // namespace detail

/// A std::iostream; waiting for input flushes what was written before. Its destructor may wait, as stream_buffer's. Loop-local, and used by
/// one task at a time.
class WEFT_API iostream : private detail::stream_buffer_holder, public std::iostream {
public:
    /// s must outlive this.
    explicit iostream(stream& s);
    /// Takes the stream over.
    explicit iostream(stream&& s);
    ~iostream() override;

    stream& get_stream() noexcept { return buffer_.get_stream(); }
};

}  // namespace weft
