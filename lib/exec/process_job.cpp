#include <weft/detail/process_job.hpp>

#include <weft/error.hpp>

#include "exec/frame.hpp"
#include "exec/process_pool.hpp"
#include "exec/program_address.hpp"

namespace weft::detail {

using exec_layer::answer_kind;

void process_job::begin_request(remote_call call, any_function function) {
    exec_layer::begin_frame(request_);
    byte_writer out(request_);
    out.write(exec_layer::address_of(reinterpret_cast<any_function>(call)));
    out.write(exec_layer::address_of(function));
}

void process_job::end_request() { exec_layer::end_frame(request_); }

byte_reader process_job::open_answer() const {
    if (error_) std::rethrow_exception(error_);
    byte_reader in(answer_);
    switch (in.read<answer_kind>()) {
        case answer_kind::value: return in;
        case answer_kind::exception: {
            auto type = in.read<std::string>();
            const auto what = in.read<std::string>();
            in.expect_end();
            throw remote_error(std::move(type), what);
        }
    }
    byte_reader::refuse("the answer is neither a value nor an exception");
}

void awaited_process_job::wait_in(const std::shared_ptr<process_pool_state>& pool, const char* what) {
    check_cancelled();
    waiter waiting(what, pool.get());
    end_.expect(waiting);
    pool->enqueue(*this);
    if (park(waiting) == wait_outcome::woken) return;
    if (!waiting.was_woken() && !pool->withdraw(*this)) end_.wait_on(waiting);
    throw_cancelled();
}

void awaited_process_job::dropped() noexcept {
    error_ = std::make_exception_ptr(cancelled("the pool was shut down before the job began"));
    end_.signal();
}

}  // namespace weft::detail
