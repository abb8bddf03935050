#include "file_fixture.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

#include <weft/gather.hpp>
#include <weft/timeout.hpp>

#include "engine/whole_file.hpp"
#include "rounds.hpp"

using namespace io_test;

TEST_CASE("file: what is written is read, from the position on") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        file f = file::open(folder / "new", O_RDWR | O_CREAT | O_EXCL);
        CHECK(f.path() == folder / "new");
        f.write("0123456789");
        CHECK(f.tell() == 10);
        CHECK(f.read().empty());
        CHECK(f.seek(-7, SEEK_END) == 3);
        CHECK(read_some(f, 4) == "3456");
        CHECK(f.tell() == 7);
        CHECK(f.read() == "789");
        CHECK(read_some(f, 4).empty());
        f.seek(8);
        f.write("XYZ");
        CHECK(f.size() == 11);
        f.close();
        CHECK(on_disk(folder / "new") == "01234567XYZ");
    });
}

TEST_CASE("file: pread and pwrite leave the position alone") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "abcdefghij");
    weft::run([&] {
        file f = file::open(folder / "file", O_RDWR);
        f.seek(2);
        std::string text(4, '\0');
        CHECK(f.pread(std::as_writable_bytes(std::span(text)), 5) == 4);
        CHECK(text == "fghi");
        CHECK(f.pread(std::as_writable_bytes(std::span(text)), 8) == 2);   // the end
        CHECK(f.pread(std::as_writable_bytes(std::span(text)), 100) == 0);
        f.pwrite("--", 1);
        f.pwrite("+", 12);
        CHECK(f.tell() == 2);
        CHECK(on_disk(folder / "file") == std::string("a--defghij\0\0+", 13));
        CHECK(message_of<std::invalid_argument>([&] { f.pwrite("x", -1); }).find("offset: -1") != std::string::npos);
        CHECK_THROWS_AS(f.pread(std::as_writable_bytes(std::span(text)), -1), std::invalid_argument);
        CHECK_THROWS_AS(f.truncate(-5), std::invalid_argument);
    });
}

TEST_CASE("file: a read fills what it is given, unless the file ends before") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(5'000'000);
    put_on_disk(folder / "file", text);
    weft::run([&] {
        for (int cached = 0; cached < 2; ++cached) {
            if (!cached) forget_cached(folder / "file");
            file f = file::open(folder / "file");
            const std::string beginning = read_some(f, 3'000'000);
            CHECK((beginning == text.substr(0, 3'000'000)));
            CHECK((read_some(f, 3'000'000) == text.substr(3'000'000)));
            f.seek(1'000'000);
            CHECK((f.read() == text.substr(1'000'000)));
            f.seek(4'999'990);
            CHECK(f.read(5) == text.substr(4'999'990, 5));
            CHECK(f.read(50) == text.substr(4'999'995));
            CHECK(f.read(50).empty());
            CHECK(f.read(0).empty());
        }
    });
}

TEST_CASE("file: O_APPEND appends, O_TRUNC cuts off, a mode is less the umask") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "old");
    const mode_t before = ::umask(027);
    weft::run([&] {
        file a = file::open(folder / "file", O_WRONLY | O_APPEND);
        file b = file::open(folder / "file", O_WRONLY | O_APPEND);
        a.write("a");
        b.write("b");
        a.write("c");
        CHECK(on_disk(folder / "file") == "oldabc");
        file::open(folder / "file", O_WRONLY | O_TRUNC).write("x");
        CHECK(on_disk(folder / "file") == "x");
        file::open(folder / "made", O_WRONLY | O_CREAT, 0777);
        struct stat s;
        REQUIRE(::stat((folder / "made").c_str(), &s) == 0);
        CHECK((s.st_mode & 0777) == 0750);
    });
    ::umask(before);
}

TEST_CASE("file: size, truncate and sync") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        file f = file::open(folder / "file", O_RDWR | O_CREAT);
        f.write("123456");
        f.truncate(4);
        CHECK(f.size() == 4);
        CHECK(f.tell() == 6);
        f.truncate(8);
        CHECK(f.size() == 8);
        f.sync();
        f.data_sync();
        CHECK(on_disk(folder / "file") == std::string("1234\0\0\0\0", 8));
    });
}

