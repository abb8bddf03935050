#include <weft/recursive_mutex.hpp>

#include <system_error>

namespace weft {

void recursive_mutex::lock() {
    lock_until(detail::time_point::max());
}

bool recursive_mutex::lock_until(detail::time_point deadline) {
    if (!mutex_.owned_by_caller() && !mutex_.lock_until(deadline))
        return false;
    ++depth_;
    return true;
}

bool recursive_mutex::try_lock() noexcept {
    if (!mutex_.owned_by_caller() && !mutex_.try_lock())
        return false;
    ++depth_;
    return true;
}

void recursive_mutex::unlock() {
    if (!mutex_.owned_by_caller())
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                "recursive_mutex::unlock: the caller does not own it");
    if (--depth_ == 0)
        mutex_.unlock();
}

}  // namespace weft
