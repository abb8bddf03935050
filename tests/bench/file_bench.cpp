// Files that the page cache holds: 4 KiB read or written at random offsets of one, written and brought to the disk each time, and
// whole small ones. Beside it the system calls themselves, on one thread, which then can do nothing else while the disk works; on threads that share the work, as fio has them; and in a
// pool of threads that one thread asks, as asyncio's programs and others do it, that must not wait for a disk.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <stdexcept>

#include <weft/file.hpp>
#include <weft/task.hpp>

#include "engines.hpp"

namespace {

constexpr std::size_t block = 4096;
constexpr std::size_t blocks = 16 * 1024;   // 64 MiB
constexpr std::size_t small_files = 1024;
constexpr std::size_t in_flight = 64;
constexpr std::size_t threads = 16;         // as many as weft's own pool may have

void must(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(what);
}

/// A folder with one large file and many small ones, which goes away with the program.
class folder {
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-bench-XXXXXX").string();
        must(::mkdtemp(name.data()) != nullptr, "no temporary folder can be made");
        path_ = name;
        const std::string text(block, 'x');
        fill(large(), text, blocks);
        for (std::size_t i = 0; i < small_files; ++i) fill(small(i), text, 1);
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    std::string large() const { return (path_ / "large").string(); }
    std::string small(std::size_t i) const { return (path_ / std::to_string(i)).string(); }

private:
    static void fill(const std::string& name, const std::string& text, std::size_t times) {
        const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        must(fd >= 0, "no file can be made");
        for (std::size_t i = 0; i < times; ++i)
            must(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the disk is full");
        ::close(fd);
    }
    std::filesystem::path path_;
};
const folder& files() {
    static const folder only;
    return only;
}

/// The same offsets for everybody.
class offsets {
public:
    explicit offsets(std::size_t seed) : random_(static_cast<unsigned>(seed)) {}
    off_t next() { return static_cast<off_t>(random_() % blocks * block); }

private:
    std::minstd_rand random_;
};

/// The part that one of `parties` does of a whole.
constexpr std::size_t part(std::size_t whole, std::size_t parties) { return whole / parties; }

std::string read_whole(const std::string& name) {
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    must(fd >= 0, "open");
    struct stat status;
    must(::fstat(fd, &status) == 0, "fstat");
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    must(::read(fd, text.data(), text.size()) == static_cast<ssize_t>(block), "read");
    ::close(fd);
    return text;
}

/// Runs work(which) in each of `parties` tasks.
template <class Work>
void in_tasks(std::size_t parties, Work work) {
    std::vector<weft::task<>> tasks;
    for (std::size_t i = 0; i < parties; ++i) tasks.push_back(weft::create_task([work, i] { work(i); }));
    for (auto& t : tasks) t.get();
}
template <class Work>
void in_threads(std::size_t parties, Work work) {
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < parties; ++i) all.emplace_back([work, i] { work(i); });
    for (auto& t : all) t.join();
}

/// The least a pool can be; who asks takes a future.
class pool {
public:
    pool() {
        for (std::size_t i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
    }
    ~pool() {
        {
            std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        for (auto& t : workers_) t.join();
    }
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    template <class F>
    std::future<void> submit(F f) {
        std::packaged_task<void()> job(std::move(f));
        auto result = job.get_future();
        {
            std::lock_guard lock(mutex_);
            jobs_.push_back(std::move(job));
        }
        changed_.notify_one();
        return result;
    }

private:
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return over_ || !jobs_.empty(); });
            if (jobs_.empty()) return;
            auto job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            job();
            lock.lock();
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::packaged_task<void()>> jobs_;
    bool over_ = false;
    std::vector<std::thread> workers_;
};

/// Keeps so many in flight: the oldest is waited for before one more is asked for.
template <class Ask>
void through_pool(std::size_t count, std::size_t window, Ask ask) {
    std::deque<std::future<void>> waiting;
    for (std::size_t i = 0; i < count; ++i) {
        if (waiting.size() == window) {
            waiting.front().get();
            waiting.pop_front();
        }
        waiting.push_back(ask(i));
    }
    for (auto& f : waiting) f.get();
}

// 4 KiB at random offsets: what is done with each, and how often.

struct reading {
    static constexpr std::size_t times = 32 * 1024;
    static void in_weft(weft::file& large, off_t at) {
        std::byte buffer[block];
        must(large.pread(buffer, at) == block, "file::pread");
    }
    static void call(int fd, off_t at) {
        char buffer[block];
        must(::pread(fd, buffer, block, at) == static_cast<ssize_t>(block), "pread");
    }
};
struct writing {
    static constexpr std::size_t times = 32 * 1024;
    static void in_weft(weft::file& large, off_t at) {
        static constexpr std::byte buffer[block]{};
        large.pwrite(buffer, at);
    }
    static void call(int fd, off_t at) {
        static constexpr char buffer[block]{};
        must(::pwrite(fd, buffer, block, at) == static_cast<ssize_t>(block), "pwrite");
    }
};
struct syncing {
    static constexpr std::size_t times = 256;
    static void in_weft(weft::file& large, off_t at) {
        writing::in_weft(large, at);
        large.data_sync();
    }
    static void call(int fd, off_t at) {
        writing::call(fd, at);
        must(::fdatasync(fd) == 0, "fdatasync");
    }
};

/// The large file, of which nothing is left to be brought to the disk.
int open_large() {
    const int fd = ::open(files().large().c_str(), O_RDWR | O_CLOEXEC);
    must(fd >= 0 && ::fsync(fd) == 0, "the large file");
    return fd;
}

template <class Work>
void blocks_weft(benchmark::State& state, weft::engine engine, std::size_t parties) {
    weft::run({.io_engine = engine}, [&] {
        weft::file large(open_large());
        bench::timed(state, Work::times, [&] {
            in_tasks(parties, [&large, parties](std::size_t which) {
                offsets where(which);
                for (std::size_t i = 0; i < part(Work::times, parties); ++i) Work::in_weft(large, where.next());
            });
        });
    });
}
/// parties: 0 for a loop in the calling thread.
template <class Work>
void blocks_posix(benchmark::State& state, std::size_t parties) {
    const int fd = open_large();
    const auto work = [fd, parties](std::size_t which) {
        offsets where(which);
        for (std::size_t i = 0; i < part(Work::times, parties ? parties : 1); ++i) Work::call(fd, where.next());
    };
    bench::timed(state, Work::times, [&] { parties ? in_threads(parties, work) : work(0); });
    ::close(fd);
}
template <class Work>
void blocks_pool(benchmark::State& state, std::size_t window) {
    const int fd = open_large();
    {
        pool workers;
        offsets where(0);
        bench::timed(state, Work::times, [&] {
            through_pool(Work::times, window, [&](std::size_t) {
                return workers.submit([fd, at = where.next()] { Work::call(fd, at); });
            });
        });
    }
    ::close(fd);
}

// Whole small files.

void wholes_weft(benchmark::State& state, weft::engine engine, std::size_t parties) {
    weft::run({.io_engine = engine}, [&] {
        bench::timed(state, small_files, [&] {
            in_tasks(parties, [parties](std::size_t which) {
                for (std::size_t i = which; i < small_files; i += parties)
                    must(weft::read_file(files().small(i)).size() == block, "read_file");
            });
        });
    });
}
void wholes_posix(benchmark::State& state, std::size_t parties) {
    const auto work = [parties](std::size_t which) {
        for (std::size_t i = which; i < small_files; i += parties ? parties : 1) read_whole(files().small(i));
    };
    bench::timed(state, small_files, [&] { parties ? in_threads(parties, work) : work(0); });
}
void wholes_pool(benchmark::State& state, std::size_t window) {
    pool workers;
    bench::timed(state, small_files, [&] {
        through_pool(small_files, window, [&](std::size_t i) { return workers.submit([i] { read_whole(files().small(i)); }); });
    });
}

template <class Weft, class Posix, class Pool>
bool enter(const std::string& work, Weft in_weft, Posix in_posix, Pool in_pool) {
    bench::enter_on_engines(work, [=](auto& state, weft::engine engine) { in_weft(state, engine, 1); });
    bench::enter(work, "calls", [=](auto& state) { in_posix(state, 0); });
    bench::enter(work, "pool", [=](auto& state) { in_pool(state, 1); });
    const std::string many = work + ", " + std::to_string(in_flight) + " at a time";
    bench::enter_on_engines(many, [=](auto& state, weft::engine engine) { in_weft(state, engine, in_flight); });
    bench::enter(many, "threads", [=](auto& state) { in_posix(state, threads); });
    return bench::enter(many, "pool", [=](auto& state) { in_pool(state, in_flight); });
}
[[maybe_unused]] const bool entered[] = {
    enter("file, 4 KiB at random", blocks_weft<reading>, blocks_posix<reading>, blocks_pool<reading>),
    enter("file, 4 KiB written at random", blocks_weft<writing>, blocks_posix<writing>, blocks_pool<writing>),
    enter("file, 4 KiB written and synced", blocks_weft<syncing>, blocks_posix<syncing>, blocks_pool<syncing>),
    enter("file, small and whole", wholes_weft, wholes_posix, wholes_pool),
};

}  // namespace
