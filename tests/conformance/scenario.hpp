#pragma once

/// What weft's half of every scenario is written with; scenario.py is the same for Python's half.
///
/// A topic is a list of scenarios. Each is called as the main task of a loop whose time is virtual, or, if it says
/// `makes_loops`, outside of any loop. What it tells by trace() is compared line by line.

#include <chrono>
#include <exception>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <weft/weft.hpp>

namespace conformance {

using namespace std::chrono_literals;
using namespace weft;

enum class setting { main_task, makes_loops };

struct scenario {
    const char* name;
    void (*body)();
    setting where = setting::main_task;
};

/// Registers its scenarios under the name of the file that they stand in.
class topic {
public:
    topic(const char* name, std::initializer_list<scenario> scenarios);

    const char* name;
    std::vector<scenario> scenarios;
};

/// What scenarios throw: an error that nothing else throws.
struct failure {
    std::string message;
};

std::string text(const std::exception_ptr& error);
inline std::string text(const char* value) { return value; }
inline std::string text(std::string_view value) { return std::string(value); }
inline std::string text(const std::string& value) { return value; }
inline std::string text(bool value) { return value ? "true" : "false"; }
inline std::string text(std::monostate) { return "none"; }
template <class T>
requires std::is_arithmetic_v<T>
std::string text(T value) {
    return std::to_string(value);
}
template <class T> std::string text(const outcome<T>& o);
template <class T> std::string text(const std::vector<T>& values);
template <class... T> std::string text(const std::tuple<T...>& values);

namespace detail {
inline std::string list(const std::vector<std::string>& values) {
    std::string all;
    for (const std::string& v : values)
        all += (all.empty() ? "" : ", ") + v;
    return "[" + all + "]";
}
}  // namespace detail

template <class T> std::string text(const outcome<T>& o) {
    return o ? text(o.value()) : text(o.error());
}
template <class T> std::string text(const std::vector<T>& values) {
    std::vector<std::string> all;
    for (const auto& v : values)
        all.push_back(text(v));
    return detail::list(all);
}
template <class... T> std::string text(const std::tuple<T...>& values) {
    return std::apply([](const auto&... v) { return detail::list({text(v)...}); }, values);
}

void trace_line(const std::string& line);

/// Prints its arguments with spaces between them.
template <class First, class... Rest> void trace(const First& first, const Rest&... rest) {
    trace_line((text(first) + ... + (" " + text(rest))));
}

/// Calls f and traces what came of it, whatever it is; so it takes a cancellation, too.
template <class F> void attempt(std::string_view label, F&& f) {
    const std::string prefix = std::string(label) + ":";
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
            std::forward<F>(f)();
            trace(prefix, "returned");
        } else {
            const auto value = std::forward<F>(f)();
            trace(prefix, "returned", value);
        }
    } catch (...) {
        trace(prefix, std::current_exception());
    }
}

/// Waits until it is cancelled.
inline void park() {
    sleep(std::chrono::hours::max());
}

/// Lets everything that is ready run `count` times.
inline void turns(int count) {
    while (count-- > 0)
        yield_now();
}

/// Seconds since the scenario began.
long now();
/// Lets time pass as if the caller had computed for so long.
void pass_time(std::chrono::seconds time);
/// Traces what the loop's exception handler is told; the main task's loop does so already.
void trace_reports(loop& of);

}  // namespace conformance
