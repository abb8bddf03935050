#include "input.hpp"

#include "format.hpp"
#include "options.hpp"

#include <weft/socket.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace fetch {
namespace {

class input_file {
public:
    explicit input_file(const std::string& path)
        : path_(path), descriptor_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (descriptor_ < 0)
            fail();
    }
    input_file(const input_file&) = delete;
    input_file& operator=(const input_file&) = delete;
    ~input_file() {
        if (descriptor_ != STDIN_FILENO)
            ::close(descriptor_);
    }

    // Empty at the end.
    std::string_view read_some() {
        for (;;) {
            weft::wait_readable(descriptor_);  // files are always ready
            const ssize_t count = ::read(descriptor_, piece_.data(), piece_.size());
            if (count >= 0)
                return {piece_.data(), static_cast<std::size_t>(count)};
            if (errno != EINTR && errno != EAGAIN)
                fail();
        }
    }

private:
    [[noreturn]] void fail() const {
        const std::string reason = std::generic_category().message(errno);
        throw usage_error("--input: cannot read " + quoted(path_) + ": " + reason);
    }

    std::string path_;
    int descriptor_;
    std::array<char, 16 * 1024> piece_;
};

}  // namespace

std::string read_input(const std::string& path) {
    input_file file(path);
    std::string text;
    for (std::string_view piece = file.read_some(); !piece.empty(); piece = file.read_some())
        text.append(piece);
    return text;
}

}  // namespace fetch
