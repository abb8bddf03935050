#pragma once
// Bodies as files: names that are safe and unique, and no half-written file left behind.

#include "url.hpp"

#include <weft/file.hpp>

#include <map>
#include <string>
#include <string_view>
#include <system_error>

namespace fetch {

/// Makes the directory and those above it. Throws std::system_error.
void make_directory(const std::string& path);

/// The names of files for URLs, in one directory.
class file_names {
public:
    explicit file_names(std::string directory) : directory_(std::move(directory)) {}

    /// A path made of the URL's host and path, of letters, digits and "._-" only, not given out before. A
    /// file of that name may exist from an earlier run: then ask again.
    std::string next(const url& address);

private:
    std::string directory_;
    std::map<std::string, int> given_;  // how often each name was asked for
};

/// The file that one body is written into. It is removed again unless it is kept.
class body_file {
public:
    /// Makes a file that was not there before. Throws fetch_error.
    body_file(file_names& names, const url& address);
    body_file(const body_file&) = delete;
    body_file& operator=(const body_file&) = delete;
    ~body_file();

    /// Suspends while the file system is at it. Throws fetch_error.
    void write(std::string_view piece);
    /// The body is whole: closes the file. Throws fetch_error, and then the file is removed all the same.
    void keep();

private:
    [[noreturn]] void fail(const std::system_error& error) const;

    std::string path_;
    weft::file file_;
    bool kept_ = false;
};

}  // namespace fetch
