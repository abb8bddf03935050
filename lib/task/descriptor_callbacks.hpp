#pragma once

/// descriptor_callbacks: the readers and writers of one loop (add_reader, add_writer).
///
/// They stand in an epoll set of their own, level-triggered, which the engine watches as one file. So a file may have
/// callbacks while sockets or wait_readable use it, which register it with the engine in their own way; and any engine will do.
///
/// Invariants
///  - An entry has a reader, a writer, or both; its number is in the set with just these events.
///  - A file that was closed while a duplicate of it lives stays in the set under a number that is not its own any more, and
///    nothing can take it out. When that shows, the set is made anew.
///
/// Rejected: one engine watch per file (the engine knows each file once, and it may be a socket's already); watching a
/// duplicate (keeps a connection open that the program has closed).

#include <functional>
#include <memory>
#include <unordered_map>

#include "engine/engine.hpp"
#include "task/recurring_callback.hpp"

namespace weft::detail {

class descriptor_callbacks {
public:
    /// Throws std::system_error.
    explicit descriptor_callbacks(loop_state& s);
    /// On the loop's thread, entered, while the engine is there.
    ~descriptor_callbacks();
    descriptor_callbacks(const descriptor_callbacks&) = delete;
    descriptor_callbacks& operator=(const descriptor_callbacks&) = delete;

    /// `call` names the caller in errors.
    void add(int fd, engine_layer::direction way, std::function<void()> f, const char* call);
    bool remove(int fd, engine_layer::direction way) noexcept;

private:
    struct entry {
        std::shared_ptr<recurring_callback> reader, writer;
        std::shared_ptr<recurring_callback>& in(engine_layer::direction way) noexcept {
            return way == engine_layer::direction::read ? reader : writer;
        }
        unsigned events() const noexcept;
    };
    struct set_watch : engine_layer::watch {
        descriptor_callbacks* owner;
    };

    int control(int operation, int fd, unsigned events) noexcept;   // 0 or errno
    void look() noexcept;
    void make_anew() noexcept;

    loop_state& loop_;
    std::unordered_map<int, entry> entries_;
    set_watch watch_;
};

}  // namespace weft::detail
