#pragma once

/// pipe, connect_read_pipe, connect_write_pipe; stdin_stream, stdout_stream, stderr_stream: streams over files of one
/// direction.
///
/// They are streams like any other, except that they go one way: writing to what can only be read from, and the reverse,
/// fails with bad_file_descriptor; get_socket() has nothing to give, the endpoints are empty. A reader that is gone is
/// broken_pipe for the writer; SIGPIPE is never raised.

#include <cstddef>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

/// A pipe: what is written to the second is read from the first (pipe(2)).
///
///     auto [reader, writer] = weft::pipe();
///
/// write_eof() and close() of the writer end it; the reader then reads to the end. Both descriptors are closed in
/// programs that are executed. Needs no loop. \param limit the reader's (stream::set_limit)
/// Errors: std::system_error.
WEFT_API std::pair<stream, stream> pipe(std::size_t limit = 64 * 1024);

/// Reads from a pipe, a FIFO, a socket, a terminal or another character device (asyncio's loop.connect_read_pipe). Takes the
/// descriptor over and makes it non-blocking, which whoever shares its open file notices. Needs no loop.
/// Errors: std::invalid_argument for a file of another kind, which <weft/file.hpp> reads; std::system_error. If it throws, fd
///         still belongs to the caller.
WEFT_API stream connect_read_pipe(int fd, std::size_t limit = 64 * 1024);
/// Writes to such a file (asyncio's loop.connect_write_pipe).
WEFT_API stream connect_write_pipe(int fd);

/// Standard input, whatever it is: a terminal, a pipe, a socket, a file, /dev/null.
///
/// The descriptor stays as it is, open and in its mode, also when the stream is closed: other processes may share it. How that is
/// possible says lib/io/README.md. Each call makes a stream of its own, and what one has buffered no other one reads: make one,
/// and keep it. Needs no loop.
/// Errors: std::system_error: bad_file_descriptor if it is closed, or not open for reading.
WEFT_API stream stdin_stream(std::size_t limit = 64 * 1024);
/// Standard output; nothing is buffered. What std::cout has buffered is not written before: std::flush it.
WEFT_API stream stdout_stream();
/// Standard error, likewise.
WEFT_API stream stderr_stream();

}  // namespace weft
