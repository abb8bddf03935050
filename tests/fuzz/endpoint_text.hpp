#pragma once

/// endpoint_text: arbitrary text as an endpoint, and arbitrary bytes as an address of the system. What is accepted must come back
/// from its own text.

#include <sys/socket.h>

#include <functional>
#include <stdexcept>
#include <string>

#include <weft/endpoint.hpp>

#include "fuzz_input.hpp"

namespace fuzz {

inline void endpoint_text(std::string_view text) {
    weft::endpoint place;
    try {
        place = weft::endpoint::parse(text);
    } catch (const std::invalid_argument& e) {
        require(std::string_view(e.what()).size() > 0, "a refusal says why");
        return;
    }
    const std::string written = place.to_string();
    const weft::endpoint again = weft::endpoint::parse(written);
    require(again == place, "an endpoint's text means the same endpoint");
    require(again.to_string() == written, "an endpoint has one text");
    require(std::hash<weft::endpoint>()(again) == std::hash<weft::endpoint>()(place), "equal endpoints have equal hashes");
    require(weft::endpoint(place.data(), place.size()) == place, "an endpoint is what the system takes");
}

inline void endpoint_bytes(std::string_view bytes) {
    alignas(sockaddr_storage) char address[256] = {};
    const std::size_t size = bytes.copy(address, sizeof address);
    weft::endpoint place;
    try {
        place = weft::endpoint(reinterpret_cast<const sockaddr*>(address), size);
    } catch (const std::invalid_argument&) {
        return;
    }
    require(place == weft::endpoint(place.data(), place.size()), "an address is equal to its copy");
    (void)place.host();
    (void)place.port();
    const std::string text = place.to_string();
    const bool internet = place.family() == AF_INET || place.family() == AF_INET6;
    if (internet) require(weft::endpoint::parse(text) == place, "an internet address comes back from its text");
}

/// The first byte says which.
inline void endpoint_any(std::span<const std::uint8_t> data) {
    fuzz_input input(data);
    if (input.below(2) == 0) endpoint_text(input.rest());
    else endpoint_bytes(input.rest());
}

}  // namespace fuzz
