// How files end: closing, giving away and destroying them, also while calls are inside.

#include "file_fixture.hpp"

#include <cerrno>

using namespace io_test;

TEST_CASE("file: once it is closed every call says so, and closing again does nothing") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        file f = file::open(folder / "file", O_RDWR | O_CREAT);
        CHECK(f.is_open());
        f.close();
        f.close();
        CHECK_FALSE(f.is_open());
        CHECK(f.native_handle() == -1);
        CHECK(f.release() == -1);
        CHECK(error_of([&] { f.read(); }) == EBADF);
        CHECK(error_of([&] { f.write("x"); }) == EBADF);
        CHECK(error_of([&] { f.sync(); }) == EBADF);
        CHECK(error_of([&] { f.seek(0); }) == EBADF);
        CHECK(message_of<std::system_error>([&] { f.size(); }).find(folder / "file") != std::string::npos);
        CHECK(error_of([] { file().read(); }) == EBADF);
        CHECK(file().path().empty());
    });
}

TEST_CASE("file: closing it under a call lets that end, and closes it afterwards") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        const std::size_t before = weft_test::open_descriptors();
        file f = file::open(folder / "file", O_RDWR | O_CREAT);
        f.write(std::string(100'000, 'x'));
        auto first = start([&] { f.sync(); });
        auto second = start([&] { f.data_sync(); });
        f.close();
        CHECK_FALSE(f.is_open());
        CHECK(error_of([&] { f.sync(); }) == EBADF);
        first.get();
        second.get();
        CHECK(weft_test::open_descriptors() == before);
    });
}

TEST_CASE("file: destroying and moving it under a call lets that end") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        const std::size_t before = weft_test::open_descriptors();
        auto f = std::make_unique<file>(file::open(folder / "file", O_RDWR | O_CREAT));
        f->write("text");
        auto syncing = start([&] { f->sync(); });
        file moved = std::move(*f);
        f.reset();
        syncing.get();
        CHECK(moved.size() == 4);
        auto again = start([&] { moved.sync(); });
        moved = file();
        again.get();
        CHECK(weft_test::open_descriptors() == before);
    });
}

TEST_CASE("file: a close that fails names the file, also when that is destroyed meanwhile") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = folder / ("a name that is too long to stand in the string itself" + std::string(64, 'x'));
    weft::run([&] {
        auto f = std::make_unique<file>(file::open(path, O_RDWR | O_CREAT));
        ::close(f->native_handle());   // somebody's mistake: the system refuses to close it again
        auto closing = start([&] { return message_of<std::system_error>([&] { f->close(); }); });
        f.reset();
        const std::string text = closing.get();
        CHECK(text.find("file::close " + path) == 0);
    });
}

TEST_CASE("file: closing, destroying and giving away a FIFO wakes who waits in it") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = fifo_in(folder);
    weft::run([&] {
        for (int way = 0; way < 3; ++way) {
            auto f = std::make_unique<file>(file::open(path, O_RDWR));
            auto reading = start([&r = *f] { return error_of([&] { r.read(10); }); });
            turns(2);
            CHECK_FALSE(reading.done());
            if (way == 0) f->close();
            if (way == 1) f.reset();
            if (way == 2) ::close(f->release());
            CHECK(reading.get() == EBADF);
        }
    });
}

TEST_CASE("file: closing works in a task that is cancelled, and without a loop") {
    leak_check leaks;
    temporary_folder folder;
    file outside;
    weft::run([&] {
        const std::size_t before = weft_test::open_descriptors();
        auto closing = weft::create_task([&] {
            file f = file::open(folder / "file", O_RDWR | O_CREAT);
            weft::current_task().cancel();
            f.close();
            CHECK(weft_test::open_descriptors() == before);
            weft::yield_now();
        });
        closing.join();
        CHECK(closing.cancelled());
        outside = file::open(folder / "file");
    });
    outside.close();
}

TEST_CASE("file: a released descriptor is the caller's, and can be taken over again") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        file f = file::open(folder / "file", O_RDWR | O_CREAT);
        f.write("text");
        const int fd = f.release();
        CHECK(fd >= 0);
        CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
        f.close();
        CHECK(::lseek(fd, 0, SEEK_SET) == 0);
        file again(fd);
        CHECK(again.native_handle() == fd);
        CHECK(again.read() == "text");
        CHECK(again.path() == "descriptor " + std::to_string(fd));
        again.close();
        CHECK(error_of([&] { file bad(fd); }) == EBADF);
    });
}

TEST_CASE("file: another loop can go on with it") {
    leak_check leaks;
    temporary_folder folder;
    file f;
    weft::run([&] {
        f = file::open(folder / "file", O_RDWR | O_CREAT);
        f.write("one");
    });
    weft::run([&] {
        f.write(" two");
        f.seek(0);
        CHECK(f.read() == "one two");
    });
}
