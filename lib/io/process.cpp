#include <weft/process.hpp>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>
#include <weft/gather.hpp>

#include "io/child.hpp"
#include "io/one_way_transport.hpp"

namespace weft {

namespace detail {

struct process_state {
    std::shared_ptr<child> running;   // or ended
    stream standard[3];               // ours of the pipes
    bool piped[3] = {};
    // What communicate has done when it was cancelled, to go on with.
    std::size_t fed = 0;              // bytes of the input that were written
    std::string read[3];              // all of an output that has come to its end
};

}  // namespace detail

namespace {

using detail::process_state;
using detail::spawn_request;
using detail::throw_errno;
using engine_layer::direction;

constexpr const char* names[3] = {"standard input", "standard output", "standard error"};
constexpr const char* options_of[3] = {"std_in", "std_out", "std_err"};

[[noreturn]] void bad_argument(const char* call, const std::string& what) {
    throw std::invalid_argument(std::string(call) + ": " + what);
}

void require_no_zero(const std::string& text, const char* call, const char* what) {
    if (text.find('\0') != text.npos) bad_argument(call, std::string(what) + ": a zero byte in '" + text.c_str() + "…'");
}

void check(const std::vector<std::string>& argv, const process_options& o, const char* call) {
    if (argv.empty()) bad_argument(call, "argv: it is empty, and names no program");
    for (const std::string& a : argv) require_no_zero(a, call, "argv");
    require_no_zero(o.cwd, call, "cwd");
    if (o.std_in == stdio::to_stdout || o.std_out == stdio::to_stdout)
        bad_argument(call, "only std_err can be stdio::to_stdout");
    for (const int fd : o.pass_fds)
        if (fd < 0) bad_argument(call, "pass_fds: " + std::to_string(fd) + " is no descriptor");
    if (!o.env) return;
    for (const auto& [name, value] : *o.env) {
        if (name.empty() || name.find('=') != name.npos)
            bad_argument(call, "env: '" + name + "' cannot be the name of a variable");
        require_no_zero(name, call, "env");
        require_no_zero(value, call, "env");
    }
}

/// A descriptor that is closed unless it is given away.
class held_descriptor {
public:
    held_descriptor() = default;
    explicit held_descriptor(int fd) noexcept : fd_(fd) {}
    held_descriptor(held_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    held_descriptor& operator=(held_descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~held_descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

/// The child's own standard descriptors must not be overwritten before they are used: nothing of ours is below 3.
held_descriptor above_standard(held_descriptor d, const char* call) {
    if (d.get() > STDERR_FILENO) return d;
    held_descriptor moved(::fcntl(d.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (moved.get() < 0) throw_errno(errno, call, "");
    return moved;
}

/// The child's side of standard descriptor `number`; ours, of a pipe, goes into the state.
held_descriptor connect_standard(int number, stdio kind, process_state& s, const std::string& program, const char* call) {
    if (kind == stdio::devnull) {
        held_descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        if (null.get() < 0) throw_errno(errno, call, "/dev/null");
        return above_standard(std::move(null), call);
    }
    if (kind != stdio::pipe) return {};
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw_errno(errno, call, "'" + program + "', a pipe to its " + names[number]);
    held_descriptor reading(ends[0]), writing(ends[1]);
    const bool input = number == STDIN_FILENO;
    held_descriptor& ours = input ? writing : reading;
    auto file = engine_layer::adopt(ours.get());
    ours.release();
    s.standard[number] = stream(detail::make_pipe_transport(std::move(file), input ? direction::write : direction::read,
                                                            std::string(names[number]) + " of '" + program + '\''),
                                64 * 1024);
    s.piped[number] = true;
    return above_standard(std::move(input ? reading : writing), call);
}

process create(const char* call, std::vector<std::string> argv, process_options options) {
    check(argv, options, call);
    detail::require_loop(call);
    detail::check_cancelled();

    auto state = std::make_shared<process_state>();
    const stdio kinds[3] = {options.std_in, options.std_out, options.std_err};
    held_descriptor theirs[3];
    spawn_request request;
    request.call = call;
    request.argv = std::move(argv);
    request.cwd = std::move(options.cwd);
    for (int i = 0; i < 3; ++i) {
        theirs[i] = connect_standard(i, kinds[i], *state, request.argv.front(), call);
        request.standard[i] = kinds[i] == stdio::to_stdout ? detail::spawn_same_as_output : theirs[i].get();
    }
    request.new_session = options.new_session;
    request.keep = std::move(options.pass_fds);
    request.own_env = options.env.has_value();
    if (options.env)
        for (const auto& [name, value] : *options.env) request.env.push_back(name + '=' + value);
    state->running = detail::start_child(request);
    return process(std::move(state));
}

stream& pipe_of(process_state& s, int number, const char* call) {
    if (!s.piped[number])
        throw invalid_state(std::string(call) + ": the child's " + names[number] + " is no pipe: process_options::" +
                            options_of[number] + " = stdio::pipe makes it one");
    return s.standard[number];
}

void feed(process_state& s, std::string_view input) {
    stream& to = s.standard[STDIN_FILENO];
    try {
        while (s.fed < input.size()) {
            const std::string_view piece = input.substr(s.fed, PIPE_BUF);   // of which a pipe takes all or nothing
            to.write(piece);
            s.fed += piece.size();
        }
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::broken_pipe) throw;   // else the child does not want more
    }
    to.close();
}

}  // namespace

process::process() noexcept = default;
process::process(process&&) noexcept = default;
process& process::operator=(process&&) noexcept = default;
process::~process() = default;
process::process(std::shared_ptr<process_state> state) noexcept : state_(std::move(state)) {}

std::shared_ptr<process_state> process::state(const char* call) const {
    if (!state_) throw invalid_state(std::string(call) + ": there is no child here, or it was moved away");
    return state_;
}

pid_t process::pid() const { return state("process::pid")->running->pid(); }

std::optional<int> process::return_code() const { return state("process::return_code")->running->return_code(); }

int process::wait() {
    const auto child = state("process::wait")->running;
    return child->wait("process::wait");
}

void process::send_signal(int signo) { state("process::send_signal")->running->send_signal(signo, "process::send_signal"); }
void process::terminate() { state("process::terminate")->running->send_signal(SIGTERM, "process::terminate"); }
void process::kill() { state("process::kill")->running->send_signal(SIGKILL, "process::kill"); }

stream& process::std_in() { return pipe_of(*state("process::std_in"), STDIN_FILENO, "process::std_in"); }
stream& process::std_out() { return pipe_of(*state("process::std_out"), STDOUT_FILENO, "process::std_out"); }
stream& process::std_err() { return pipe_of(*state("process::std_err"), STDERR_FILENO, "process::std_err"); }

std::pair<std::string, std::string> process::communicate(std::string_view input) {
    constexpr const char* call = "process::communicate";
    const auto s = state(call);
    detail::require_loop(call);
    if (!input.empty() && !s->piped[STDIN_FILENO])
        bad_argument(call, "input: the child's standard input is no pipe: process_options::std_in = stdio::pipe makes it one");
    const auto read_all = [&](int number) {
        stream& from = s->standard[number];
        if (!from.at_eof()) s->read[number] = from.read();   // one that is no pipe is closed
    };
    gather([&] { feed(*s, input); }, [&] { read_all(STDOUT_FILENO); }, [&] { read_all(STDERR_FILENO); });
    s->running->wait(call);
    return {std::exchange(s->read[STDOUT_FILENO], {}), std::exchange(s->read[STDERR_FILENO], {})};
}

process create_subprocess_exec(std::vector<std::string> argv, process_options options) {
    return create("create_subprocess_exec", std::move(argv), std::move(options));
}

process create_subprocess_shell(std::string command, process_options options) {
    return create("create_subprocess_shell", {"/bin/sh", "-c", std::move(command)}, std::move(options));
}

}  // namespace weft
