// A worker: one thread that answers one request after the other. Whatever the function throws becomes a part of the answer.

#include <cxxabi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <typeinfo>

#include <weft/error.hpp>

#include "exec/frame.hpp"
#include "exec/program_address.hpp"
#include "exec/server_process.hpp"

namespace weft::exec_layer {
namespace {

std::string readable(const std::type_info& type) {
    int status = 0;
    char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    std::string name = text ? text : type.name();
    std::free(text);
    return name;
}

void answer_exception(std::string& answer, const std::string& type, const std::string& what) {
    begin_frame(answer);
    byte_writer out(answer);
    out.write(answer_kind::exception);
    out.write(type);
    out.write(what);
}

void perform(const std::string& request, std::string& answer) {
    try {
        byte_reader in(request);
        const auto call = in.read<program_address>();
        const auto function = in.read<program_address>();
        const auto here = reinterpret_cast<detail::remote_call>(function_at(call));
        begin_frame(answer);
        byte_writer out(answer);
        out.write(answer_kind::value);
        here(function_at(function), in, out);
    } catch (const std::exception& e) {
        answer_exception(answer, readable(typeid(e)), e.what());
    } catch (const cancelled& c) {
        answer_exception(answer, "weft::cancelled", c.message());
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        answer_exception(answer, type ? readable(*type) : "unknown", "");
    }
    end_frame(answer);
}

}  // namespace

void run_worker(int socket) {
    std::string request;
    std::string answer;
    while (receive_frame(socket, request)) {
        perform(request, answer);
        std::fflush(nullptr);   // what the job printed comes before what the caller prints with the result
        if (!send_frame(socket, answer)) break;
        request = std::string();
    }
    std::fflush(nullptr);
    ::_exit(0);
}

}  // namespace weft::exec_layer
