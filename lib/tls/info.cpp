// stream::get_tls_info: what a stream tells of its TLS stands here, since io knows nothing of it.

#include <weft/error.hpp>
#include <weft/tls.hpp>

#include "io/stream_state.hpp"
#include "tls/transport.hpp"

namespace weft {

tls_info stream::get_tls_info() const {
    const auto* const below = state_ ? dynamic_cast<const tls_layer::tls_transport*>(state_->below.get()) : nullptr;
    if (!below) throw invalid_state("stream::get_tls_info: this stream does not use TLS");
    return below->info();
}

}  // namespace weft
