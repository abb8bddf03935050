#include "task/recurring_callback.hpp"

#include <new>

#include <weft/loop.hpp>

#include "task/loop_state.hpp"

namespace weft::detail {

void recurring_callback::trigger() noexcept {
    if (call_ && call_->pending) return;
    try {
        call_ = loop_.schedule([self = shared_from_this()] {
            context_scope in_context(self->values_);
            self->f_();
        });
    } catch (const std::bad_alloc&) {
    }
}

void recurring_callback::stop() noexcept { handle(std::move(call_)).cancel(); }

}  // namespace weft::detail
