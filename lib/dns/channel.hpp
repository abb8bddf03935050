#pragma once

/// channel: what one loop has to one resolver: a c-ares channel, its sockets in the loop's engine, its next
/// timeout among the loop's timers, and the questions in flight.
///
/// c-ares works only when called: when a question is put, when a socket is ready (socket_watch) and when its
/// timeout is due (timer_). Each of those calls may end questions, from inside c-ares; ending one wakes its
/// waiters and runs nobody's code.
///
/// Invariants
///  - Everything is on the loop's thread, except what posted_ says.
///  - A question is in open_ while somebody may join it: until it has ended, or its last waiter has left.
///  - c-ares cannot take one question back. A question that nobody waits for any more runs on unheard, and
///    when there are only such, all are taken back together: no socket and no timer outlives the last waiter.
///  - c-ares counts time by the system's clock, also where a test has replaced the loop's.
///
/// Rejected: a c-ares channel for each question (it would cancel alone, but costs 80 KiB and reads
/// resolv.conf each time); questions shared between loops (a loop that runs other people's code for long
/// would delay all others' names).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <weft/detail/waiter.hpp>

#include "dns/answer.hpp"
#include "dns/file_stamp.hpp"
#include "dns/resolver_state.hpp"
#include "dns/source_finder.hpp"
#include "engine/engine.hpp"
#include "kernel/timer_queue.hpp"

struct ares_channeldata;

namespace weft::dns_layer {

struct question {
    question(std::string key, std::string name, record_type type)
        : key(std::move(key)), name(std::move(name)), type(type) {}

    const std::string key;
    const std::string name;
    const record_type type;

    channel* home = nullptr;          // until it has ended
    std::shared_ptr<question> asked;  // itself, while c-ares knows it
    unsigned interested = 0;          // inquiries that hold it
    dns_errc last_error{};            // how a server refused; c-ares asks the next one and forgets it

    detail::gate gate;
    detail::wait_list waiters;  // guarded by gate
    answer_ptr result;          // set when it has ended; guarded by gate

    bool ended() const noexcept { return home == nullptr; }
};

/// The key of a question in the tables.
std::string question_key(std::string_view name, record_type type);

class channel {
public:
    /// On a loop's thread. Throws std::system_error in dns_category().
    explicit channel(std::shared_ptr<resolver_state> state);
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;

    /// Joins the question that is in flight, or puts it. It may have ended when this returns. The caller is
    /// counted as interested; it must call leave() unless the question has ended.
    std::shared_ptr<question> ask(const std::string& name, record_type type);
    void leave(question& q) noexcept;

    struct search_rules {
        std::vector<std::string> domains;
        int ndots = 1;
    };
    /// How a name that is not absolute is completed.
    const search_rules& search();

    kernel::scheduler& home() const noexcept { return home_; }
    source_finder& sources() noexcept { return sources_; }

    /// Ends all questions and deletes the channel. On its loop's thread.
    void shut_down() noexcept;

    /// Tells the channel's loop to shut it down. Any thread, under the state's gate.
    void post_shut_down() noexcept;

    channel* next = nullptr;  // in the state's list, guarded by its gate

private:
    struct socket_watch;
    struct farewell;   // the message of post_shut_down()
    struct callbacks;  // what c-ares calls

    ~channel();
    void open();
    void refresh();  // opens again if resolv.conf has changed and nothing is in flight
    void close() noexcept;
    void process(int readable, int writable) noexcept;
    void set_timer() noexcept;
    void set_socket(int fd, unsigned events) noexcept;
    void note_error(const std::uint8_t* message, std::size_t size) noexcept;
    void finish(question& q, answer_ptr result) noexcept;
    static void loop_closes(void* self) noexcept;

    const std::shared_ptr<resolver_state> state_;
    kernel::scheduler& home_;
    ares_channeldata* handle_ = nullptr;
    search_rules search_;
    source_finder sources_;
    file_stamp configuration_;  // of the resolv.conf that handle_ was opened with

    struct timeout : kernel::timer {
        explicit timeout(channel& c) noexcept : owner(c) {}
        channel& owner;
    } timer_;
    std::vector<std::unique_ptr<socket_watch>> sockets_;
    std::unordered_map<std::string_view, question*> open_;
    std::size_t asked_ = 0;               // questions c-ares knows
    std::size_t unheard_ = 0;             // of these, how many nobody waits for
    std::unique_ptr<farewell> farewell_;  // made beforehand: posting must not fail
    bool posted_ = false;                 // the farewell is on its way; guarded by the state's gate
};

}  // namespace weft::dns_layer
