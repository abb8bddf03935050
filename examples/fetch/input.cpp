#include "input.hpp"

#include "format.hpp"
#include "options.hpp"

#include <weft/file.hpp>
#include <weft/pipe.hpp>

#include <system_error>

namespace fetch {

std::string read_input(const std::string& path) {
    try {
        return path == "-" ? weft::stdin_stream().read() : weft::read_file(path);
    } catch (const std::system_error& error) {
        throw usage_error("--input: cannot read " + quoted(path) + ": " + error.code().message());
    }
}

}  // namespace fetch
