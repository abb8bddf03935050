// conformance TOPIC [NAME]: runs weft's half of a topic's scenarios, or of one of them; each begins with a line `=== NAME`.
// conformance --topics: their names.

#include <cstring>
#include <iostream>
#include <typeinfo>

#include "scenario.hpp"
#include "virtual_clock.hpp"

namespace conformance {
namespace {

std::vector<const topic*>& topics() {
    static std::vector<const topic*> all;
    return all;
}

std::chrono::steady_clock::time_point begin;

void play(const scenario& one) {
    std::cout << "=== " << one.name << std::endl;
    const weft_test::virtual_clock clock;
    begin = clock.now();
    try {
        if (one.where == setting::makes_loops) return one.body();
        run([&] {
            trace_reports(get_running_loop());
            one.body();
        });
    } catch (...) {
        trace("left the scenario:", std::current_exception());
    }
}

int play_all(int argc, char** argv) {
    int played = 0;
    for (const topic* t : topics()) {
        if (std::strcmp(t->name, argv[1]) != 0) continue;
        for (const scenario& one : t->scenarios)
            if (argc < 3 || std::strcmp(one.name, argv[2]) == 0) play(one), ++played;
    }
    return played > 0 ? 0 : 1;
}

/// What somebody gave to cancel(). Where nobody gave anything, in a timeout, group or gather, asyncio's CancelledError is without
/// arguments and weft's message tells where it comes from: that is no difference that counts.
std::string given_message(const cancelled& e) {
    for (const char* origin : {"deadline of ", "task '", "task group cancelled at ", "the body of the task group failed", "gather: "})
        if (e.message().starts_with(origin)) return "";
    return e.message();
}

/// The same words as scenario.py's text_of_exception; the most special type first.
std::string name_of_thrown(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const cancelled& e) {
        const std::string message = given_message(e);
        return "cancelled" + (message.empty() ? "" : "(" + message + ")");
    } catch (const exception_group& e) {
        return "group" + text(e.exceptions());
    } catch (const failure& e) {
        return "failure(" + e.message + ")";
    } catch (const timeout_error&) {
        return "timeout";
    } catch (const invalid_state&) {
        return "invalid state";
    } catch (const queue_empty&) {
        return "queue empty";
    } catch (const queue_full&) {
        return "queue full";
    } catch (const queue_shutdown&) {
        return "queue shut down";
    } catch (const broken_barrier&) {
        return "broken barrier";
    } catch (const std::future_error& e) {
        if (e.code() == std::future_errc::promise_already_satisfied) return "invalid state";
        return std::string("future error: ") + e.what();
    } catch (const std::system_error& e) {
        if (e.code() == std::errc::operation_not_permitted) return "misuse";
        return std::string("system error: ") + e.what();
    } catch (const std::logic_error&) {
        return "misuse";
    } catch (const std::exception& e) {
        return std::string(typeid(e).name()) + ": " + e.what();
    } catch (...) {
        return "something else";
    }
}

}  // namespace

topic::topic(const char* name, std::initializer_list<scenario> scenarios) : name(name), scenarios(scenarios) {
    topics().push_back(this);
}

std::string text(const std::exception_ptr& error) {
    return error ? name_of_thrown(error) : "none";
}

void trace_line(const std::string& line) {
    std::cout << line << std::endl;
}

long now() {
    const auto passed = weft_test::virtual_clock::now() - begin;
    return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(passed).count());
}

void pass_time(std::chrono::seconds time) {
    weft_test::virtual_clock::pass(time);
}

void trace_reports(loop& of) {
    of.set_exception_handler([](loop&, const exception_context& context) {
        std::string message = context.message;
        if (message == "a callback threw") message = "a callback failed";
        if (message == "task exception was never retrieved") message = "never retrieved";
        if (message == "a task failed while the loop was closing") message = "a task failed at the end";
        trace("report: " + message + ":", context.exception);
    });
}

}  // namespace conformance

int main(int argc, char** argv) {
    using namespace conformance;
    if (argc == 2 && std::strcmp(argv[1], "--topics") == 0) {
        for (const topic* t : topics())
            std::cout << t->name << '\n';
        return 0;
    }
    if (argc != 2 && argc != 3) {
        std::cerr << "conformance TOPIC [NAME] | --topics\n";
        return 2;
    }
    return play_all(argc, argv);
}