TEST_CASE("file: a failure names the call and the path") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "x");
    weft::run([&] {
        CHECK(error_of([&] { file::open(folder / "missing"); }) == ENOENT);
        CHECK(message_of<std::system_error>([&] { file::open("/no/such/file"); }) ==
              "file::open /no/such/file: No such file or directory");
        CHECK(error_of([&] { file::open(folder / "file", O_WRONLY | O_CREAT | O_EXCL); }) == EEXIST);
        CHECK(error_of([&] { file::open(folder / "file/below"); }) == ENOTDIR);
        CHECK(error_of([&] { file::open(folder / "", O_WRONLY); }) == EISDIR);
        CHECK(error_of([&] { file::open(""); }) == ENOENT);
        CHECK_THROWS_AS(file::open(std::string("a\0b", 3)), std::invalid_argument);
        file directory = file::open(folder / "");
        CHECK(error_of([&] { directory.read(); }) == EISDIR);
        CHECK(error_of([&] { read_some(directory, 10); }) == EISDIR);
        file reading = file::open(folder / "file");
        CHECK(error_of([&] { reading.write("x"); }) == EBADF);
        CHECK(error_of([&] { reading.truncate(0); }) == EINVAL);
        CHECK(error_of([&] { reading.seek(-1); }) == EINVAL);
        CHECK(message_of<std::system_error>([&] { reading.write("x"); }).find("file::write " + (folder / "file")) == 0);
        file full = file::open("/dev/full", O_WRONLY);
        CHECK(error_of([&] { full.write("x"); }) == ENOSPC);
    });
}

TEST_CASE("read_file, write_file: whole files") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        const std::string text = long_text(2'000'000);
        weft::write_file(folder / "file", text);
        CHECK((weft::read_file(folder / "file") == text));
        weft::write_file(folder / "file", "short");
        CHECK(weft::read_file(folder / "file") == "short");
        weft::write_file(folder / "empty", "", 0600);
        CHECK(weft::read_file(folder / "empty").empty());
        struct stat s;
        REQUIRE(::stat((folder / "empty").c_str(), &s) == 0);
        CHECK((s.st_mode & 0777) == 0600);
        CHECK(weft::read_file("/dev/null").empty());
        CHECK(weft::read_file("/proc/self/status").find("State:") != std::string::npos);   // which says that its size is 0
        CHECK(weft::read_file("/proc/self/maps").size() > 4096);
        CHECK(error_of([&] { weft::read_file(folder / "missing"); }) == ENOENT);
        CHECK(error_of([&] { weft::read_file(folder / ""); }) == EISDIR);
        CHECK(error_of([&] { weft::write_file(folder / "no/such", "x"); }) == ENOENT);
        CHECK(error_of([&] { weft::write_file("/dev/full", "x"); }) == ENOSPC);
    });
}

TEST_CASE("read_file, write_file: sizes around what is done in one piece, from memory and from the disk") {
    leak_check leaks;
    temporary_folder folder;
    constexpr std::size_t small = weft::engine_layer::whole_file::small;
    const std::string text = long_text(small + 4097);
    weft::run([&] {
        for (const std::size_t size : {std::size_t(0), std::size_t(1), std::size_t(4095), std::size_t(4096), std::size_t(4097),
                                       small - 1, small, small + 1, small + 4097}) {
            CAPTURE(size);
            weft::write_file(folder / "file", text);
            weft::write_file(folder / "file", std::string_view(text).substr(0, size));
            CHECK((weft::read_file(folder / "file") == text.substr(0, size)));
            forget_cached(folder / "file");
            CHECK((weft::read_file(folder / "file") == text.substr(0, size)));
        }
    });
}

TEST_CASE("read_file, write_file: a failure names the call that failed and the path") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        const auto said = [](auto f) { return message_of<std::system_error>(f); };
        for (int again = 0; again < 2; ++again) {   // the second time the name is known
            CHECK(said([&] { weft::read_file(folder / "missing"); }).starts_with("file::open " + (folder / "missing: ")));
            CHECK(said([&] { weft::read_file(folder / ""); }).starts_with("file::read " + (folder / ": ")));
        }
        CHECK(said([&] { weft::write_file(folder / "", "x"); }).starts_with("file::open " + (folder / ": ")));
        CHECK(said([&] { weft::write_file("/dev/full", "x"); }) == "file::write /dev/full: No space left on device");
        // It opens, and cannot be read from its beginning.
        CHECK(said([&] { weft::read_file("/proc/self/mem"); }).starts_with("file::read /proc/self/mem: "));
        CHECK_THROWS_AS(weft::read_file(std::string("a\0b", 3)), std::invalid_argument);
        CHECK_THROWS_AS(weft::write_file(std::string("a\0b", 3), "x"), std::invalid_argument);
        if (::getuid() != 0) {   // whom nothing is forbidden
            put_on_disk(folder / "secret", "x");
            REQUIRE(::chmod((folder / "secret").c_str(), 0) == 0);
            CHECK(error_of([&] { weft::read_file(folder / "secret"); }) == EACCES);
            CHECK(error_of([&] { weft::write_file(folder / "secret", "x"); }) == EACCES);
        }
    });
}

