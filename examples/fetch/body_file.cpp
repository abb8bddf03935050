#include "body_file.hpp"

#include "outcome.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace fetch {
namespace {

// A leading dot would hide the file, and ".." would leave the directory.
std::string safe_name(const url& address) {
    constexpr std::size_t longest = 150;  // of the 255 that file systems allow: room for a number
    std::string name = address.host + address.target;
    while (name.ends_with('/'))
        name.pop_back();
    for (char& c : name) {
        const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '.' || c == '_' || c == '-';
        if (!kept)
            c = '_';
    }
    if (name.front() == '.')
        name.front() = '_';
    if (name.size() > longest)
        name.resize(longest);
    return name;
}

}  // namespace

void make_directory(const std::string& path) {
    std::filesystem::create_directories(path);
}

std::string file_names::next(const url& address) {
    const std::string name = safe_name(address);
    const int count = ++given_[name];
    return directory_ + "/" + name + (count == 1 ? std::string() : "." + std::to_string(count));
}

// Names are only candidates until the system has made the file and said that it is new.
body_file::new_file body_file::create(file_names& names, const url& address) {
    for (;;) {
        std::string path = names.next(address);
        try {
            weft::file file = weft::file::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            return {std::move(path), std::move(file)};
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::file_exists)
                throw fetch_error(outcome::not_written, error.what());
        }
    }
}

body_file::body_file(file_names& names, const url& address) : file_(create(names, address)) {}

body_file::~body_file() {
    if (!kept_)
        unlink(file_.path.c_str());
}

void body_file::write(std::string_view piece) {
    try {
        file_.file.write(piece);
    } catch (const std::system_error& error) {
        throw fetch_error(outcome::not_written, file_.path + ": " + error.what());
    }
}

}  // namespace fetch
