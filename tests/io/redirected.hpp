#pragma once

/// redirected: another file in the place of one of this process's standard descriptors.

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>

namespace io_test {

/// While it lives, `number` is another file; a negative one: it is closed. Nothing may be printed meanwhile.
class redirected {
public:
    redirected(int number, int to) : number_(number), saved_(::fcntl(number, F_DUPFD_CLOEXEC, 3)) {
        if (to < 0) ::close(number);
        else if (::dup2(to, number) < 0) throw std::runtime_error("dup2");
    }
    ~redirected() {
        if (saved_ < 0) ::close(number_);
        else ::dup2(saved_, number_);
        if (saved_ >= 0) ::close(saved_);
    }
    redirected(const redirected&) = delete;
    redirected& operator=(const redirected&) = delete;

private:
    int number_;
    int saved_;
};

}  // namespace io_test
