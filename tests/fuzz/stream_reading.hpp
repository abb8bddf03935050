#pragma once

/// stream_reading: a stream over bytes that come in arbitrary pieces, read in arbitrary ways, some of them cancelled; what each
/// call gives is compared with what the whole text says it must give. Runs inside a loop.

#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <weft/error.hpp>
#include <weft/stream.hpp>
#include <weft/task.hpp>

#include "fuzz_input.hpp"
#include "io/transport.hpp"

namespace fuzz {

/// Gives `content` in pieces, now and then after a wait.
class piecemeal final : public weft::detail::transport {
public:
    piecemeal(std::string_view content, fuzz_input& decisions) : content_(content), decisions_(decisions) {}

    std::size_t read(std::span<std::byte> to, const char*) override {
        if (decisions_.below(3) == 0) weft::yield_now();
        const std::size_t count = std::min({to.size(), content_.size(), 1 + decisions_.below(24)});
        std::memcpy(to.data(), content_.data(), count);
        content_.remove_prefix(count);
        return count;
    }
    std::size_t write(std::span<const iovec> pieces, const char*) override { return pieces.front().iov_len; }
    void write_eof(const char*) override {}
    void close() override {}

private:
    std::string_view content_;
    fuzz_input& decisions_;
};

class stream_reading {
public:
    explicit stream_reading(std::span<const std::uint8_t> bytes)
        : decisions_(bytes.first(bytes.size() / 2)),
          left_(reinterpret_cast<const char*>(bytes.data()) + bytes.size() / 2, bytes.size() - bytes.size() / 2),
          stream_(std::make_unique<piecemeal>(left_, decisions_), limit_) {}

    void run() {
        for (int calls = 0; calls < 200 && !(left_.empty() && decisions_.empty()); ++calls) {
            switch (decisions_.below(8)) {
                case 0: read_until("\n", true); break;
                case 1: read_until(separator(), false); break;
                case 2: read_exactly(decisions_.below(40)); break;
                case 3: take(stream_.read(1 + decisions_.below(300)), true); break;
                case 4: read_some(1 + decisions_.below(5000)); break;
                case 5: stream_.set_limit(limit_ = 1 + decisions_.below(40)); break;
                default: read_cancelled(1 + decisions_.below(40)); break;
            }
        }
        take(stream_.read(), false);
        require(left_.empty(), "reading to the end gives all that is left");
        require(stream_.at_eof(), "a stream read to the end is at its end");
    }

private:
    /// What was read must be what comes next.
    void take(std::string_view got, bool some) {
        require(left_.starts_with(got), "what is read is what comes next");
        require(!some || !got.empty() || left_.empty(), "nothing is read only at the end");
        left_.remove_prefix(got.size());
    }

    std::string separator() {
        constexpr std::string_view alphabet = "\n\raab";
        std::string text;
        for (std::size_t size = 1 + decisions_.below(3); text.size() < size;) text += alphabet[decisions_.below(alphabet.size())];
        return text;
    }

    void read_until(const std::string& separator, bool line) {
        const std::size_t found = left_.find(separator);
        const std::size_t before = found != left_.npos                ? found
                                   : left_.size() >= separator.size() ? left_.size() + 1 - separator.size()
                                                                      : 0;
        try {
            const std::string got = line ? stream_.read_line() : stream_.read_until(separator);
            require(before <= limit_, "no more than the limit comes before a separator");
            require(line || found != left_.npos, "read_until gives only what has its separator");
            require(got.size() == (found != left_.npos ? found + separator.size() : left_.size()), "it ends with the first separator");
            take(got, false);
        } catch (const weft::limit_overrun_error&) {
            require(before > limit_, "the limit is overrun only by more than the limit");
        } catch (const weft::incomplete_read_error& e) {
            require(!line && found == left_.npos && before <= limit_, "incomplete is what has no separator to the end");
            require(e.partial() == left_, "an incomplete read gives all that was left");
            take(e.partial(), false);
        }
    }

    void read_exactly(std::size_t count) {
        try {
            const std::string got = stream_.read_exactly(count);
            require(got.size() == count, "read_exactly gives as much as it was asked for");
            take(got, false);
        } catch (const weft::incomplete_read_error& e) {
            require(left_.size() < count && e.partial() == left_, "an incomplete read gives all that was left");
            take(e.partial(), false);
        }
    }

    void read_some(std::size_t size) {
        std::string room(size, '\0');
        room.resize(stream_.read_some(std::as_writable_bytes(std::span(room))));
        take(room, true);
    }

    /// Either it has read, or it has read nothing.
    void read_cancelled(std::size_t count) {
        weft::task_options eager;
        eager.eager = true;
        auto reading = weft::create_task(eager, [&] { read_exactly(count); });
        for (std::size_t turns = decisions_.below(4); turns > 0; --turns) weft::yield_now();
        reading.cancel();
        reading.join();
        if (!reading.cancelled()) reading.get();
    }

    fuzz_input decisions_;
    std::string_view left_;
    std::size_t limit_ = 20;
    weft::stream stream_;
};

}  // namespace fuzz