TEST_CASE("read_file, write_file: through symbolic links; a FIFO is waited for, and a cancellation ends the wait to read from it") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = fifo_in(folder);
    weft::run([&] {
        REQUIRE(::symlink("file", (folder / "link").c_str()) == 0);
        weft::write_file(folder / "link", "through");
        CHECK(on_disk(folder / "file") == "through");
        CHECK(weft::read_file(folder / "link") == "through");

        auto reading = start([&] { return weft::read_file(path); });
        weft::write_file(path, "by a pipe");
        CHECK(reading.get() == "by a pipe");

        file held = file::open(path, O_RDWR);   // both ends: its open does not wait, and there is no end
        auto stuck = start([&] { return weft::read_file(path); });
        turns(5);
        CHECK_FALSE(stuck.done());
        stuck.cancel();
        stuck.join();
        CHECK(stuck.cancelled());
    });
}

TEST_CASE("read_file, write_file: cancelled at any moment, they leave no descriptor, and what is read is all of it") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(100'000);
    put_on_disk(folder / "file", text);
    weft::run([&] {
        for (int k = 0; k < weft_test::rounds(40); ++k) {
            forget_cached(folder / "file");
            auto reading = start([&] { return weft::read_file(folder / "file"); });
            auto writing = start([&] { weft::write_file(folder / "other", text); });
            turns(k / 2);
            reading.cancel();
            writing.cancel();
            reading.join();
            writing.join();
            if (!reading.cancelled()) CHECK((reading.get() == text));
            if (!writing.cancelled()) CHECK((on_disk(folder / "other") == text));
        }
        auto pending = weft::create_task([&] {
            weft::current_task().cancel();
            weft::read_file(folder / "file");
        });
        auto also = weft::create_task([&] {
            weft::current_task().cancel();
            weft::write_file(folder / "untouched", text);
        });
        pending.join();
        also.join();
        CHECK(pending.cancelled());
        CHECK(also.cancelled());
        CHECK_FALSE(std::filesystem::exists(folder / "untouched"));
    });
}

TEST_CASE("file: other tasks run while the system is at it") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = fifo_in(folder);
    weft::run([&] {
        auto opening = start([&] { return file::open(path).read(); });   // until somebody opens it for writing
        turns(10);
        CHECK_FALSE(opening.done());
        weft::write_file(path, "through");
        CHECK(opening.get() == "through");
    });
}

TEST_CASE("file: other tasks run while O_DIRECT or O_DSYNC make a call wait for the disk") {
    weft::run([] {
        const temporary_folder folder;
        constexpr std::size_t block = 4096;
        const std::unique_ptr<std::byte[], decltype(&std::free)> data(
            static_cast<std::byte*>(std::aligned_alloc(block, block)), &std::free);
        const auto bytes = std::span(data.get(), block);
        std::fill(bytes.begin(), bytes.end(), std::byte{'x'});
        for (const int flag : {O_DIRECT, O_DSYNC}) {
            file f;
            try {
                f = file::open(folder / std::to_string(flag), O_RDWR | O_CREAT | flag);
            } catch (const std::system_error& error) {   // no file system has to have O_DIRECT
                REQUIRE(error.code() == std::errc::invalid_argument);
                continue;
            }
            f.pwrite(bytes, 0);
            bool done = false;
            int turns = 0;
            auto other = weft::create_task([&] {
                while (!done) {
                    weft::yield_now();
                    ++turns;
                }
            });
            weft::yield_now();
            f.pwrite(bytes, 0);
            CHECK(std::exchange(turns, 0) > 1);
            if (flag == O_DIRECT) {
                CHECK(f.pread(bytes, 0) == block);
                CHECK(turns > 1);
            }
            done = true;
            other.get();
        }
    });
}

