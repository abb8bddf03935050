#include <weft/detail/call_site.hpp>

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace weft::detail {
namespace {

std::string hexadecimal(std::uintptr_t number) {
    char text[2 + 2 * sizeof number + 1];
    std::snprintf(text, sizeof text, "0x%jx", static_cast<std::uintmax_t>(number));
    return text;
}

}  // namespace

std::string readable(const char* mangled) {
    int status = 0;
    char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    std::string name = text ? text : mangled;
    std::free(text);
    return name;
}

std::string call_site::describe() const {
    if (!bits_) return {};
#ifdef __cpp_lib_source_location
    if (!(bits_ & is_address)) {
        const auto where = std::bit_cast<std::source_location>(bits_);
        return std::string(where.file_name()) + ':' + std::to_string(where.line());
    }
#endif
    const std::uintptr_t address = (bits_ & ~is_address) - 1;   // the call; its return address may be the next line's
    Dl_info found{};
    if (!::dladdr(reinterpret_cast<const void*>(address), &found) || !found.dli_fname) return hexadecimal(address);
    const std::string in_object =
        std::string(found.dli_fname) + '+' + hexadecimal(address - reinterpret_cast<std::uintptr_t>(found.dli_fbase));
    if (!found.dli_sname) return in_object;
    return readable(found.dli_sname) + '+' + hexadecimal(address - reinterpret_cast<std::uintptr_t>(found.dli_saddr)) + " (" +
           in_object + ')';
}

}  // namespace weft::detail
