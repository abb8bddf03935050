#pragma once

/// program_address: where a function stands in the program, in words that another process of the same program understands.
///
/// Programs and libraries are loaded elsewhere in each process. So a function is named by the file it was loaded from and its
/// offset therein. A library's file may have been replaced since this process loaded it: a fingerprint of its program headers
/// and notes (the build id is one) tells, and the call is refused instead of landing anywhere.

#include <cstdint>
#include <string>

#include <weft/detail/process_job.hpp>
#include <weft/serializer.hpp>

namespace weft::exec_layer {

struct program_address {
    std::string module;   // its path; empty: the program
    std::uint64_t fingerprint = 0;
    std::uint64_t offset = 0;
};

/// Throws std::invalid_argument if it stands in no module (it was made at run time).
program_address address_of(detail::any_function function);

/// In the worker; loads a library that is not there yet. Throws std::runtime_error if the module, or its code, is not there.
detail::any_function function_at(const program_address& address);

/// Whether it stands in the program itself, not in a library.
bool in_the_program(detail::any_function function);

}  // namespace weft::exec_layer

template <>
struct weft::serializer<weft::exec_layer::program_address> {
    static void write(byte_writer& out, const exec_layer::program_address& a) {
        out.write(a.module);
        out.write(a.fingerprint);
        out.write(a.offset);
    }
    static exec_layer::program_address read(byte_reader& in) {
        return {in.read<std::string>(), in.read<std::uint64_t>(), in.read<std::uint64_t>()};
    }
};