TEST_CASE("file: many tasks read one file at once") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(400'000);
    put_on_disk(folder / "file", text);
    forget_cached(folder / "file");
    weft::run([&] {
        file f = file::open(folder / "file");
        std::vector<weft::task<std::string>> parts;
        for (int i = 0; i < 40; ++i)
            parts.push_back(weft::create_task([&f, i] {
                std::string part(10'000, '\0');
                part.resize(f.pread(std::as_writable_bytes(std::span(part)), i * 10'000));
                return part;
            }));
        std::string got;
        for (auto& p : parts) got += p.get();
        CHECK((got == text));
        CHECK(f.tell() == 0);
    });
}

TEST_CASE("file: cancelled at any moment, reads lose and repeat nothing") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(60'000);
    put_on_disk(folder / "file", text);
    weft::run([&] {
        for (int k = 0; k < weft_test::rounds(60); ++k) {
            forget_cached(folder / "file");
            file f = file::open(folder / "file");
            std::string got;
            const auto reading = [&] {
                for (;;) {
                    const std::string piece = read_some(f, 997);
                    if (piece.empty()) return;
                    got += piece;
                }
            };
            for (int cut = 0; cut < 4; ++cut) {
                auto t = start(reading);
                turns(k);
                t.cancel();
                t.join();
                CHECK(f.tell() == static_cast<off_t>(got.size()));
            }
            reading();
            CHECK((got == text));
        }
    });
}

TEST_CASE("file: a cancelled read up to the end leaves the position where it was") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(3'000'000);
    put_on_disk(folder / "file", text);
    weft::run([&] {
        for (int k = 0; k < 20; ++k) {
            forget_cached(folder / "file");
            file f = file::open(folder / "file");
            f.seek(7);
            auto t = start([&] { return f.read(); });
            turns(k);
            t.cancel();
            t.join();
            CHECK(f.tell() == (t.cancelled() ? 7 : 3'000'000));
            f.seek(7);
            CHECK((f.read() == text.substr(7)));
        }
        file piecemeal = file::open("/proc/self/smaps");   // does not say how long it is: it is read in steps
        piecemeal.seek(7);
        auto reading = start([&] { return piecemeal.read(); });
        reading.cancel();
        reading.join();
        CHECK(reading.cancelled());
        CHECK(piecemeal.tell() == 7);
        CHECK(piecemeal.read().size() > 4096);
        auto pending = weft::create_task([&] {
            file f = file::open(folder / "file");
            weft::current_task().cancel();
            f.read();
        });
        pending.join();
        CHECK(pending.cancelled());
    });
}

TEST_CASE("file: a cancelled open leaves no descriptor") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "x");
    weft::run([&] {
        for (int k = 0; k < 20; ++k) {
            auto t = start([&] {
                file f = file::open(folder / "file");
                weft::yield_now();
            });
            turns(k);
            t.cancel();
            t.join();
        }
    });
}

TEST_CASE("file: a FIFO is waited for, can be cancelled, and loses nothing") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = fifo_in(folder);
    weft::run([&] {
        file reader = file::open(path, O_RDONLY | O_NONBLOCK);
        file writer = file::open(path, O_WRONLY);
        auto t = start([&] { return reader.read(); });
        writer.write("first ");
        turns(5);
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK(read_some(reader, 3) == "fir");
        writer.write("second");
        auto rest = start([&] { return reader.read(); });
        turns(3);
        writer.close();
        CHECK(rest.get() == "st second");
        CHECK(error_of([&] { reader.tell(); }) == ESPIPE);
        CHECK(error_of([&] { reader.pwrite("x", 0); }) != 0);
    });
}

TEST_CASE("file: writing to a FIFO that nobody reads is broken_pipe and no signal, to a full one it waits") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = fifo_in(folder);
    weft::run([&] {
        file reader = file::open(path, O_RDONLY | O_NONBLOCK);
        file writer = file::open(path, O_WRONLY);
        const std::string text = long_text(300'000);
        auto writing = start([&] { writer.write(text); });
        turns(3);
        CHECK_FALSE(writing.done());
        std::string got;
        while (got.size() < text.size()) got += read_some(reader, 50'000);
        CHECK((got == text));
        writing.get();
        reader.close();
        CHECK(error_of([&] { writer.write("x"); }) == EPIPE);
    });
}

TEST_CASE("file: signals in between change nothing") {
    leak_check leaks;
    temporary_folder folder;
    struct sigaction count{}, before;
    static std::atomic<int> come{0};
    count.sa_handler = [](int) { ++come; };   // without SA_RESTART
    REQUIRE(::sigaction(SIGALRM, &count, &before) == 0);
    const itimerval often{{0, 500}, {0, 500}}, never{};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const std::string text = long_text(4'000'000);
    weft::run([&] {
        while (come < 20) {
            weft::write_file(folder / "file", text);
            CHECK((weft::read_file(folder / "file") == text));
        }
    });
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
}

TEST_CASE("file: without descriptors left, opening says so") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "x");
    rlimit before;
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    weft::run([&] {
        file first = file::open(folder / "file");
        rlimit few = before;
        const int next = ::dup(first.native_handle());
        ::close(next);
        few.rlim_cur = static_cast<rlim_t>(next);
        ::setrlimit(RLIMIT_NOFILE, &few);
        const int error = error_of([&] { file::open(folder / "file"); });
        ::setrlimit(RLIMIT_NOFILE, &before);
        CHECK(error == EMFILE);
    });
}

TEST_CASE("file: it needs a task") {
    leak_check leaks;
    temporary_folder folder;
    put_on_disk(folder / "file", "x");
    CHECK_THROWS_AS(file::open(folder / "file"), weft::no_running_loop);
    weft::run([&] {
        file f = file::open(folder / "file");
        int refused = 0;
        weft::get_running_loop().call_soon([&] {
            try {
                f.sync();
            } catch (const weft::no_running_task&) {
                ++refused;
            }
        });
        turns(2);
        CHECK(refused == 1);
    });
}
