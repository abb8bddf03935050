#include "engine/whole_file.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "engine/file_call.hpp"

namespace weft::engine_layer {

whole_file::~whole_file() {
    if (fd_ >= 0) ::close(fd_);
}

ssize_t whole_file::leave() noexcept {
    left_to_others_ = true;
    text_.clear();
    return 0;
}

ssize_t whole_file::read_all(bool may_wait) {
    failed_in_ = "file::read";
    for (;;) {
        const std::size_t before = text_.size();
        if (before > small) return leave();   // it grows, or did not say how long it is
        // One byte more than there should be, to find the end; who says 0 may have more.
        const std::size_t step = before > 0 ? before : said_ > 0 ? said_ + 1 : 4096;
        text_.resize(before + step);
        const iovec place{text_.data() + before, step};
        const auto offset = static_cast<off_t>(before);
        const ssize_t n = may_wait ? ::pread(fd_, place.iov_base, step, offset) : ::preadv2(fd_, &place, 1, offset, RWF_NOWAIT);
        text_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n < 0 && may_wait && errno == EINTR) continue;
        if (n < 0) return may_wait ? -errno : -EAGAIN;
        if (n == 0 || text_.size() == said_) return 0;
    }
}

ssize_t whole_file::load(bool may_wait) {
    if (left_to_others_) return 0;
    if (fd_ < 0) {
        struct statx status;
        const int flags = may_wait ? O_RDONLY : O_RDONLY | O_NONBLOCK;   // which makes no difference to what is read
        const ssize_t opened = open_regular(file_call::open(path_, flags), may_wait, status);
        if (opened == -EAGAIN && may_wait) return leave();
        if (opened < 0) return opened;
        fd_ = static_cast<int>(opened);
        if (status.stx_size > small) return leave();
        said_ = static_cast<std::size_t>(status.stx_size);
    }
    const ssize_t result = read_all(may_wait);
    if (result == 0) ::close(std::exchange(fd_, -1));
    return result;
}

ssize_t whole_file::load() noexcept {
    try {
        return load(true);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

ssize_t whole_file::try_load() noexcept {
    try {
        return load(false);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

ssize_t whole_file::store() noexcept {
    struct statx status;
    const bool is_there = ::statx(AT_FDCWD, path_, 0, STATX_TYPE, &status) == 0;
    if (data_.size() > small || (is_there && !S_ISREG(status.stx_mode))) return leave();
    const auto made = make_call(file_call::open(path_, O_WRONLY | O_CREAT | O_TRUNC, mode_));
    if (made < 0) return made;
    fd_ = static_cast<int>(made);
    failed_in_ = "file::write";
    for (std::string_view rest = data_; !rest.empty();) {
        const ssize_t n = make_call(file_call::write(fd_, rest.data(), rest.size()));
        if (n < 0) return n;
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    failed_in_ = "file::close";
    return make_call(file_call::close(std::exchange(fd_, -1)));
}

}  // namespace weft::engine_layer
