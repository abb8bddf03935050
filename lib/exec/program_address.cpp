#include "exec/program_address.hpp"

#include <dlfcn.h>
#include <link.h>

#include <functional>
#include <stdexcept>

namespace weft::exec_layer {
namespace {

using detail::any_function;

bool contains_code(const dl_phdr_info& module, std::uint64_t offset) noexcept {
    for (int i = 0; i < module.dlpi_phnum; ++i) {
        const ElfW(Phdr)& p = module.dlpi_phdr[i];
        if (p.p_type == PT_LOAD && p.p_flags & PF_X && offset >= p.p_vaddr && offset - p.p_vaddr < p.p_memsz) return true;
    }
    return false;
}

std::uint64_t add_to_fingerprint(std::uint64_t hash, const void* bytes, std::size_t size) noexcept {
    const auto* b = static_cast<const unsigned char*>(bytes);
    for (; size > 0; --size) hash = (hash ^ *b++) * 0x100000001b3;   // FNV-1a
    return hash;
}

std::uint64_t fingerprint_of(const dl_phdr_info& module) noexcept {
    std::uint64_t hash = add_to_fingerprint(0xcbf29ce484222325, module.dlpi_phdr, module.dlpi_phnum * sizeof(ElfW(Phdr)));
    for (int i = 0; i < module.dlpi_phnum; ++i) {
        const ElfW(Phdr)& p = module.dlpi_phdr[i];
        if (p.p_type == PT_NOTE)
            hash = add_to_fingerprint(hash, reinterpret_cast<const void*>(module.dlpi_addr + p.p_vaddr), p.p_memsz);
    }
    return hash;
}

/// Calls f(module) for each, the program first, until f returns true.
bool for_each_module(const std::function<bool(const dl_phdr_info&)>& f) {
    return ::dl_iterate_phdr(
               [](dl_phdr_info* module, std::size_t, void* f) -> int {
                   return (*static_cast<const std::function<bool(const dl_phdr_info&)>*>(f))(*module);
               },
               const_cast<void*>(static_cast<const void*>(&f))) != 0;
}

bool find(const program_address& a, any_function& found) {
    std::string replaced;
    const bool there = for_each_module([&](const dl_phdr_info& m) {
        if (a.module != m.dlpi_name) return false;
        if (fingerprint_of(m) != a.fingerprint || !contains_code(m, a.offset)) {
            replaced = a.module.empty() ? "the program" : a.module;
            return true;
        }
        found = reinterpret_cast<any_function>(m.dlpi_addr + a.offset);
        return true;
    });
    if (!replaced.empty())
        throw std::runtime_error("process pool: " + replaced + " in the worker is not what it is in the process that called");
    return there;
}

}  // namespace

program_address address_of(any_function function) {
    const auto at = reinterpret_cast<std::uintptr_t>(function);
    program_address a;
    const bool found = for_each_module([&](const dl_phdr_info& m) {
        if (at < m.dlpi_addr || !contains_code(m, at - m.dlpi_addr)) return false;
        a = {m.dlpi_name, fingerprint_of(m), at - m.dlpi_addr};
        return true;
    });
    if (!found) throw std::invalid_argument("process_pool_executor: the function stands neither in the program nor in a library");
    return a;
}

any_function function_at(const program_address& a) {
    any_function found = nullptr;
    if (find(a, found)) return found;
    // A library that the program loaded while it ran; it stays for the calls that come after this one.
    if (!::dlopen(a.module.c_str(), RTLD_NOW)) throw std::runtime_error(std::string("process pool: ") + ::dlerror());
    if (find(a, found)) return found;
    throw std::runtime_error("process pool: " + a.module + " is not there in the worker");
}

bool in_the_program(any_function function) {
    const auto at = reinterpret_cast<std::uintptr_t>(function);
    bool is_in = false;
    for_each_module([&](const dl_phdr_info& program) {
        is_in = at >= program.dlpi_addr && contains_code(program, at - program.dlpi_addr);
        return true;
    });
    return is_in;
}

}  // namespace weft::exec_layer
